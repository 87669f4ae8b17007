//! Scenario T13: what a device gets that has to come again, over HTTPS and MQTT.

use axum::http::{Method, StatusCode};
use dps::AdmissionLimits;
use serde_json::Value;

use crate::harness::hierarchy::{Ca, chain};
use crate::harness::mqtt::{REGISTER, ask, session};
use crate::harness::{Answer, Service, group};

const TOO_MANY_REQUESTS: u64 = 429_001;

/// A service of one registration at once and six a minute, with a group.
async fn narrow(ca_certificate: &Ca) -> Service {
    let limits = AdmissionLimits {
        registrations_per_minute: Some(6),
        ..AdmissionLimits::default()
    };
    let service = Service::start_with(limits).await;
    let enrolled = group("factory", &ca_certificate.certificate);
    service.create("/enrollmentGroups/factory", &enrolled).await;
    service
}

fn retry_after(answer: &Answer) -> i64 {
    assert_eq!(answer.error(), TOO_MANY_REQUESTS);
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn t13_over_https_a_device_beyond_the_quota_gets_429_with_retry_after_and_obeys() {
    let ca_certificate = Ca::root("root");
    let service = narrow(&ca_certificate).await;
    let presented = |id: &str| chain(&[&ca_certificate.leaf(id), &ca_certificate.certificate]);
    let first = service.register("dev-1", &presented("dev-1")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);

    let (second, third) = (presented("dev-2"), presented("dev-3"));
    let wait = retry_after(&service.register("dev-2", &second).await);
    assert!((10..=11).contains(&wait), "six a minute: {wait}");
    let longer = retry_after(&service.register("dev-3", &third).await);
    assert!((20..=22).contains(&longer), "{longer}");
    let id = ids::RegistrationId::parse("dev-2").unwrap();
    let registered = service.provisioning.registration(&id);
    assert!(registered.await.unwrap().is_none(), "nothing was begun");

    // Ten seconds bring one registration, which is the second device's
    // although the third asks first.
    service.advance(wait);
    assert!(retry_after(&service.register("dev-3", &third).await) <= longer - wait);
    let state = service.provision("dev-2", &second).await;
    assert_eq!(state["status"], "assigned");
    service.advance(longer - wait);
    // A turn is an estimate: the second device may have used its own up to a second late.
    let mut answer = service.register("dev-3", &third).await;
    if answer.status != StatusCode::ACCEPTED {
        service.advance(retry_after(&answer));
        answer = service.register("dev-3", &third).await;
    }
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
}

#[tokio::test]
async fn t13_over_mqtt_the_topic_carries_retry_after_and_the_connection_stays() {
    let ca_certificate = Ca::root("root");
    let service = narrow(&ca_certificate).await;
    let presented = |id: &str| chain(&[&ca_certificate.leaf(id), &ca_certificate.certificate]);
    service.register("dev-1", &presented("dev-1")).await;

    let mut session = session(&service, "dev-2", Some(presented("dev-2")));
    let (topic, body) = ask(&mut session, REGISTER, "{}").await;
    assert_eq!((topic.status, topic.rid.as_str()), (429, "1"));
    assert_eq!(body["errorCode"], TOO_MANY_REQUESTS);
    let wait = topic.retry_after.unwrap();
    assert!((10..=11).contains(&wait), "six a minute: {wait}");

    service.advance(i64::from(wait));
    let (topic, body) = ask(&mut session, REGISTER, "{}").await;
    assert_eq!(
        (topic.status, &body["status"]),
        (202, &Value::from("assigning"))
    );
}

#[tokio::test]
async fn t13_a_device_that_polls_more_than_azure_allows_is_slowed_down() {
    let ca_certificate = Ca::root("root");
    let service = narrow(&ca_certificate).await;
    let presented = chain(&[&ca_certificate.leaf("dev-1"), &ca_certificate.certificate]);
    let accepted = service.register("dev-1", &presented).await;
    let operation = accepted.body["operationId"].as_str().unwrap();
    for _ in 0..10 {
        let polled = service.poll("dev-1", &presented, operation).await;
        assert_eq!(polled.status, StatusCode::OK);
    }
    let wait = retry_after(&service.poll("dev-1", &presented, operation).await);
    assert_eq!(wait, 2, "five polls in ten seconds");
    service.advance(wait);
    let polled = service.poll("dev-1", &presented, operation).await;
    assert_eq!(polled.status, StatusCode::OK);
}

#[tokio::test]
async fn t13_the_status_lookup_counts_as_a_registration() {
    let ca_certificate = Ca::root("root");
    let service = narrow(&ca_certificate).await;
    let presented = chain(&[&ca_certificate.leaf("dev-1"), &ca_certificate.certificate]);
    service.register("dev-1", &presented).await;
    let path = format!("/{}/registrations/dev-1", service.id_scope());
    let answer = service
        .device(Method::POST, &path, Some(presented), "{}".into())
        .await;
    assert_eq!(answer.error(), TOO_MANY_REQUESTS);
}
