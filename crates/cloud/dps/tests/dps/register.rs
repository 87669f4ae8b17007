//! Registration and what becomes of it.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use ids::{DeviceId, HubName, Identity, RegistrationId};
use serde_json::json;

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::{Service, group, individual};

fn device(id: &str) -> Identity {
    Identity {
        hub: HubName::parse("hub").unwrap(),
        device: DeviceId::parse(id).unwrap(),
        module: None,
    }
}

#[tokio::test]
async fn a_device_with_its_own_enrollment_is_assigned_with_its_first_twin() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let presented = chain(&[&leaf]);

    let accepted = service.register("edge-001", &presented).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(accepted.header("retry-after"), "1");
    let location = format!(
        "https://dps.test/{}/registrations/edge-001/register",
        service.id_scope()
    );
    assert_eq!(accepted.header("location"), location);
    assert_eq!(accepted.body["status"], "assigning");
    let state = &accepted.body["registrationState"];
    assert_eq!(
        *state,
        json!({"registrationId": "edge-001", "status": "assigning"})
    );

    // The twin is there before the device has polled.
    let twin = service
        .provisioning
        .registry()
        .twin(&device("edge-001"))
        .await
        .unwrap()
        .twin;
    assert_eq!(twin.tags["environment"], "test");
    assert_eq!(twin.desired.document["rate"], 5);

    let state = service.provision("edge-001", &presented).await;
    assert_eq!(state["assignedHub"], "hub.test");
    assert_eq!(state["deviceId"], "edge-001");
    assert_eq!(
        state["substatus"], "initialAssignment",
        "the second time, R3"
    );
    assert_eq!(
        state["createdDateTimeUtc"].as_str().unwrap().len(),
        "2026-01-02T03:04:05.6789012Z".len()
    );
    let info = &state["x509"]["certificateInfo"];
    assert_eq!(info["sha256Thumbprint"], leaf.sha256().to_string());
    assert_eq!(info.as_object().unwrap().len(), 8);
}

#[tokio::test]
async fn an_edge_device_gets_its_system_modules_in_the_same_breath() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    service.provision("edge-001", &chain(&[&leaf])).await;
    assert_eq!(
        modules(&service, "edge-001").await,
        ["$edgeAgent", "$edgeHub"]
    );
}

#[tokio::test]
async fn a_plain_device_has_no_modules() {
    let service = Service::start().await;
    let leaf = self_signed("plain-001");
    let mut body = individual("plain-001", &leaf);
    body.as_object_mut().unwrap().remove("capabilities");
    service.create("/enrollments/plain-001", &body).await;
    service.provision("plain-001", &chain(&[&leaf])).await;
    assert!(modules(&service, "plain-001").await.is_empty());
}

#[tokio::test]
async fn all_devices_of_a_group_are_edge_devices_or_none_is() {
    let service = Service::start().await;
    let root = Ca::root("root");
    for (is_edge, expected) in [(true, &["$edgeAgent", "$edgeHub"][..]), (false, &[])] {
        let name = format!("edge-{is_edge}");
        let ca = root.intermediate(&name);
        let mut body = group(&name, &ca.certificate);
        body["capabilities"]["iotEdge"] = json!(is_edge);
        let path = format!("/enrollmentGroups/{name}");
        service.create(&path, &body).await;
        for id in ["a", "b"].map(|id| format!("{id}-{is_edge}")) {
            let presented = chain(&[&ca.leaf(&id), &ca.certificate]);
            service.provision(&id, &presented).await;
            assert_eq!(modules(&service, &id).await, expected, "{id}");
        }
    }
}

async fn modules(service: &Service, id: &str) -> Vec<String> {
    let identity = device(id);
    let registry = service.provisioning.registry();
    let modules = registry.list_modules(&identity.hub, &identity.device);
    let modules = modules.await.unwrap().into_iter();
    modules.map(|module| module.module_id.to_string()).collect()
}

#[tokio::test]
async fn a_poll_survives_a_restart_and_is_for_one_registration_only() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let (one, two) = (root.leaf("device-1"), root.leaf("device-2"));
    let (one, two) = (
        chain(&[&one, &root.certificate]),
        chain(&[&two, &root.certificate]),
    );
    let accepted = service.register("device-1", &one).await;
    service.register("device-2", &two).await;
    let operation = accepted.body["operationId"].as_str().unwrap().to_owned();

    let service = service.restarted().await;
    let polled = service.poll("device-1", &one, &operation).await;
    assert_eq!(polled.body["status"], "assigned");
    assert_eq!(
        service.poll("device-2", &two, &operation).await.error(),
        404_203
    );
    assert_eq!(
        service.poll("device-1", &one, "5.0.0").await.error(),
        404_203
    );
    assert_eq!(
        service.poll("device-1", &two, &operation).await.error(),
        401_002
    );
}

#[tokio::test]
async fn the_certificate_of_before_still_polls_and_a_stranger_does_not() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let (first, second) = (root.leaf("device-1"), root.leaf("device-1"));
    let accepted = service
        .register("device-1", &chain(&[&first, &root.certificate]))
        .await;
    let operation = accepted.body["operationId"].as_str().unwrap();
    // Rolled over between register and poll: verified anew, by the same group.
    let rolled = chain(&[&second, &root.certificate]);
    assert_eq!(
        service.poll("device-1", &rolled, operation).await.body["status"],
        "assigned"
    );
    let stranger = chain(&[&self_signed("device-1")]);
    assert_eq!(
        service.poll("device-1", &stranger, operation).await.error(),
        401_002
    );
}

