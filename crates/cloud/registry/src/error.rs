use ids::{HubHost, HubName};

/// The storage failed: disk full, input/output error, damaged file. Nothing of the operation
/// happened or was acknowledged.
///
/// Its text names the file. For callers outside: answer 500/503, log this.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the data directory cannot be used")]
pub struct StorageError(#[source] pub(crate) store::StoreError);

impl From<store::StoreError> for StorageError {
    fn from(error: store::StoreError) -> Self {
        Self(error)
    }
}

impl StorageError {
    /// Whether a row or document is at fault, and not the storage: others can be read.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.0.is_damaged()
    }
}

/// For units, whose writing fails only with the storage.
impl From<StorageError> for store::StoreError {
    fn from(error: StorageError) -> Self {
        error.0
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory, its lock, its database or its log.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// It opened, but could not be read or initialised.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The event log of a hub cannot be used.
    #[error("the data directory cannot be used")]
    EventLog(#[from] events::EventLogError),
    /// The server was given a host name that one of its other hubs has.
    #[error(
        "the host name {host} is that of the hub {name:?} of this server; start with another \
         --hostname, or delete that hub first",
        name = hub.as_str()
    )]
    HostTaken { host: HubHost, hub: HubName },
}

/// Why nothing can be kept now.
#[derive(Debug, thiserror::Error)]
#[error("the data directory cannot be used")]
pub enum NotWritable {
    Database(#[source] store::StoreError),
    EventLog(#[from] events::EventLogError),
}

impl From<StorageError> for NotWritable {
    fn from(error: StorageError) -> Self {
        Self::Database(error.0)
    }
}

impl From<store::StoreError> for OpenError {
    fn from(error: store::StoreError) -> Self {
        StorageError(error).into()
    }
}
