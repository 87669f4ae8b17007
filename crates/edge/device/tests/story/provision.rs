use std::time::Duration;

use device::{ConnectError, Credential, HttpsError, ProvisionError, Provisioning, provision};
use ids::{HubHost, IdScope, RegistrationId};
use serde_json::json;
use wire::device_api::registration::{RegistrationStatus, Substatus};

use crate::server::{HttpsServer, Scripted, TestCa};

fn how(ca: &TestCa, endpoint: HubHost) -> Provisioning {
    Provisioning {
        endpoint,
        id_scope: IdScope::parse("0ne000A1B2C").unwrap(),
        registration_id: RegistrationId::parse("edge-001").unwrap(),
        payload: Some(json!({"rack": 7})),
        attestation: Credential::Certificate(ca.identity("edge-001")).into(),
        trust: ca.trust(),
        request: None,
        within: Duration::from_secs(30),
    }
}

fn assigning(headers: &'static [(&'static str, &'static str)]) -> Scripted {
    let body = json!({
        "operationId": "5.op.1", "status": "assigning",
        "registrationState": {"registrationId": "edge-001", "status": "assigning"},
    });
    (202, headers, body.to_string())
}

fn assigned() -> Scripted {
    let body = json!({
        "operationId": "5.op.1", "status": "assigned",
        "registrationState": {
            "registrationId": "edge-001", "assignedHub": "hub.example:8443", "deviceId": "edge-001",
            "status": "assigned", "substatus": "initialAssignment", "etag": "\"x\"",
            "createdDateTimeUtc": "2024-01-01T00:00:00.0000000Z",
        },
    });
    (200, &[], body.to_string())
}

const NOW: &[(&str, &str)] = &[("Retry-After", "0")];
const CLOSE: &[(&str, &str)] = &[("Retry-After", "0"), ("Connection", "close")];

#[tokio::test]
async fn a_device_registers_and_polls_on_one_connection() {
    let ca = TestCa::new();
    let script = vec![assigning(NOW), assigning(NOW), assigned()];
    let server = HttpsServer::start(&ca, script).await;
    let assignment = provision(&how(&ca, server.host.clone())).await.unwrap();
    assert_eq!(assignment.hub.as_str(), "hub.example:8443");
    assert_eq!(assignment.device.as_str(), "edge-001");
    assert_eq!(assignment.substatus, Some(Substatus::InitialAssignment));

    let seen = server.seen();
    let poll = "GET /0ne000A1B2C/registrations/edge-001/operations/5.op.1?api-version=2021-06-01";
    let lines: Vec<&str> = seen.iter().map(|s| s.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "PUT /0ne000A1B2C/registrations/edge-001/register?api-version=2021-06-01",
            poll,
            poll
        ]
    );
    assert!(
        seen.iter()
            .all(|s| s.connection == 0 && s.client.as_deref() == Some("edge-001"))
    );
    let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(
        body,
        json!({"registrationId": "edge-001", "payload": {"rack": 7}})
    );
}

#[tokio::test]
async fn a_service_that_closes_its_connections_or_is_busy_is_asked_again() {
    let ca = TestCa::new();
    let busy = (429, NOW, String::new());
    let script = vec![assigning(CLOSE), busy, assigned()];
    let server = HttpsServer::start(&ca, script).await;
    provision(&how(&ca, server.host.clone())).await.unwrap();
    let connections: Vec<usize> = server.seen().iter().map(|s| s.connection).collect();
    assert_eq!(connections, [0, 1, 1]);
}

#[tokio::test]
async fn t13_a_device_that_is_sent_away_comes_when_it_was_told_to_on_its_connection() {
    let ca = TestCa::new();
    let full = (429, &[("Retry-After", "1")][..], String::new());
    let script = vec![full, assigning(NOW), assigned()];
    let server = HttpsServer::start(&ca, script).await;
    let begun = tokio::time::Instant::now();
    provision(&how(&ca, server.host.clone())).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before");
    let connections: Vec<usize> = server.seen().iter().map(|s| s.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn t13_a_device_that_has_no_time_to_wait_tells_how_long_it_should() {
    let ca = TestCa::new();
    let full = (429, &[("Retry-After", "90")][..], String::new());
    let server = HttpsServer::start(&ca, vec![full]).await;
    let error = provision(&how(&ca, server.host.clone())).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(90)));
    assert_eq!(server.seen().len(), 1, "it does not ask before");
}

