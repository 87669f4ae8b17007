//! The audit, read from a data directory, also while a server runs on it.

use std::path::Path;

use ids::Timestamp;
use serde_json::Value;
use store::audit::{AuditError, Book, Known, Verified, records};
use store::{Store, View};

use super::Registry;
use crate::error::{OpenError, StorageError};

/// Why the audit was not found whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditVerifyError {
    /// The data directory cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record is not as it was written, or could not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// A record of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// `acts` or `decisions`.
    pub book: &'static str,
    /// Its number in its book.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What: `kind` and particulars.
    pub body: Value,
    /// The chain up to here, hexadecimal.
    pub hash: String,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Of this registration id or target only.
    pub about: Option<String>,
    /// Of this `kind` only.
    pub kind: Option<String>,
    /// At most so many.
    pub limit: usize,
}

impl AuditQuery {
    fn wants(&self, record: &AuditRecord) -> bool {
        let text = |name: &str| record.body.get(name).and_then(Value::as_str);
        let about = |wanted: &String| {
            let of = [text("registrationId"), text("target")];
            of.into_iter()
                .flatten()
                .any(|text| text.eq_ignore_ascii_case(wanted))
        };
        self.from.is_none_or(|from| record.time >= from)
            && self.to.is_none_or(|to| record.time < to)
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| text("kind") == Some(kind))
            && self.about.as_ref().is_none_or(about)
    }
}

impl Registry {
    /// Walks the audit of a data directory from the oldest record kept to the newest.
    ///
    /// # Errors
    /// At the first record that does not hold, or when the directory cannot be read.
    pub fn verify_audit(
        data_dir: &Path,
        known: &[Known],
    ) -> Result<Vec<Verified>, AuditVerifyError> {
        let store = Store::open_read_only(data_dir).map_err(OpenError::from)?;
        Ok(store.read(|view| view.verify_audit(known))?)
    }

    /// The newest records of the audit, newest first.
    ///
    /// # Errors
    /// When the directory or a record cannot be read.
    pub fn audit(data_dir: &Path, query: &AuditQuery) -> Result<Vec<AuditRecord>, OpenError> {
        let store = Store::open_read_only(data_dir)?;
        let mut found = store.read(|view| {
            let mut found = newest(view, Book::Acts, query)?;
            found.extend(newest(view, Book::Decisions, query)?);
            Ok::<_, StorageError>(found)
        })?;
        found.sort_by_key(|record| std::cmp::Reverse((record.time, record.number)));
        found.truncate(query.limit);
        Ok(found)
    }
}

fn newest(
    view: &View<'_>,
    book: Book,
    query: &AuditQuery,
) -> Result<Vec<AuditRecord>, StorageError> {
    let (mut found, mut before) = (Vec::new(), u64::MAX >> 1);
    while let Some(block) = view.audit_block_before(book, before)? {
        before = block.first;
        let mut of_block: Vec<AuditRecord> = records(&block.records)
            .filter_map(Result::ok)
            .map(|record| AuditRecord {
                book: book.name(),
                number: record.number,
                time: Timestamp::from_ticks(record.time),
                body: serde_json::from_slice(record.body).unwrap_or_default(),
                hash: record.hash.to_string(),
            })
            .filter(|record| query.wants(record))
            .collect();
        of_block.reverse();
        found.extend(of_block);
        if found.len() >= query.limit {
            break;
        }
    }
    Ok(found)
}
