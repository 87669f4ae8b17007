//! Devices of remote hubs: assigned, moved, blocked, and what happens when such a hub does not answer.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use ids::Identity;
use pki::PresentedChain;
use provisioning::RegistrationState;
use serde_json::{Value, json};

use crate::custom_allocation::{Running, provision};
use crate::harness::{Answer, Service, individual};
use crate::hierarchy::{chain, self_signed};
use crate::remote_hub::{HOST, KEY, Mood};

pub const NEAR: &str = "hub.test";

impl Service {
    pub async fn link_remote(&self) {
        self.link_hub_at("far", HOST).await;
    }

    pub async fn link_hub_at(&self, name: &str, host: &str) {
        let string =
            format!("HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}");
        let body = json!({"connectionString": string});
        let path = format!("/muster/v1/dps/linkedHubs/{name}");
        let linked = self.operate(Method::PUT, &path, &[], Some(&body)).await;
        assert_eq!(linked.status, StatusCode::OK, "{}", linked.body);
        assert_eq!(linked.body["location"], "remote");
    }

    pub async fn remote_link(&self) -> Value {
        let path = "/muster/v1/dps/linkedHubs/far";
        self.operate(Method::GET, path, &[], None).await.body
    }

    /// Sends the device of an enrollment to a hub from now on.
    pub async fn lead_to(&self, id: &str, host: &str, more: &Value) {
        let path = format!("/enrollments/{id}");
        let mut entry = self.operate(Method::GET, &path, &[], None).await.body;
        entry["iotHubs"] = json!([host]);
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let headers = [("if-match", "*")];
        let put = self
            .operate(Method::PUT, &path, &headers, Some(&entry))
            .await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.body);
    }

    pub async fn near_twin(&self, id: &str) -> Option<registry::Twin> {
        let identity = Identity::device("hub".parse().unwrap(), id.parse().unwrap());
        let found = self.registry.registry().twin(&identity).await;
        found.ok().map(|found| found.twin)
    }

    pub async fn notes(&self, id: &str) -> Vec<Value> {
        let found = self
            .registry
            .allocations(&id.parse().unwrap())
            .await
            .unwrap();
        let mut shown = Vec::new();
        for record in found {
            let path = format!("/muster/v1/dps/allocations/{}", record.id);
            shown.push(self.operate(Method::GET, &path, &[], None).await.body);
        }
        shown
    }

    async fn shut_out(&self, id: &str, method: Method) -> Answer {
        let path = format!("/muster/v1/dps/blocks/{id}");
        self.operate(method, &path, &[], Some(&json!({}))).await
    }
}

/// A static enrollment.
pub async fn enroll(service: &Service, id: &str, host: &str, more: Value) -> PresentedChain {
    let leaf = self_signed(id);
    let mut enrollment = individual(id, &leaf);
    enrollment["allocationPolicy"] = json!("static");
    enrollment["iotHubs"] = json!([host]);
    enrollment["initialTwin"] =
        json!({"tags": {"by": "entry"}, "properties": {"desired": {"v": 1}}});
    let more = more.as_object().unwrap().clone();
    enrollment.as_object_mut().unwrap().extend(more);
    service
        .create(&format!("/enrollments/{id}"), &enrollment)
        .await;
    chain(&[&leaf])
}

/// Waits until something holds; the service's clock goes on meanwhile.
pub async fn until(service: &Service, what: &str, holds: impl AsyncFn() -> bool) {
    for round in 1..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if round % 10 == 0 {
            service.advance(1);
        }
    }
    panic!("in vain: {what}");
}

#[tokio::test]
async fn a_device_is_made_at_a_remote_hub_with_its_first_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    let shown = enroll(
        &service,
        "d",
        HOST,
        json!({"capabilities": {"iotEdge": true}}),
    )
    .await;
    let _running = Running::of(&service);
    let state = provision(&service, "d", &shown).await;
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
    let leaf = shown.leaf().sha256().to_string();
    assert!(thumbprint.unwrap().eq_ignore_ascii_case(&leaf));
    let twin = service.webhook.remote.twin("d");
    assert_eq!(
        (&twin["tags"]["by"], &twin["properties"]["desired"]["v"]),
        (&json!("entry"), &json!(1))
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
    let again = provision(&service, "d", &shown).await;
    assert_eq!(again["substatus"], "initialAssignment", "R3");
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "hub");
    assert_eq!(service.webhook.remote.created(), 1);
}

