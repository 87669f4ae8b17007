//! Remote hubs that do not answer, or do not accept the key of their link.

use axum::http::StatusCode;
use pki::PresentedChain;
use provisioning::RegistrationState;
use serde_json::json;

use crate::harness::Service;
use crate::harness::remote::NEAR;
use crate::harness::remote_hub_server::{HOST, Mood};

#[tokio::test]
async fn a_link_with_a_wrong_key_fails_with_the_reason() {
    let service = Service::start().await;
    service.link_remote().await;
    service.webhook.remote.set(Mood::OtherKey);
    let presented = service.enroll("d", HOST, json!({})).await;
    service.run();
    let state = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&state["status"], &state["errorCode"]),
        (&json!("failed"), &json!(401_003))
    );
    let message = state["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("hub remote refused the key of its link"),
        "{message}"
    );
    assert!(!message.contains("IotHubUnauthorizedAccess"), "{message}");
    let notes = service.notes("d").await;
    let failure = notes[0]["failure"].as_str().unwrap();
    assert!(failure.contains("IotHubUnauthorizedAccess"), "{failure}");
    service
        .wait_until("it is unhealthy", async || {
            service.remote_link().await["health"]["state"] == "unhealthy"
        })
        .await;
    let error = service.remote_link().await["health"]["lastError"].clone();
    assert!(
        error.as_str().unwrap().contains("refused the key"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unhealthy_hub_is_skipped_and_its_devices_stay_with_it() {
    let service = Service::start().await;
    service.link_remote().await;
    let hashed = json!({"allocationPolicy": "hashed", "iotHubs": [HOST]});
    let resident = service.enroll("resident", HOST, hashed).await;
    service.run();
    assert_eq!(
        service.provision_pending("resident", &resident).await["assignedHub"],
        HOST
    );
    service.webhook.remote.set(Mood::Down);
    service
        .wait_until("it is unhealthy", async || {
            service.remote_link().await["health"]["state"] == "unhealthy"
        })
        .await;

    assert_unhealthy_hub_alone_assigns_no_device(&service, &resident).await;
    assert_new_devices_skip_the_unhealthy_hub(&service).await;
    assert_resident_stays(&service, &resident).await;

    service.webhook.remote.set(Mood::Well);
    service
        .wait_until("it is well", async || {
            service.remote_link().await["health"]["state"] == "healthy"
        })
        .await;
    service.stop().await;
    service.run();
    let state = service.provision_pending("resident", &resident).await;
    assert_eq!(state["status"], "assigned", "{state}");
}

/// No other hub is listed that could take the device.
async fn assert_unhealthy_hub_alone_assigns_no_device(
    service: &Service,
    resident: &PresentedChain,
) {
    let alone = service.provision_pending("resident", resident).await;
    assert_eq!(
        (&alone["status"], &alone["errorCode"]),
        (&json!("failed"), &json!(503_000))
    );
    let message = alone["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("hub remote was skipped: unhealthy since"),
        "{message}"
    );
    assert!(message.contains("connection refused"), "{message}");
}

async fn assert_new_devices_skip_the_unhealthy_hub(service: &Service) {
    for number in 0..8 {
        let id = format!("new-{number}");
        let both = json!({"allocationPolicy": "hashed", "iotHubs": [HOST, NEAR]});
        let presented = service.enroll(&id, HOST, both).await;
        let state = service.provision_pending(&id, &presented).await;
        assert_eq!(state["assignedHub"], NEAR, "{state}");
        let notes = service.notes(&id).await;
        assert_eq!(notes[0]["skippedHubs"][0]["hub"], "remote", "{notes:?}");
        assert_eq!(notes[0]["hub"], "hub");
    }
}

async fn assert_resident_stays(service: &Service, resident: &PresentedChain) {
    service
        .lead_to("resident", HOST, &json!({"iotHubs": [HOST, NEAR]}))
        .await;
    let stays = service.provision_pending("resident", resident).await;
    assert_eq!(stays["errorCode"], 503_000, "{stays}");
    let id = "resident".parse().unwrap();
    let record = service
        .provisioning
        .registration(&id)
        .await
        .unwrap()
        .unwrap();
    let RegistrationState::Failed { previous, .. } = &record.state else {
        panic!("{:?}", record.state);
    };
    let hub = previous.as_ref().map(|(hub, _)| hub.as_str());
    assert_eq!(hub, Some("remote"));
}

#[tokio::test]
async fn static_allocation_waits_for_its_hub_and_takes_it_when_it_is_back() {
    let service = Service::start().await;
    service.link_remote().await;
    service.webhook.remote.set(Mood::Down);
    let presented = service.enroll("d", HOST, json!({})).await;
    service.run();
    service
        .wait_until("it is unhealthy", async || {
            service.remote_link().await["health"]["state"] == "unhealthy"
        })
        .await;
    let failed = service.provision_pending("d", &presented).await;
    assert_eq!(
        (&failed["status"], &failed["errorCode"]),
        (&json!("failed"), &json!(503_000))
    );
    assert!(
        failed["errorMessage"]
            .as_str()
            .unwrap()
            .contains("connection refused")
    );
    let accepted = service.register("d", &presented).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    service.webhook.remote.set(Mood::Well);
    let id = "d".parse().unwrap();
    service
        .wait_until("assignment", async || {
            let record = service
                .provisioning
                .registration(&id)
                .await
                .unwrap()
                .unwrap();
            matches!(record.state, RegistrationState::Assigned { .. })
        })
        .await;
    assert_eq!(service.webhook.remote.created(), 1);
}
