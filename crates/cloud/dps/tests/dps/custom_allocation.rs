//! Custom allocation: a webhook chooses the hub.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use outbound::OutboundFault;
use pki::PresentedChain;
use provisioning::RegistrationState;
use serde_json::{Value, json};

use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{Answer, Service, individual};

const WEBHOOK: &str = "https://functions.example/api/allocate?code=secret";

/// A device whose hub a webhook chooses, with more in its enrollment.
async fn enroll(service: &Service, id: &str, more: Value) -> PresentedChain {
    let leaf = self_signed(id);
    let mut enrollment = individual(id, &leaf);
    enrollment["allocationPolicy"] = json!("custom");
    enrollment["customAllocationDefinition"] =
        json!({"webhookUrl": WEBHOOK, "apiVersion": "2021-10-01"});
    let more = more.as_object().unwrap().clone();
    enrollment.as_object_mut().unwrap().extend(more);
    service
        .create(&format!("/enrollments/{id}"), &enrollment)
        .await;
    chain(&[&leaf])
}

#[tokio::test]
async fn the_webhook_hears_who_asks_and_its_answer_is_carried_out() {
    let service = Service::start().await;
    let presented = enroll(&service, "d", json!({})).await;
    service.run();
    service.webhook.will_answer(
        200,
        &json!({
            "iotHubHostName": "HUB.test",
            "initialTwin": {"tags": {"by": "webhook"}, "properties": {"desired": {"rate": 9}}},
            "payload": {"welcome": true},
        }),
    );
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["assignedHub"], "hub.test");
    assert_eq!(state["payload"], json!({"welcome": true}));
    let identity = ids::Identity::device("hub".parse().unwrap(), "d".parse().unwrap());
    let twin = service
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    assert_eq!(Value::Object(twin.tags), json!({"by": "webhook"}));
    assert_eq!(twin.desired.document["rate"], 9);

    let (call, asked) = service.webhook.question();
    assert_eq!(call.url.as_str(), WEBHOOK);
    let names: Vec<_> = call.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["x-muster-timestamp", "x-muster-signature"]);
    assert!(call.headers[1].1.starts_with("sha256="));
    assert_eq!(asked["linkedHubs"], json!(["hub.test"]));
    let context = &asked["deviceRuntimeContext"];
    assert_eq!(context["registrationId"], "d");
    assert!(context.get("currentIotHubHostName").is_none());
    assert!(context.get("currentDeviceId").is_none());
    let leaf = &context["x509"]["clientCertificates"]["primary"];
    assert_eq!(leaf["info"]["subjectName"], "CN=d");
    assert!(
        leaf["certificate"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    assert_eq!(asked["individualEnrollment"]["registrationId"], "d");
    assert!(asked.get("enrollmentGroup").is_none());
    assert!(!asked.to_string().contains("secret"), "{asked}");
}

#[tokio::test]
async fn t10_with_the_policy_never_the_webhook_is_called_and_the_hub_stays() {
    let service = Service::start().await;
    let host = "second.test".parse().unwrap();
    let second = "second".parse().unwrap();
    service
        .provisioning
        .create_hub(second, host, service.now())
        .await
        .unwrap();
    let link = provisioning::LinkDraft {
        name: "second".parse().unwrap(),
        remote: None,
        allocation_weight: None,
        apply_allocation_policy: None,
        latencies: None,
    };
    service
        .provisioning
        .link_hub(link, service.now())
        .await
        .unwrap();
    let never =
        json!({"reprovisionPolicy": {"updateHubAssignment": false, "migrateDeviceData": false}});
    let presented = enroll(&service, "d", never).await;
    service.run();

    let answer = |host: &str, number: u32| json!({"iotHubHostName": host, "payload": number});
    service.webhook.will_answer(200, &answer("hub.test", 1));
    let first = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&first["assignedHub"], &first["payload"]),
        (&json!("hub.test"), &json!(1))
    );

    service.webhook.will_answer(200, &answer("second.test", 2));
    let again = service.provision_pending("d", &presented).await;
    assert_eq!(
        service.webhook.times(),
        2,
        "it is called at every registration"
    );
    assert_eq!(again["assignedHub"], "hub.test", "the hub is not changed");
    assert_eq!(again["payload"], 2, "what it returns is refreshed");
    assert_eq!(again["substatus"], "reprovisionedToInitialAssignment");
    let (_, asked) = service.webhook.question();
    let context = &asked["deviceRuntimeContext"];
    assert_eq!(context["currentIotHubHostName"], "hub.test");
    assert_eq!(context["currentDeviceId"], "d");
}

