//! Files that devices upload: who may, and how long.

use std::time::Duration;

use ids::{DeviceId, HubName, Identity, Timestamp};
use wire::file_upload::BlobName;
use wire::sas::SharedAccessKey;

use crate::StorageError;

/// Uploads that one device may have begun and not ended.
pub const MAX_UPLOADS: usize = 10;
/// How long a device has for an upload.
pub const UPLOAD_TTL: Duration = Duration::from_secs(3600);

/// An upload that a device has begun.
#[derive(Debug, Clone)]
pub struct FileUpload {
    pub hub: HubName,
    pub device: DeviceId,
    pub correlation_id: String,
    pub name: BlobName,
    /// Signs the token for the blob.
    pub key: SharedAccessKey,
    pub expires: Timestamp,
    /// What the device wrote last.
    pub written: Option<WrittenFile>,
}

/// A file that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenFile {
    pub bytes: u64,
    pub modified: Timestamp,
}

impl FileUpload {
    /// The blob in its container: the device id, and the name that the device gave.
    #[must_use]
    pub fn blob(&self) -> String {
        format!("{}/{}", self.device, self.name.as_str())
    }

    /// What its token is signed for: a blob of one hub.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/{}", self.hub, self.blob())
    }
}

/// Why an upload was not begun or ended.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("{0} does not exist")]
    NotFound(Identity),
    #[error(
        "{MAX_UPLOADS} uploads of {0} are open; each ends with a notification, or after an hour"
    )]
    TooMany(Identity),
    /// It has ended, its time is over, or another device began it.
    #[error("there is no open upload with this correlation id")]
    Unknown,
    #[error("{0} is disabled")]
    Disabled(Identity),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for UploadError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
