use ids::{DeviceId, HubName};

use crate::Secret;

/// A file that a device may upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUploadRow {
    pub hub: HubName,
    pub device_id: DeviceId,
    pub correlation_id: String,
    /// As the device gave it.
    pub blob_name: String,
    /// Base64 of the key that signs the token for the blob.
    pub key: Secret,
    /// 100 ns since 1970.
    pub expires: i64,
}

/// An upload with what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUploadRow {
    pub upload: FileUploadRow,
    /// Whether its device is enabled.
    pub enabled: bool,
    /// What the device wrote last.
    pub written: Option<WrittenFileRow>,
}

/// A file that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenFileRow {
    pub bytes: u64,
    /// 100 ns since 1970.
    pub modified: i64,
}

/// As much of an upload as its end needs, as it is stored: damaged ids end, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredUploadRow {
    pub hub: String,
    pub device_id: String,
    pub correlation_id: String,
}
