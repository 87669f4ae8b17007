//! A block shuts a device out of enrollment, group and hub at once, and is taken back whole.

use axum::http::{Method, StatusCode};
use serde_json::json;
use wire::service_api::identity::Status;

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::keys::symmetric;
use crate::harness::{Service, group, individual};

impl Service {
    pub(crate) async fn block(&self, method: Method, id: &str) -> crate::harness::Answer {
        let path = format!("/muster/v1/dps/blocks/{id}");
        self.operate(method, &path, &[], Some(&json!({"reason": "stolen"})))
            .await
    }

    async fn status(&self, device: &str) -> Status {
        let hub = self.provisioning.service().hubs[0].name.clone();
        let device = ids::DeviceId::parse(device).unwrap();
        self.provisioning
            .registry()
            .device(&hub, &device)
            .await
            .unwrap()
            .status
    }
}

#[tokio::test]
async fn a_device_of_a_group_is_shut_out_and_let_in_again() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    let other = chain(&[&root.leaf("device-2"), &root.certificate]);
    service.provision("device-1", &presented).await;
    let blocked = service.block(Method::PUT, "device-1").await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.body);
    assert_eq!(blocked.body["deviceId"], "device-1");
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
    assert_eq!(service.status("device-1").await, Status::Disabled);
    // By its record the hub device is found when the block is taken back.
    let record = "/registrations/device-1";
    let deleted = service.operate(Method::DELETE, record, &[], None).await;
    assert_eq!(deleted.error(), 409_203);
    assert!(deleted.message().contains("muster dps unblock"));
    assert_eq!(
        service.provision("device-2", &other).await["status"],
        "assigned"
    );
    assert_eq!(
        service.block(Method::PUT, "device-1").await.error(),
        409_203
    );

    let taken_back = service.block(Method::DELETE, "device-1").await;
    assert_eq!(taken_back.status, StatusCode::NO_CONTENT);
    assert_eq!(service.status("device-1").await, Status::Enabled);
    assert_eq!(
        service.provision("device-1", &presented).await["status"],
        "assigned"
    );
    let path = "/enrollments/device-1";
    let made = service.operate(Method::GET, path, &[], None).await;
    assert_eq!(made.error(), 404_201);
    assert_eq!(
        service.block(Method::DELETE, "device-1").await.error(),
        404_202
    );
    let acts: Vec<String> = service.audited();
    assert!(
        acts.contains(&"device.block device-1".to_owned()),
        "{acts:?}"
    );
}

#[tokio::test]
async fn an_individual_enrollment_is_disabled_and_one_that_was_disabled_stays_so() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    service.create("/enrollments/edge-001", &body).await;
    let presented = chain(&[&leaf]);
    service.block(Method::PUT, "edge-001").await;
    assert_eq!(
        service.register("edge-001", &presented).await.error(),
        401_002
    );
    let path = "/enrollments/edge-001";
    let read = service.operate(Method::GET, path, &[], None).await;
    assert_eq!(read.body["provisioningStatus"], "disabled");
    service.block(Method::DELETE, "edge-001").await;
    assert_eq!(
        service.provision("edge-001", &presented).await["status"],
        "assigned"
    );

    body["provisioningStatus"] = json!("disabled");
    service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&body))
        .await;
    service.block(Method::PUT, "edge-001").await;
    service.block(Method::DELETE, "edge-001").await;
    assert_eq!(
        service.register("edge-001", &presented).await.error(),
        401_002
    );
}

#[tokio::test]
async fn what_keeps_a_blocked_device_out_is_neither_deleted_nor_written() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    service.block(Method::PUT, "device-1").await;
    let path = "/enrollments/device-1";
    let deleted = service.operate(Method::DELETE, path, &[], None).await;
    assert_eq!(deleted.error(), 409_201);
    assert!(
        deleted.message().contains("muster dps unblock"),
        "{}",
        deleted.body
    );
    let body = symmetric("registrationId", "device-1", &json!({}));
    let put = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&body))
        .await;
    assert_eq!(put.error(), 409_201);
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
    service.block(Method::DELETE, "device-1").await;
    assert_eq!(
        service.provision("device-1", &presented).await["status"],
        "assigned"
    );
}

#[tokio::test]
async fn a_device_is_found_by_what_its_hub_calls_it() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["deviceId"] = json!("Lathe");
    service.create("/enrollments/edge-001", &body).await;
    let presented = chain(&[&leaf]);
    service.provision("edge-001", &presented).await;
    let hub = service.provisioning.service().hubs[0].name.clone();
    let blocked = service
        .block(Method::PUT, &format!("{hub}/devices/Lathe"))
        .await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.body);
    assert_eq!(blocked.body["registrationId"], "edge-001");
    assert_eq!(
        service.register("edge-001", &presented).await.error(),
        401_002
    );
    assert_eq!(service.status("Lathe").await, Status::Disabled);
    let of_nobody = service
        .block(Method::PUT, &format!("{hub}/devices/edge-001"))
        .await;
    assert_eq!(of_nobody.error(), 404_202);
    let unblocked = service
        .block(Method::DELETE, &format!("{hub}/devices/Lathe"))
        .await;
    assert_eq!(unblocked.status, StatusCode::NO_CONTENT);
    assert_eq!(service.status("Lathe").await, Status::Enabled);
    service.provision("edge-001", &presented).await;
}

/// A9: an operator of the hub who disables the device during a block is not overruled when
/// the block is taken back.
#[tokio::test]
async fn what_the_hub_disabled_since_stays_disabled() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let presented = chain(&[&root.leaf("device-1"), &root.certificate]);
    service.provision("device-1", &presented).await;
    service.block(Method::PUT, "device-1").await;
    let hub = service.provisioning.service().hubs[0].name.clone();
    let device = ids::DeviceId::parse("device-1").unwrap();
    let request = wire::service_api::identity::DeviceRequest {
        status: Some(Status::Disabled),
        status_reason: Some("water damage".to_owned()),
        ..wire::service_api::identity::DeviceRequest::default()
    };
    let any = registry::IfMatch::Any;
    let now = ids::Timestamp::from_unix_seconds(1_900_000_000);
    let put = service
        .provisioning
        .registry()
        .put_device(&hub, &device, request, &any, now);
    put.await.unwrap();
    let taken_back = service.block(Method::DELETE, "device-1").await;
    assert_eq!(taken_back.status, StatusCode::NO_CONTENT);
    let found = service
        .provisioning
        .registry()
        .device(&hub, &device)
        .await
        .unwrap();
    assert_eq!(found.status, Status::Disabled);
    assert_eq!(found.status_reason.as_deref(), Some("water damage"));
}
