//! The audit, read by the server, or from its data directory while it runs.

mod cursor;

use std::path::Path;

use ids::Timestamp;
use serde_json::Value;
use store::audit::{AuditError, Known, Verified};
use store::{Store, View};

use super::Registry;
use crate::error::{OpenError, StorageError};
use crate::page::{BadContinuation, Continuation, Page};

/// Bytes of the audit that one page looks at.
const READ_AT_ONCE: usize = 16 << 20;

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

/// Why the audit of a data directory is not read.
#[derive(Debug, thiserror::Error)]
pub enum AuditReadError {
    /// The data directory cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The records cannot be.
    #[error(transparent)]
    List(#[from] ListError),
}

/// Why a listing is not given.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The continuation is not one of this list.
    #[error(transparent)]
    Continuation(#[from] BadContinuation),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for ListError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// A record of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// `acts`, `decisions` or `refusals`.
    pub stream: &'static str,
    /// Its number in its stream.
    pub number: u64,
    pub time: Timestamp,
    /// What: `kind` and particulars.
    pub body: Value,
    /// The chain up to here, hexadecimal.
    pub hash: String,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Of this registration id or target only.
    pub about: Option<String>,
    /// Of this `kind` only.
    pub kind: Option<String>,
    /// Go on behind this.
    pub after: Option<Continuation>,
    /// At most so many.
    pub limit: usize,
}

impl AuditQuery {
    /// Whether something of this time may be wanted.
    fn spans(&self, since: Timestamp, until: Timestamp) -> bool {
        self.from.is_none_or(|from| until >= from) && self.to.is_none_or(|to| since < to)
    }

    fn wants(&self, record: &AuditRecord) -> bool {
        let text = |name: &str| record.body.get(name).and_then(Value::as_str);
        // A target is an id behind what it is the id of: "individual enrollment edge-001",
        // "hub/edge-001".
        let about = |wanted: &String| {
            let of = [text("registrationId"), text("target")];
            of.into_iter().flatten().any(|text| {
                let mut parts = std::iter::once(text).chain(text.split([' ', '/']));
                parts.any(|part| part.eq_ignore_ascii_case(wanted))
            })
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
    /// When the directory or a record cannot be read, or the query goes on behind no record.
    pub fn audit(data_dir: &Path, query: &AuditQuery) -> Result<Vec<AuditRecord>, AuditReadError> {
        let store = Store::open_read_only(data_dir).map_err(OpenError::from)?;
        let page = store.read(|view| cursor::page(view, query, usize::MAX))?;
        Ok(page.items)
    }

    /// The same of the open directory, a page at a time. A page looks at so much of the
    /// audit at most, so that it may have fewer records than were asked for, or none, and
    /// still not be the last.
    pub async fn audit_page(&self, query: AuditQuery) -> Result<Page<AuditRecord>, ListError> {
        let scan = move |view: &View<'_>| cursor::page(view, &query, READ_AT_ONCE);
        self.inner.store.scan(scan).await
    }
}
