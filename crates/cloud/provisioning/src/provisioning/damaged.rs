//! Rows of lists that cannot be read: the others are listed (decision 0036).

use registry::StorageError;

/// What was read, or `None` when it is damaged, which is logged with its name. Any other failure
/// is the storage's.
pub(super) fn readable<T>(
    what: &'static str,
    name: &str,
    read: Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    match read {
        Err(error) if error.is_damaged() => {
            tracing::error!(
                name,
                error = &error as &dyn std::error::Error,
                "{what} is damaged and left out: write it again, or delete it"
            );
            Ok(None)
        }
        read => read.map(Some),
    }
}
