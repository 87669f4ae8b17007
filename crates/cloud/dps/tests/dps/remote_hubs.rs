//! Devices of remote hubs: assigned, moved, blocked, and what happens when such
//! a hub does not answer.

use axum::http::{Method, StatusCode};
use provisioning::RegistrationState;
use serde_json::json;

use crate::harness::remote::NEAR;
use crate::harness::remote_hub_server::{HOST, Mood};
use crate::harness::{Answer, Service};

impl Service {
    async fn shut_out(&self, id: &str, method: Method) -> Answer {
        let path = format!("/muster/v1/dps/blocks/{id}");
        self.operate(method, &path, &[], Some(&json!({}))).await
    }
}

#[tokio::test]
async fn a_device_is_made_at_a_remote_hub_with_its_first_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    let presented = service
        .enroll("d", HOST, json!({"capabilities": {"iotEdge": true}}))
        .await;
    service.run();
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["status"], "assigned", "{state}");
    assert_eq!(
        (&state["assignedHub"], &state["deviceId"]),
        (&json!(HOST), &json!("d"))
    );
    assert_eq!(state["substatus"], "initialAssignment");
    let device = service.webhook.remote.device("d").unwrap();
    assert_eq!(device["capabilities"]["iotEdge"], true);
    assert_eq!(device["authentication"]["type"], "selfSigned");
    let thumbprint = device["authentication"]["x509Thumbprint"]["primaryThumbprint"].as_str();
    let leaf = presented.leaf().sha256().to_string();
    assert!(thumbprint.unwrap().eq_ignore_ascii_case(&leaf));
    let twin = service.webhook.remote.twin("d");
    assert_eq!(
        (&twin["tags"]["by"], &twin["properties"]["desired"]["v"]),
        (&json!("enrollment"), &json!(1))
    );
    assert!(service.near_twin("d").await.is_none(), "it is in one hub");
    let audited = service.audited();
    assert!(
        audited.contains(&"registration.assigned d".to_owned()),
        "{audited:?}"
    );

    // Again: the twin is the hub's, what it proves itself with follows.
    let (tags, reported) = (json!({"by": "hub"}), json!({"up": true}));
    service
        .webhook
        .remote
        .set_twin("d", tags, json!({}), reported);
    let again = service.provision_pending("d", &presented).await;
    assert_eq!(again["substatus"], "initialAssignment", "R3");
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "hub");
    assert_eq!(service.webhook.remote.created(), 1);
}

#[tokio::test]
async fn a_device_that_an_operator_made_at_a_remote_hub_keeps_its_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    service.webhook.remote.has_device("d");
    let presented = service.enroll("d", HOST, json!({})).await;
    service.run();
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["status"], "assigned", "{state}");
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "operator");
    let device = service.webhook.remote.device("d").unwrap();
    assert_eq!(
        device["authentication"]["type"], "selfSigned",
        "its proof follows"
    );
}

#[tokio::test]
async fn a_server_that_dies_between_two_calls_makes_no_second_device() {
    let service = Service::start().await;
    service.link_remote().await;
    let presented = service.enroll("d", HOST, json!({})).await;
    service.webhook.remote.set(Mood::SilentAboutTwins);
    service.run();
    service.register("d", &presented).await;
    service
        .wait_until("the device", async || {
            service.webhook.remote.device("d").is_some()
        })
        .await;
    service.stop().await;
    let service = service.restarted().await;
    service.webhook.remote.set(Mood::Well);
    service.run();
    // Read and not asked for again: what was pending is resumed by itself.
    let state = async || {
        service
            .operate(Method::GET, "/registrations/d", &[], None)
            .await
            .body
    };
    service
        .wait_until("the assignment", async || {
            state().await["status"] == "assigned"
        })
        .await;
    assert_eq!(state().await["substatus"], "initialAssignment");
    assert_eq!(service.webhook.remote.created(), 1);
    assert_eq!(
        service.webhook.remote.twin("d")["tags"]["by"],
        "enrollment",
        "and its twin is whole"
    );
}

