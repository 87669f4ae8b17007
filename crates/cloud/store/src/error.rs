use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sqlite::decode::Damage;

/// The storage failed. Nothing of the operation was kept or acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {}", doing, file.display())]
pub struct StoreError {
    doing: &'static str,
    file: Arc<Path>,
    #[source]
    cause: Cause,
}

#[derive(Debug, Clone, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Sql(Arc<rusqlite::Error>),
    #[error("{0}")]
    Words(Arc<str>),
    #[error("{0}")]
    Damaged(Arc<str>),
    #[error("a row has changed since it was read")]
    Changed,
}

impl StoreError {
    pub(crate) fn sql(doing: &'static str, file: &Arc<Path>, cause: rusqlite::Error) -> Self {
        if let Some(damage) = damage_of(&cause) {
            return Self::damaged(file, damage);
        }
        Self {
            doing,
            file: file.clone(),
            cause: Cause::Sql(Arc::new(cause)),
        }
    }

    /// A document that was read with its row, and does not parse now that it is used.
    #[must_use]
    pub fn damaged_document(document: &'static str, cause: impl std::fmt::Display) -> Self {
        Self {
            doing: "reading",
            file: Path::new(document).into(),
            cause: Cause::Damaged(cause.to_string().into()),
        }
    }

    pub(crate) fn words(doing: &'static str, file: &Path, cause: impl Into<Arc<str>>) -> Self {
        Self {
            doing,
            file: file.into(),
            cause: Cause::Words(cause.into()),
        }
    }

    pub(crate) fn changed(file: &Arc<Path>) -> Self {
        Self {
            doing: "writing",
            file: file.clone(),
            cause: Cause::Changed,
        }
    }

    /// Whether what the unit read holds no longer: a row had another version than the one that was
    /// read, or a key was taken that a look found free.
    pub(crate) fn is_changed(&self) -> bool {
        match &self.cause {
            Cause::Changed => true,
            Cause::Sql(error) => matches!(
                error.sqlite_error().map(|error| error.extended_code),
                Some(
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                        | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                        | rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER
                )
            ),
            Cause::Words(_) | Cause::Damaged(_) => false,
        }
    }

    /// Whether a row or document is at fault, and not the storage: others can be read.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self.cause, Cause::Damaged(_))
    }

    /// A stored text that does not parse: the file was damaged or edited. `cause` says which
    /// column, never its content.
    pub(crate) fn damaged(file: &Path, cause: impl std::fmt::Display) -> Self {
        Self {
            doing: "reading a damaged row of",
            file: file.into(),
            cause: Cause::Damaged(cause.to_string().into()),
        }
    }
}

/// What is wrong with a value that a row was read for; `None` when the storage failed. Names the
/// column, never the value.
fn damage_of(cause: &rusqlite::Error) -> Option<String> {
    use rusqlite::Error;
    match cause {
        Error::FromSqlConversionFailure(index, kind, inner) => {
            Some(inner.downcast_ref::<Damage>().map_or_else(
                || format!("column {index} has another type: {kind}"),
                Damage::to_string,
            ))
        }
        Error::InvalidColumnType(_, name, kind) => Some(format!("{name} has another type: {kind}")),
        Error::IntegralValueOutOfRange(index, _) => {
            Some(format!("the number of column {index} is out of range"))
        }
        Error::Utf8Error(index, _) => Some(format!("the text of column {index} is no UTF-8")),
        _ => None,
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by {}; stop that one or choose another --data-dir",
        directory.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        directory: PathBuf,
        /// Who holds it, when it said so.
        holder: Option<u32>,
    },
    /// Nothing has been written there yet.
    #[error("{} holds no data yet; start the server once", .0.display())]
    Absent(PathBuf),
    /// A newer version wrote it.
    #[error("{} has schema {found}; this program knows schemas up to {known}: use the newer program", file.display())]
    TooNew {
        file: PathBuf,
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// A file or directory failed.
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { doing, path, cause }
    }
}