#[tokio::test]
async fn a_refusal_keeps_code_message_and_tracking_id() {
    let ca = TestCa::new();
    let body = json!({
        "errorCode": 401_002,
        "trackingId": "t-1",
        "message": "Unauthorized",
        "timestampUtc": "2024-01-01T00:00:00Z",
    });
    let server = HttpsServer::start(&ca, vec![(401, &[], body.to_string())]).await;
    let error = provision(&how(&ca, server.host.clone())).await.unwrap_err();
    assert!(!error.is_transient());
    let ProvisionError::Refused {
        status: 401,
        code: 401_002,
        tracking_id,
        message,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (tracking_id.as_str(), message.as_str()),
        ("t-1", "Unauthorized")
    );
}

#[tokio::test]
async fn a_registration_that_failed_says_why() {
    let ca = TestCa::new();
    let body = json!({
        "operationId": "5.op.1", "status": "failed",
        "registrationState": {
            "registrationId": "edge-001",
            "status": "failed",
            "errorCode": 400_207,
            "errorMessage": "Custom allocation failed",
        },
    });
    let script = vec![assigning(NOW), (200, &[], body.to_string())];
    let server = HttpsServer::start(&ca, script).await;
    let error = provision(&how(&ca, server.host.clone())).await.unwrap_err();
    let ProvisionError::NotAssigned {
        status: RegistrationStatus::Failed,
        code: 400_207,
        message,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message, "Custom allocation failed");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_named() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, vec![(200, &[], "<html>".into())]).await;
    let error = provision(&how(&ca, server.host.clone())).await.unwrap_err();
    assert!(
        matches!(error, ProvisionError::Answer { status: 200, .. }),
        "{error:?}"
    );
    let server = HttpsServer::start(&ca, vec![(502, &[], "<html>".into())]).await;
    let error = provision(&how(&ca, server.host.clone())).await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        matches!(
            error,
            ProvisionError::Refused {
                status: 502,
                code: 0,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_registration_has_a_time_limit() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, vec![assigning(&[("Retry-After", "20")])]).await;
    let mut how = how(&ca, server.host.clone());
    how.within = Duration::from_millis(500);
    let error = provision(&how).await.unwrap_err();
    assert!(matches!(error, ProvisionError::TimedOut(_)), "{error:?}");
    assert_eq!(
        server.seen().len(),
        1,
        "the wait that the service asked for is kept"
    );
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, vec![assigned()]).await;
    for (other, wanted) in [
        (TestCa::named("other root"), "no trusted root"),
        (
            TestCa::new(),
            "another CA than the trusted root of that name",
        ),
    ] {
        let mut how = how(&ca, server.host.clone());
        how.trust = other.trust();
        let error = provision(&how).await.unwrap_err();
        let ProvisionError::Connection(HttpsError::Connect(ConnectError::Untrusted {
            reason, ..
        })) = error
        else {
            panic!("{error:?}");
        };
        assert!(reason.contains(wanted), "{reason}");
    }
    assert!(server.seen().is_empty(), "nothing is sent to it");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let ca = TestCa::new();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = HubHost::parse(&gone.local_addr().unwrap().to_string()).unwrap();
    drop(gone);
    for host in [host, HubHost::parse("no-such-host.invalid").unwrap()] {
        let error = provision(&how(&ca, host)).await.unwrap_err();
        assert!(error.is_transient());
        let ProvisionError::Connection(HttpsError::Connect(ConnectError::Unreachable { .. })) =
            error
        else {
            panic!("{error:?}");
        };
    }
}
