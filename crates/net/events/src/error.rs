use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file of the log failed. Nothing of the operation was acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub struct EventLogError {
    doing: &'static str,
    path: Arc<Path>,
    #[source]
    cause: Arc<io::Error>,
}

impl EventLogError {
    /// `doing` is a participle that stands before the path: "reading".
    #[must_use]
    pub fn new(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self {
            doing,
            path: path.into(),
            cause: Arc::new(cause),
        }
    }
}
