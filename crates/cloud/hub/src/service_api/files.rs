//! `/devices/{id}/files`: a device asks where to upload a file to, and says when it is complete.

use std::str::FromStr;

use ids::{DeviceId, Etag, IdError, Identity};
use registry::{FileUpload, UploadError};
use rest::{Reply, get, post};
use wire::file_upload::{
    BlobName, BlobSas, CONTAINER, FileNotification, UploadCompletion, UploadGrant, parse_request,
};

use super::access::Access;
use super::{Call, Route};
use crate::error::HubError;
use crate::quantities::Quantity;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post(
            "/devices/{device}/files",
            Access::Sender,
            |call, _device: DeviceId| begin(call),
        ),
        get(
            "/devices/{device}/files/{name}",
            Access::Sender,
            |call, _device: DeviceId, name: FileName| begin_by_path(call, name),
        ),
        post(
            "/devices/{device}/files/notifications",
            Access::Sender,
            |call, _device: DeviceId| end(call, None),
        ),
        post(
            "/devices/{device}/files/notifications/{upload}",
            Access::Sender,
            |call, _device: DeviceId, upload: Etag| end(call, Some(upload)),
        ),
    ]
}

/// A segment of the path; what is wrong with it is said by its handler.
struct FileName(String);

impl FromStr for FileName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(text.to_owned()))
    }
}

fn device(call: &Call) -> Result<&Identity, HubError> {
    let sender = call.permit.sender().ok_or(HubError::NoCredentials)?;
    Ok(sender.identity)
}

/// The host name of the hub, where its blobs are too.
fn host(call: &Call) -> Result<String, HubError> {
    let hubs = call.service.registry().hubs();
    let local = hubs.named(call.permit.hub());
    let missing = || HubError::NoSuchHub(call.permit.hub().to_string());
    Ok(local.ok_or_else(missing)?.host.to_string())
}

async fn begin(call: Call) -> Result<Reply, HubError> {
    let name = parse_request(&call.body)?;
    grant(call, &name).await
}

/// The form of early versions of the API, which names the file in the path.
async fn begin_by_path(call: Call, FileName(name): FileName) -> Result<Reply, HubError> {
    let name = BlobName::parse(&name);
    let name = name.map_err(|problem| HubError::Bad(format!("the name of the file {problem}")))?;
    grant(call, &name).await
}

async fn grant(call: Call, name: &BlobName) -> Result<Reply, HubError> {
    let (registry, now) = (call.service.registry(), call.service.now());
    let device = device(&call)?;
    call.service
        .count((&device.hub, Some(device)), (Quantity::FileUploads, 1))?;
    let upload = registry.begin_upload(device, name, now).await?;
    let (id, resource) = (&upload.correlation_id, upload.resource());
    let sas_token = BlobSas::grant(&upload.key, &resource, id, upload.expires);
    Ok(Reply::json(&UploadGrant {
        blob_name: upload.blob(),
        correlation_id: upload.correlation_id,
        host_name: host(&call)?,
        container_name: CONTAINER,
        sas_token,
    }))
}

/// 204 once back ends can read of the file, if it is complete.
async fn end(call: Call, path: Option<Etag>) -> Result<Reply, HubError> {
    let completion = UploadCompletion::parse(&call.body)?;
    let named = path.map(|upload| upload.to_string());
    let correlation_id = named.or(completion.correlation_id);
    let correlation_id = correlation_id.unwrap_or_default();
    let (registry, now) = (call.service.registry(), call.service.now());
    let of = device(&call)?;
    let find = || match registry.file_upload(&correlation_id, now) {
        Ok(found) if found.hub != of.hub || found.device != of.device || of.module.is_some() => {
            Err(UploadError::Unknown)
        }
        found => found,
    };
    find()?;
    // What its requests write is there before it ends, or is refused.
    let uploads = call.service.uploads();
    let turn = uploads.turn(&correlation_id).await;
    let upload = find()?;
    let notification = match completion.is_success {
        true => Some(notification(&call, &upload)?),
        false => None,
    };
    registry.end_upload(&upload, notification, now).await?;
    if let Err(error) = uploads.forget(&upload.correlation_id, turn).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "parts of an uploaded file were not deleted now; they are later"
        );
    }
    Ok(Reply::no_content())
}

fn notification(call: &Call, upload: &FileUpload) -> Result<FileNotification, HubError> {
    let blob = upload.blob();
    let missing = || HubError::Bad(format!("the file {blob:?} was not uploaded"));
    let written = upload.written.ok_or_else(missing)?;
    let path: Vec<String> = blob.split('/').map(wire::http::encode_segment).collect();
    Ok(FileNotification {
        device_id: upload.device.clone(),
        blob_uri: format!("https://{}/{CONTAINER}/{}", host(call)?, path.join("/")),
        blob_name: blob,
        last_updated_time: written.modified,
        blob_size_in_bytes: written.bytes,
        enqueued_time_utc: call.service.now(),
    })
}