#[tokio::test]
async fn a_webhook_may_choose_a_remote_hub() {
    let service = Service::start().await;
    service.link_remote().await;
    let custom = json!({
        "allocationPolicy": "custom", "iotHubs": [HOST, NEAR],
        "customAllocationDefinition": {"webhookUrl": "https://f.example/", "apiVersion": "2021-10-01"},
    });
    let presented = service.enroll("d", HOST, custom).await;
    service.run();
    let twin = json!({"tags": {"by": "webhook"}, "properties": {"desired": {}}});
    let answer = json!({"iotHubHostName": HOST, "initialTwin": twin, "payload": 7});
    service.webhook.will_answer(200, &answer);
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&state["assignedHub"], &state["payload"]),
        (&json!(HOST), &json!(7)),
        "{state}"
    );
    assert_eq!(service.webhook.times(), 1, "asked once, carried out once");
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "webhook");
    let notes = service.notes("d").await;
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0]["output"], answer);
}

#[tokio::test]
async fn a_block_reaches_remote_hubs_as_soon_as_they_answer() {
    let service = Service::start().await;
    service.link_remote().await;
    let presented = service.enroll("d", HOST, json!({})).await;
    service.run();
    service.provision_pending("d", &presented).await;
    let status = || service.webhook.remote.device("d").unwrap()["status"].clone();

    let blocked = service.shut_out("d", Method::PUT).await.body;
    assert_eq!(blocked["hubs"], json!([{"hub": "remote", "state": "done"}]));
    assert_eq!(
        (status(), &blocked["deviceId"]),
        (json!("disabled"), &json!("d"))
    );
    assert_eq!(
        service.shut_out("d", Method::DELETE).await.status,
        StatusCode::NO_CONTENT
    );
    service
        .wait_until("enabled", async || status() == "enabled")
        .await;

    service.webhook.remote.set(Mood::Down);
    let blocked = service.shut_out("d", Method::PUT).await.body;
    assert_eq!(blocked["hubs"][0]["state"], "pending", "{blocked}");
    let problem = blocked["hubs"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("connection refused"), "{problem}");
    assert_eq!(service.remote_link().await["health"]["remoteTasks"], 1);
    assert_eq!(status(), "enabled");
    service.webhook.remote.set(Mood::Well);
    service
        .wait_until("disabled", async || status() == "disabled")
        .await;
    assert_eq!(service.register("d", &presented).await.error(), 401_002);
}

#[tokio::test]
async fn a_device_that_is_blocked_on_its_way_is_not_left_behind() {
    let service = Service::start().await;
    service.link_remote().await;
    let presented = service.enroll("d", HOST, json!({})).await;
    service.webhook.remote.set(Mood::SilentAboutTwins);
    service.run();
    service.register("d", &presented).await;
    service
        .wait_until("the device", async || {
            service.webhook.remote.device("d").is_some()
        })
        .await;
    service.stop().await;
    let blocked = service.shut_out("d", Method::PUT).await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.body);
    let service = service.restarted().await;
    service.webhook.remote.set(Mood::Well);
    service.run();
    service
        .wait_until("removal", async || {
            service.webhook.remote.device("d").is_none()
        })
        .await;
    let id = "d".parse().unwrap();
    let record = service
        .provisioning
        .registration(&id)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(
            record.state,
            RegistrationState::Failed { code: 409_201, .. }
        ),
        "{record:?}"
    );
}

/// D4: a device that somebody made between the plan and its execution keeps its twin, like
/// one that was made beforehand.
#[tokio::test]
async fn a_device_that_somebody_else_was_faster_to_make_keeps_its_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    let twin =
        json!({"initialTwin": {"tags": {"by": "enrollment"}, "properties": {"desired": {}}}});
    let presented = service.enroll("d", HOST, twin).await;
    service.webhook.remote.set(Mood::Overtaken);
    service.run();
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["assignedHub"], HOST);
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "operator");
    let device = service.webhook.remote.device("d").unwrap();
    assert_eq!(device["authentication"]["type"], "selfSigned", "{device}");
}
