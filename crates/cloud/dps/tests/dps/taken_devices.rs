//! A hub device that an operator deleted, and that the record of another registration still names.

use axum::http::Method;
use serde_json::json;

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{Service, individual};

const WEBHOOK: &str = "https://functions.test/allocate";

/// Registers `first` as device `shared`, deletes that device, and enrolls `second` for it with a
/// webhook that would choose the same hub.
async fn prepared() -> (Service, pki::Certificate) {
    let service = Service::start().await;
    let leaf = self_signed("first");
    let mut enrollment = individual("first", &leaf);
    enrollment["deviceId"] = json!("shared");
    service.create("/enrollments/first", &enrollment).await;
    service.provision("first", &chain(&[&leaf])).await;
    let (hub, device) = ("hub".parse().unwrap(), "shared".parse().unwrap());
    let registry = service.provisioning.registry();
    let deleted = registry.delete_device(&hub, &device, &registry::IfMatch::Any);
    deleted.await.unwrap();

    let leaf = self_signed("second");
    let mut enrollment = individual("second", &leaf);
    enrollment["deviceId"] = json!("shared");
    enrollment["allocationPolicy"] = json!("custom");
    enrollment["customAllocationDefinition"] =
        json!({"webhookUrl": WEBHOOK, "apiVersion": "2021-10-01"});
    service.create("/enrollments/second", &enrollment).await;
    (service, leaf)
}

#[tokio::test]
async fn a_webhooks_choice_of_a_taken_device_fails_with_its_owner_after_one_call() {
    let (service, leaf) = prepared().await;
    let answer = json!({"iotHubHostName": "hub.test"});
    service.webhook.will_answer(200, &answer);
    service.run();
    let state = service.provision_pending("second", &chain(&[&leaf])).await;
    assert_eq!(state["status"], "failed", "{state}");
    assert_eq!(state["errorCode"], 409_205, "{state}");
    assert!(state["errorMessage"].as_str().unwrap().contains("first"));
    assert_eq!(service.webhook.times(), 1);
}

#[tokio::test]
async fn explain_refuses_a_taken_device_as_the_assignment_does() {
    let (service, leaf) = prepared().await;
    let path = "/enrollments/second";
    let mut enrollment = service.operate(Method::GET, path, &[], None).await.body;
    enrollment["allocationPolicy"] = json!("hashed");
    let written = [("if-match", "*")];
    service
        .operate(Method::PUT, path, &written, Some(&enrollment))
        .await;
    let explained = service.explain("second", &Attempt::by(&[&leaf])).await;
    assert_eq!(explained["decision"], "failed", "{explained}");
    let state = service.provision("second", &chain(&[&leaf])).await;
    assert_eq!(state["status"], "failed", "{state}");
    assert_eq!(state["errorCode"], explained["errorCode"]);
}