#[tokio::test]
async fn a_device_that_an_operator_made_at_a_remote_hub_keeps_its_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    service.webhook.remote.has_device("d");
    let shown = enroll(&service, "d", HOST, json!({})).await;
    let _running = Running::of(&service);
    let state = provision(&service, "d", &shown).await;
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
    let shown = enroll(&service, "d", HOST, json!({})).await;
    service.webhook.remote.set(Mood::SilentAboutTwins);
    let running = Running::of(&service);
    service.register("d", &shown).await;
    until(&service, "the device", async || {
        service.webhook.remote.device("d").is_some()
    })
    .await;
    running.stop().await;
    let service = service.restarted().await;
    service.webhook.remote.set(Mood::Well);
    let _running = Running::of(&service);
    // Read and not asked for again: what was under way goes on by itself.
    let state = async || {
        service
            .operate(Method::GET, "/registrations/d", &[], None)
            .await
            .body
    };
    until(&service, "the assignment", async || {
        state().await["status"] == "assigned"
    })
    .await;
    assert_eq!(state().await["substatus"], "initialAssignment");
    assert_eq!(service.webhook.remote.created(), 1);
    assert_eq!(
        service.webhook.remote.twin("d")["tags"]["by"],
        "entry",
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
    let shown = enroll(&service, "d", HOST, custom).await;
    let _running = Running::of(&service);
    let twin = json!({"tags": {"by": "webhook"}, "properties": {"desired": {}}});
    let answer = json!({"iotHubHostName": HOST, "initialTwin": twin, "payload": 7});
    service.webhook.will_answer(200, &answer);
    let state = provision(&service, "d", &shown).await;
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
async fn a_block_reaches_hubs_elsewhere_as_soon_as_they_answer() {
    let service = Service::start().await;
    service.link_remote().await;
    let shown = enroll(&service, "d", HOST, json!({})).await;
    let _running = Running::of(&service);
    provision(&service, "d", &shown).await;
    let status = || service.webhook.remote.device("d").unwrap()["status"].clone();

    let blocked = service.shut_out("d", Method::PUT).await.body;
    assert_eq!(blocked["hubs"], json!([{"hub": "far", "state": "done"}]));
    assert_eq!(
        (status(), &blocked["deviceId"]),
        (json!("disabled"), &json!("d"))
    );
    assert_eq!(
        service.shut_out("d", Method::DELETE).await.status,
        StatusCode::NO_CONTENT
    );
    until(&service, "enabled", async || status() == "enabled").await;

    service.webhook.remote.set(Mood::Down);
    let blocked = service.shut_out("d", Method::PUT).await.body;
    assert_eq!(blocked["hubs"][0]["state"], "pending", "{blocked}");
    let problem = blocked["hubs"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("connection refused"), "{problem}");
    assert_eq!(service.remote_link().await["health"]["remoteTasks"], 1);
    assert_eq!(status(), "enabled");
    service.webhook.remote.set(Mood::Well);
    until(&service, "disabled", async || status() == "disabled").await;
    assert_eq!(service.register("d", &shown).await.error(), 401_002);
}

#[tokio::test]
async fn a_device_that_is_blocked_on_its_way_is_not_left_behind() {
    let service = Service::start().await;
    service.link_remote().await;
    let shown = enroll(&service, "d", HOST, json!({})).await;
    service.webhook.remote.set(Mood::SilentAboutTwins);
    let running = Running::of(&service);
    service.register("d", &shown).await;
    until(&service, "the device", async || {
        service.webhook.remote.device("d").is_some()
    })
    .await;
    running.stop().await;
    let blocked = service.shut_out("d", Method::PUT).await;
    assert_eq!(blocked.status, StatusCode::OK, "{}", blocked.body);
    let service = service.restarted().await;
    service.webhook.remote.set(Mood::Well);
    let _running = Running::of(&service);
    until(&service, "removal", async || {
        service.webhook.remote.device("d").is_none()
    })
    .await;
    let id = "d".parse().unwrap();
    let record = service.registry.registration(&id).await.unwrap().unwrap();
    assert!(
        matches!(
            record.state,
            RegistrationState::Failed { code: 409_201, .. }
        ),
        "{record:?}"
    );
}

/// D4: a device that somebody made between the plan and its execution keeps its twin, like one that was made beforehand.
#[tokio::test]
async fn a_device_that_somebody_else_was_faster_to_make_keeps_its_twin() {
    let service = Service::start().await;
    service.link_remote().await;
    let twin = json!({"initialTwin": {"tags": {"by": "entry"}, "properties": {"desired": {}}}});
    let shown = enroll(&service, "d", HOST, twin).await;
    service.webhook.remote.set(Mood::Overtaken);
    let _running = Running::of(&service);
    let state = provision(&service, "d", &shown).await;
    assert_eq!(state["assignedHub"], HOST);
    assert_eq!(service.webhook.remote.twin("d")["tags"]["by"], "operator");
    let device = service.webhook.remote.device("d").unwrap();
    assert_eq!(device["authentication"]["type"], "selfSigned", "{device}");
}