#[tokio::test]
async fn registering_again_refreshes_the_thumbprint_and_keeps_the_twin() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    let (first, second) = (root.leaf("device-1"), root.leaf("Device-1"));
    let state = service
        .provision("device-1", &chain(&[&first, &root.certificate]))
        .await;
    assert_eq!(state["substatus"], "initialAssignment");
    service.advance(60);
    let again = service
        .provision("Device-1", &chain(&[&second, &root.certificate]))
        .await;
    assert_eq!(
        again["deviceId"], "device-1",
        "the first spelling names the device"
    );
    assert_eq!(again["createdDateTimeUtc"], state["createdDateTimeUtc"]);
    assert_ne!(
        again["lastUpdatedDateTimeUtc"],
        state["lastUpdatedDateTimeUtc"]
    );
    let identity = device("device-1");
    let stored = service
        .provisioning
        .registry()
        .device(&identity.hub, &identity.device)
        .await
        .unwrap();
    let stored = format!("{stored:?}");
    assert!(stored.contains(&second.sha256().to_string()), "{stored}");
    assert!(!stored.contains(&first.sha256().to_string()), "{stored}");
}

#[tokio::test]
async fn a_device_that_cannot_be_assigned_learns_it_when_it_polls() {
    let service = Service::start().await;
    let leaf = self_signed("device-2");
    let mut body = individual("device-2", &leaf);
    body["deviceId"] = json!("shared-name");
    service.create("/enrollments/device-2", &body).await;
    let first = self_signed("device-1");
    let mut body = individual("device-1", &first);
    body["deviceId"] = json!("shared-name");
    service.create("/enrollments/device-1", &body).await;
    service.provision("device-1", &chain(&[&first])).await;

    let state = service.provision("device-2", &chain(&[&leaf])).await;
    assert_eq!(state["status"], "failed");
    assert_eq!(state["errorCode"], 409_205);
    assert!(
        state["errorMessage"]
            .as_str()
            .unwrap()
            .contains("shared-name")
    );
}

#[tokio::test]
async fn without_a_hub_to_choose_the_registration_fails() {
    let service = Service::start().await;
    let leaf = self_signed("device-1");
    let body = individual("device-1", &leaf);
    service.create("/enrollments/device-1", &body).await;
    let out = json!({"applyAllocationPolicy": false});
    let path = "dps/linkedHubs/hub";
    service.own(Method::PUT, path, Some(&out)).await;
    let state = service.provision("device-1", &chain(&[&leaf])).await;
    assert_eq!(state["status"], "failed", "{state}");
    assert_eq!(state["assignedHub"], json!(null), "{state}");
}

#[tokio::test]
async fn status_lookup_tells_devices_only() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let presented = chain(&[&leaf]);
    let path = format!("/{}/registrations/edge-001", service.id_scope());
    let look_up = |chain| {
        service.device(
            Method::POST,
            &path,
            chain,
            Body::from("{\"registrationId\":\"edge-001\"}"),
        )
    };
    assert_eq!(
        look_up(Some(presented.clone())).await.error(),
        401_002,
        "not enrolled"
    );
    service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    assert_eq!(
        look_up(Some(presented.clone())).await.error(),
        404_202,
        "not registered"
    );
    service.provision("edge-001", &presented).await;
    assert_eq!(look_up(Some(presented)).await.body["status"], "assigned");
    assert_eq!(look_up(None).await.error(), 401_002);
}

#[tokio::test]
async fn operators_see_and_delete_registrations() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/all", &group("all", &root.certificate))
        .await;
    for number in 0..3 {
        let id = format!("device-{number}");
        service
            .provision(&id, &chain(&[&root.leaf(&id), &root.certificate]))
            .await;
    }
    let first = service
        .operate(
            Method::POST,
            "/registrations/all/query",
            &[("x-ms-max-item-count", "2")],
            None,
        )
        .await;
    assert_eq!(first.body.as_array().unwrap().len(), 2);
    assert_eq!(first.body[0]["assignedHub"], "hub.test");
    assert_eq!(first.header("x-ms-item-type"), "deviceRegistration");
    let token = first.header("x-ms-continuation");
    let rest = service
        .operate(
            Method::POST,
            "/registrations/ALL/query",
            &[("x-ms-continuation", token)],
            None,
        )
        .await;
    assert_eq!(rest.body[0]["registrationId"], "device-2");
    assert!(!rest.headers.contains_key("x-ms-continuation"));
    let none = service
        .operate(Method::POST, "/registrations/other/query", &[], None)
        .await;
    assert_eq!(none.error(), 404_204);

    let path = "/registrations/Device-1";
    assert_eq!(
        service.operate(Method::GET, path, &[], None).await.body["status"],
        "assigned"
    );
    let wrong = service
        .operate(Method::DELETE, path, &[("if-match", "\"other\"")], None)
        .await;
    assert_eq!(wrong.status, StatusCode::PRECONDITION_FAILED);
    let deleted = service
        .operate(Method::DELETE, path, &[("if-match", "*")], None)
        .await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(
        service.operate(Method::GET, path, &[], None).await.error(),
        404_202
    );
    let id = RegistrationId::parse("device-1").unwrap();
    let record = service.provisioning.registration(&id).await;
    assert!(record.unwrap().is_none());
}
