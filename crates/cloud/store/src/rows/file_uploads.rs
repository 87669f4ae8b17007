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
