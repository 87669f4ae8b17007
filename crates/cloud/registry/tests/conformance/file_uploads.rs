//! Uploads of devices: what ends them, and what does not.

use std::time::Duration;

use ids::Identity;
use registry::{IfMatch, UploadError, WrittenFile};
use wire::file_upload::BlobName;
use wire::service_api::identity::{DeviceRequest, Status};

use crate::unreadable::corrupt;
use crate::{Bench, device, hub};

async fn put(bench: &Bench, id: &str, status: Status, guard: IfMatch) -> Identity {
    let (hub, name) = (hub(), device(id));
    let request = DeviceRequest {
        status: Some(status),
        ..DeviceRequest::default()
    };
    let put = bench
        .registry
        .put_device(&hub, &name, request, &guard, bench.now());
    put.await.unwrap();
    Identity::device(hub, name)
}

pub(crate) async fn a_damaged_device_does_not_stop_the_expiry_of_other_uploads(bench: Bench) {
    let d1 = put(&bench, "d1", Status::Enabled, IfMatch::Absent).await;
    let d2 = put(&bench, "d2-to-be-damaged", Status::Enabled, IfMatch::Absent).await;
    let name = BlobName::parse("a").unwrap();
    // The longest expired of all.
    let earlier = bench.now().minus(Duration::from_secs(60));
    let second = bench.registry.begin_upload(&d2, &name, earlier);
    let second = second.await.unwrap();
    let first = bench.registry.begin_upload(&d1, &name, bench.now());
    let first = first.await.unwrap();
    let bench = corrupt(bench, "hubd2-to-be-damaged", "hubd2-to-be/damaged").await;
    let tomorrow = bench.now().plus(Duration::from_secs(24 * 3600));
    let ended = bench.registry.expire_uploads(tomorrow).await.unwrap();
    assert_eq!(ended, 2, "the damaged one, too");
    for upload in [first, second] {
        let id = &upload.correlation_id;
        assert!(bench.registry.upload_has_ended(id, bench.now()).unwrap());
    }
    assert_eq!(bench.registry.expire_uploads(tomorrow).await.unwrap(), 0);
}

pub(crate) async fn a_file_is_entered_while_its_upload_is_open(bench: Bench) {
    let (registry, now) = (&bench.registry, bench.now());
    let d1 = put(&bench, "d1", Status::Enabled, IfMatch::Absent).await;
    let name = BlobName::parse("a").unwrap();
    let upload = registry.begin_upload(&d1, &name, now).await.unwrap();
    let id = upload.correlation_id.as_str();
    let file = WrittenFile {
        bytes: 5,
        modified: now,
    };
    put(&bench, "d1", Status::Disabled, IfMatch::Any).await;
    let disabled = registry.enter_written_file(&upload, file, now).await;
    assert!(matches!(disabled, Err(UploadError::Disabled(_))));
    let disabled = registry.file_upload(id, now);
    assert!(matches!(disabled, Err(UploadError::Disabled(_))));
    assert!(!registry.upload_has_ended(id, now).unwrap());
    put(&bench, "d1", Status::Enabled, IfMatch::Any).await;
    assert_eq!(registry.file_upload(id, now).unwrap().written, None);
    let entered = registry.enter_written_file(&upload, file, now);
    entered.await.unwrap();
    assert_eq!(registry.file_upload(id, now).unwrap().written, Some(file));
    registry.end_upload(&upload, None, now).await.unwrap();
    let ended = registry.enter_written_file(&upload, file, now).await;
    assert!(matches!(ended, Err(UploadError::Unknown)));
}
