//! Why a twin is not changed or read, with the codes that the hub answers.

use ids::Identity;
use store::StoreError;

use crate::StorageError;

/// Why a twin was not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// No such device or module. The hub answers 404001 or 404010.
    #[error("{0} does not exist")]
    NotFound(Identity),
    /// The etag, or the expected version of reported properties, is not the stored one.
    /// The hub answers 412001.
    #[error("the twin of {0} has changed since the version sent")]
    PreconditionFailed(Identity),
    /// A limit of twins is passed. The hub answers 400004.
    #[error("'{path}' {problem}")]
    Invalid {
        /// Dotted path from the twin's root, such as `properties.desired.site.name`.
        path: String,
        /// What is wrong there, with the limit.
        problem: String,
    },
    /// Something of it is larger than a twin can be by now. The hub answers 400004.
    #[error(
        "the {part} of {identity} are larger than a twin may be, and are not read; a PUT of the twin (muster hub device-twin replace) empties what is too large"
    )]
    TooLarge {
        identity: Identity,
        /// `tags`, `desired properties` or `reported properties`.
        part: &'static str,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StoreError> for TwinError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}