#[tokio::test]
async fn every_failure_of_the_webhook_ends_as_400207() {
    let service = Service::start().await;
    let presented = enroll(&service, "d", json!({})).await;
    service.run();
    assert_silence_fails_after_two_calls(&service, &presented).await;
    assert_faulty_answers_fail_after_one_call(&service, &presented).await;
    service.webhook.will_answer(503, &json!({}));
    service
        .webhook
        .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(state["status"], "assigned", "the second try counts");
    assert_allocations_record_each_outcome(&service).await;
}

async fn assert_silence_fails_after_two_calls(service: &Service, presented: &PresentedChain) {
    let silent = OutboundFault::Silent(Duration::from_secs(10));
    service.webhook.will_fail(silent.clone());
    service.webhook.will_fail(silent);
    let state = service.provision_pending("d", presented).await;
    assert_eq!(service.webhook.times(), 2, "it is asked twice");
    assert_eq!(
        (&state["status"], &state["errorCode"]),
        (&json!("failed"), &json!(400_207))
    );
    let message = state["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("Custom allocation failed with status code: 504"),
        "{message}"
    );
}

async fn assert_faulty_answers_fail_after_one_call(service: &Service, presented: &PresentedChain) {
    for (status, body, wanted) in [
        (
            400,
            json!({}),
            "Custom allocation failed with status code: 400",
        ),
        (
            200,
            json!({"iotHubHostName": "other.test"}),
            "not one of linkedHubs",
        ),
        (200, json!({}), "'iotHubHostName': is missing"),
    ] {
        let before = service.webhook.times();
        service.webhook.will_answer(status, &body);
        let state = service.provision_pending("d", presented).await;
        assert_eq!(state["errorCode"], 400_207);
        let message = state["errorMessage"].as_str().unwrap();
        assert!(message.contains(wanted), "{message}");
        assert_eq!(
            service.webhook.times(),
            before + 1,
            "asking again would not help"
        );
    }
}

async fn assert_allocations_record_each_outcome(service: &Service) {
    let notes = service
        .provisioning
        .allocations(&"D".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(notes.len(), 5);
    assert_eq!(notes[0].note.failure, None);
    assert_eq!(notes[1].note.output, Some(json!({})));
    assert_eq!(notes[3].note.status, Some(400));
    assert_eq!(
        notes[0].note.webhook.as_ref().unwrap().webhook_url.reveal(),
        "https://functions.example/api/allocate?****"
    );
}

#[tokio::test]
async fn a_pending_registration_outlives_the_process_and_is_not_doubled() {
    let service = Service::start().await;
    let presented = enroll(&service, "d", json!({})).await;
    let accepted = service.register("d", &presented).await;
    let operation = accepted.body["operationId"].as_str().unwrap().to_owned();
    // The device lost patience: the same registration goes on.
    service.register("d", &presented).await;
    let service = service.restarted().await;
    let polled = service.poll("d", &presented, &operation).await;
    assert_eq!(polled.status, StatusCode::ACCEPTED);
    // As long as nobody was there to ask, no time has passed.
    service.advance(3600);
    service
        .webhook
        .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
    service.run();
    let poll = async || service.poll("d", &presented, &operation).await;
    let is_over = async || poll().await.status == StatusCode::OK;
    service.wait_until("it is resumed", is_over).await;
    let polled = poll().await;
    assert_eq!(polled.body["status"], "assigned", "{}", polled.body);
    assert_eq!(service.webhook.times(), 1);
}

#[tokio::test]
async fn an_enrollment_that_is_disabled_meanwhile_assigns_nobody() {
    let service = Service::start().await;
    let presented = enroll(&service, "d", json!({})).await;
    service.register("d", &presented).await;
    let id = "d".parse().unwrap();
    let record = service.provisioning.registration(&id).await;
    let record = record.unwrap().unwrap();
    assert!(matches!(record.state, RegistrationState::Assigning { .. }));
    let path = "/enrollments/d";
    let mut enrollment = service.operate(Method::GET, path, &[], None).await.body;
    enrollment["provisioningStatus"] = json!("disabled");
    let update = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&enrollment))
        .await;
    assert_eq!(update.status, StatusCode::OK, "{}", update.body);
    service
        .webhook
        .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
    service.run();
    let state = async || {
        let record = service.provisioning.registration(&id).await;
        record.unwrap().unwrap().state
    };
    let has_failed = async || matches!(state().await, RegistrationState::Failed { .. });
    service.wait_until("it fails", has_failed).await;
    let RegistrationState::Failed { code, .. } = state().await else {
        panic!("it failed and does no longer");
    };
    assert_eq!(code, 409_201);
    let (hub, device) = ("hub".parse().unwrap(), "d".parse().unwrap());
    let found = service.provisioning.registry().device(&hub, &device).await;
    assert!(found.is_err());
}

