//! Files that devices upload: the calls to the hub before and after, and as much of the Azure
//! storage dialect as the SDKs speak between them.

mod blob_name;
mod blob_sas;
mod block_list;

pub use blob_name::{BlobName, blob_of_path};
pub use blob_sas::{BlobSas, BlobSasError, WritePermission};
pub use block_list::{BlockId, BlockListError, MAX_BLOCKS, parse_block_list};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{DeviceId, Timestamp};
use serde::Serialize;

use crate::lenient::{self, BodyError, Fields};

/// The container of all blobs: the first segment of their paths.
pub const CONTAINER: &str = "uploads";

/// The answer to a device that asks where to upload a file to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadGrant {
    /// Names the upload in the notification that ends it.
    pub correlation_id: String,
    /// The host of the blob endpoint, with a port when HTTPS is not on 443.
    pub host_name: String,
    /// The first segment of the blob's path.
    pub container_name: &'static str,
    /// The rest of the blob's path: the device id, and the name that the device asked for.
    pub blob_name: String,
    /// What follows the path, `?` included.
    pub sas_token: String,
}

/// Reads the body of `POST /devices/{id}/files`: `{"blobName": "a/b.txt"}`.
///
/// # Errors
/// When it is not such an object, or the name is not one of a blob.
pub fn parse_request(body: &[u8]) -> Result<BlobName, BodyError> {
    let body = lenient::parse(body)?;
    let fields = Fields::of_body(&body)?;
    let name = fields.text("blobName")?;
    let name = name.ok_or_else(|| fields.error("blobName", "is missing"))?;
    BlobName::parse(name).map_err(|problem| fields.error("blobName", problem))
}

/// The content type of a notification about a file.
pub const FILE_NOTIFICATION: &str = "application/vnd.microsoft.iothub.filenotification.json";

/// What a device says at the end of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadCompletion {
    /// Names the upload; absent when the path does.
    pub correlation_id: Option<String>,
    /// Whether the file is complete.
    pub is_success: bool,
}

impl UploadCompletion {
    /// Reads the body of `POST /devices/{id}/files/notifications`. The status that the device got
    /// from the blob endpoint is for its own log.
    ///
    /// # Errors
    /// When it is not such an object.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let body = lenient::parse(body)?;
        let fields = Fields::of_body(&body)?;
        let is_success = fields.boolean("isSuccess")?;
        Ok(Self {
            correlation_id: fields.text("correlationId")?.map(str::to_owned),
            is_success: is_success.ok_or_else(|| fields.error("isSuccess", "is missing"))?,
        })
    }
}

/// What back ends read about a file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileNotification {
    /// The device that uploaded it.
    pub device_id: DeviceId,
    /// Its address, without a token.
    pub blob_uri: String,
    /// The device id, and the name that the device asked for.
    pub blob_name: String,
    /// When it was written last.
    pub last_updated_time: Timestamp,
    /// Bytes.
    pub blob_size_in_bytes: u64,
    /// When the device said that it is complete.
    pub enqueued_time_utc: Timestamp,
}

/// An MD5 digest as the header `Content-MD5` carries it, base64.
#[must_use]
pub fn md5_text(digest: [u8; 16]) -> String {
    STANDARD.encode(digest)
}

/// Reads the header `Content-MD5`; `None` when it is not base64 of 16 bytes.
#[must_use]
pub fn md5_of_text(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_devices_are_read() {
        let name = parse_request(br#"{"BlobName": "logs/a b.txt"}"#).unwrap();
        assert_eq!(name.as_str(), "logs/a b.txt");
        for body in ["{}", "[]", r#"{"blobName": "../a"}"#] {
            let error = parse_request(body.as_bytes()).unwrap_err();
            assert!(!error.to_string().is_empty(), "{body}");
        }
        let done = br#"{"correlationId": "c", "isSuccess": "True", "statusCode": 201}"#;
        let done = UploadCompletion::parse(done).unwrap();
        assert_eq!(
            (done.correlation_id.as_deref(), done.is_success),
            (Some("c"), true)
        );
        assert!(UploadCompletion::parse(b"{}").is_err());
    }
}