#[tokio::test]
async fn an_enrollment_with_custom_allocation_names_its_webhook() {
    let service = Service::start().await;
    let leaf = self_signed("d");
    let put = async |definition: Value, headers: &[(&str, &str)]| {
        let mut enrollment = individual("d", &leaf);
        enrollment["allocationPolicy"] = json!("custom");
        enrollment["customAllocationDefinition"] = definition;
        service
            .operate(Method::PUT, "/enrollments/d", headers, Some(&enrollment))
            .await
    };
    for definition in [
        json!(null),
        json!({"webhookUrl": WEBHOOK}),
        json!({"apiVersion": "2021-10-01"}),
        json!({"webhookUrl": "http://functions.example/", "apiVersion": "2021-10-01"}),
        json!({"webhookUrl": "https://functions.example/?****", "apiVersion": "2021-10-01"}),
        json!({"webhookUrl": WEBHOOK, "apiVersion": "2017-01-01"}),
    ] {
        assert_eq!(put(definition, &[]).await.error(), 400_004);
    }
    let definition = json!({"webhookUrl": WEBHOOK, "apiVersion": "2021-10-01"});
    assert_eq!(put(definition, &[]).await.status, StatusCode::OK);
    let answer = service
        .operate(Method::GET, "/enrollments/d", &[], None)
        .await
        .body;
    let masked = answer["customAllocationDefinition"].clone();
    assert_eq!(
        masked["webhookUrl"],
        "https://functions.example/api/allocate?****"
    );
    // A client that updates sends back what it was shown.
    assert_eq!(
        put(masked, &[("if-match", "*")]).await.status,
        StatusCode::OK
    );
    let key = provisioning::EnrollmentKey::Individual("d".parse().unwrap());
    let stored = service.provisioning.enrollment(&key).await;
    let stored = stored.unwrap().unwrap();
    assert_eq!(
        stored.document["customAllocationDefinition"]["webhookUrl"],
        WEBHOOK
    );
}

const ALLOCATIONS: &str = "/muster/v1/dps/allocations";

async fn get(service: &Service, path: &str) -> Answer {
    service.operate(Method::GET, path, &[], None).await
}

#[tokio::test]
async fn what_was_asked_is_listed_and_asked_again_without_a_trace() {
    let service = Service::start().await;
    let presented = enroll(&service, "d", json!({})).await;
    service.run();
    let answer = json!({"iotHubHostName": "hub.test", "payload": 1});
    service.webhook.will_answer(200, &answer);
    service.provision_pending("d", &presented).await;
    service.stop().await;

    assert_eq!(get(&service, ALLOCATIONS).await.error(), 400_004, "whose?");
    let id = service
        .provisioning
        .allocations(&"d".parse().unwrap())
        .await
        .unwrap()[0]
        .id;
    let path = format!("{ALLOCATIONS}/{id}");
    let described = get(&service, &path).await.body;
    assert_eq!(
        (&described["registrationId"], &described["output"]),
        (&json!("d"), &answer)
    );
    assert_eq!(
        described["input"]["deviceRuntimeContext"]["registrationId"],
        "d"
    );
    assert!(!described.to_string().contains("secret"), "{described}");

    let before = stored_registration(&service).await;
    assert_replays(&service, &path, &described).await;
    assert_eq!(stored_registration(&service).await, before);
    let id = "d".parse().unwrap();
    let allocations = service.provisioning.allocations(&id).await;
    assert_eq!(allocations.unwrap().len(), 1);

    let absent = get(&service, &format!("{ALLOCATIONS}/999")).await;
    assert_eq!(absent.error(), 404_000);
    let key = get(&service, "/muster/v1/dps/webhookKey").await.body;
    assert_eq!(key["key"].as_str().unwrap().len(), 44);
}

async fn stored_registration(service: &Service) -> Option<provisioning::RegistrationRecord> {
    let id = "d".parse().unwrap();
    service.provisioning.registration(&id).await.unwrap()
}

/// Replays the allocation `shown`: with the same answer of the webhook, then with another.
async fn assert_replays(service: &Service, path: &str, answer: &Value) {
    let replay = async || {
        service
            .operate(Method::POST, &format!("{path}/replay"), &[], None)
            .await
            .body
    };
    service.webhook.will_answer(200, &answer["output"]);
    assert_eq!(replay().await["same"], true);
    let (call, asked) = service.webhook.question();
    assert_eq!(
        call.url.as_str(),
        WEBHOOK,
        "the key is the enrollment's of today"
    );
    assert_eq!(asked, answer["input"]);
    service.webhook.will_answer(500, &json!({}));
    let replayed = replay().await;
    assert_eq!(
        (&replayed["same"], &replayed["replayed"]["status"]),
        (&json!(false), &json!(500))
    );
}
