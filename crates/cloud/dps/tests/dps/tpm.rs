//! TPMs: challenged, proven, given their hub keys; and everybody else turned away.

use ::mqtt::{Connect, Delivery, Publish};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use transport::DeviceSession;
use wire::sas::SharedAccessKey;

use crate::harness::hierarchy::self_signed;
use crate::harness::tpm::{claim, tpm_enrollment};
use crate::harness::{Answer, Service, individual};
use software_tpm::SoftwareTpm;

/// What a TPM makes of a blob on the wire.
fn open(tpm: &SoftwareTpm, blob: &Value) -> (SharedAccessKey, String) {
    let blob = STANDARD.decode(blob.as_str().unwrap()).unwrap();
    let (key, text) = tpm.activate(&blob).unwrap();
    let key = SharedAccessKey::from_bytes(key).unwrap();
    (key, String::from_utf8(text).unwrap())
}

impl Service {
    pub async fn enroll_tpm(&self, id: &str, tpm: &SoftwareTpm) {
        let body = tpm_enrollment(id, &tpm.endorsement_key(), None);
        self.create(&format!("/enrollments/{id}"), &body).await;
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Answer {
        let scope = self.id_scope();
        let mut request = Request::builder().method(method).uri(format!(
            "/{scope}/registrations/{path}?api-version=2021-06-01"
        ));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let body = Body::from(body.to_string());
        self.send(request.body(body).unwrap()).await
    }

    /// The first request of a device.
    async fn show(&self, id: &str, tpm: &Value) -> Answer {
        let body = json!({"registrationId": id, "tpm": tpm});
        self.ask(Method::PUT, &format!("{id}/register"), None, &body)
            .await
    }

    /// The token of a device daemon: in lower case, slashes as they are, good for 30 s.
    pub fn daemon_token(&self, id: &str, key: &SharedAccessKey) -> String {
        let resource = format!("{}/registrations/{id}", self.id_scope()).to_lowercase();
        let expiry = self.now().unix_seconds() + 30;
        let signature = STANDARD.encode(key.sign(format!("{resource}\n{expiry}").as_bytes()));
        let signature = signature.replace('+', "%2B").replace('=', "%3D");
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration")
    }

    /// Challenged: the key that the TPM was sent.
    async fn challenge(&self, id: &str, tpm: &SoftwareTpm) -> SharedAccessKey {
        let challenged = self.show(id, &claim(tpm)).await;
        assert_eq!(challenged.error(), 401_002);
        assert_eq!(challenged.body["keyName"], "registration");
        let (key, text) = open(tpm, &challenged.body["authenticationKey"]);
        assert_eq!(text, format!("{}/registrations/{id}", self.id_scope()));
        key
    }

    async fn answer(&self, id: &str, key: &SharedAccessKey, body: &Value) -> Answer {
        let token = self.daemon_token(id, key);
        self.ask(Method::PUT, &format!("{id}/register"), Some(&token), body)
            .await
    }

    /// Both requests and the poll; the registration state.
    async fn provision_by_tpm(&self, id: &str, tpm: &SoftwareTpm) -> Value {
        let key = self.challenge(id, tpm).await;
        let token = self.daemon_token(id, &key);
        let register = format!("{id}/register");
        let body = json!({"registrationId": id});
        let accepted = self.ask(Method::PUT, &register, Some(&token), &body).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap();
        let poll = format!("{id}/operations/{operation}");
        let polled = self.ask(Method::GET, &poll, Some(&token), &json!({})).await;
        assert_eq!(polled.status, StatusCode::OK, "{}", polled.body);
        polled.body["registrationState"].clone()
    }
}

#[tokio::test]
async fn the_hub_accepts_the_key_that_the_tpm_is_given_and_keeps_it() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("Edge-1", &tpm).await;
    let state = service.provision_by_tpm("Edge-1", &tpm).await;
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["deviceId"], "Edge-1");
    let (key, _) = open(&tpm, &state["tpm"]["authenticationKey"]);

    let hub = service.provisioning.service().hubs[0].name.clone();
    let device = ids::DeviceId::parse("Edge-1").unwrap();
    let found = service
        .provisioning
        .registry()
        .device(&hub, &device)
        .await
        .unwrap();
    let accepted = found.authentication.to_json(true);
    assert_eq!(accepted["type"], "sas");
    let keys = &accepted["symmetricKey"];
    assert_eq!(keys["primaryKey"], key.to_base64().as_str());
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);

    // Neither a restart nor time changes it: a device that registers again stays connected.
    let service = service.restarted().await;
    service.advance(100_000);
    let again = service.provision_by_tpm("Edge-1", &tpm).await;
    let (same, _) = open(&tpm, &again["tpm"]["authenticationKey"]);
    assert_eq!(same.to_base64(), key.to_base64());
}

#[tokio::test]
async fn an_operator_sees_no_sealed_key() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("edge-1", &tpm).await;
    service.provision_by_tpm("edge-1", &tpm).await;
    for path in ["/registrations/edge-1", "/enrollments/edge-1"] {
        let read = service.operate(Method::GET, path, &[], None).await;
        assert_eq!(read.status, StatusCode::OK);
        let text = read.body.to_string();
        assert!(text.contains("assigned"), "{text}");
        assert!(!text.contains("authenticationKey"), "{text}");
    }
}

#[tokio::test]
async fn a_restart_between_the_requests_is_survived_when_the_storage_root_key_is_named() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("sdk", &tpm).await;
    let pinned = tpm_enrollment(
        "pinned",
        &tpm.endorsement_key(),
        Some(&tpm.storage_root_key()),
    );
    service.create("/enrollments/pinned", &pinned).await;
    let sdk = service.challenge("sdk", &tpm).await;
    let daemon = service.challenge("pinned", &tpm).await;
    let service = service.restarted().await;

    // The SDKs repeat the keys.
    let repeated = json!({"registrationId": "sdk", "tpm": claim(&tpm)});
    let accepted = service.answer("sdk", &sdk, &repeated).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    // The daemons do not, and the enrollment knows.
    let accepted = service.answer("pinned", &daemon, &json!({})).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    // Where nobody knows, the device starts again.
    assert_eq!(
        service.answer("sdk", &sdk, &json!({})).await.error(),
        401_002
    );
    assert_eq!(
        service.provision_by_tpm("sdk", &tpm).await["status"],
        "assigned"
    );
}

#[tokio::test]
async fn a_challenge_is_good_for_minutes_and_for_one_registration() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("edge-1", &tpm).await;
    service.enroll_tpm("edge-2", &tpm).await;
    let key = service.challenge("edge-1", &tpm).await;
    service.challenge("edge-2", &tpm).await;
    assert_eq!(
        service.answer("edge-2", &key, &json!({})).await.error(),
        401_002
    );
    service.advance(299);
    let accepted = service.answer("edge-1", &key, &json!({})).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    service.advance(302);
    assert_eq!(
        service.answer("edge-1", &key, &json!({})).await.error(),
        401_002
    );
}

#[tokio::test]
async fn the_key_for_the_hub_opens_nothing_else() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("edge-1", &tpm).await;
    let state = service.provision_by_tpm("edge-1", &tpm).await;
    let (hub, _) = open(&tpm, &state["tpm"]["authenticationKey"]);
    assert_eq!(
        service.answer("edge-1", &hub, &json!({})).await.error(),
        401_002
    );
}

#[tokio::test]
async fn a_new_storage_root_key_gets_a_new_hub_key_unless_the_enrollment_names_the_old_one() {
    let service = Service::start().await;
    let mut tpm = SoftwareTpm::new();
    service.enroll_tpm("free", &tpm).await;
    let pinned = tpm_enrollment(
        "pinned",
        &tpm.endorsement_key(),
        Some(&tpm.storage_root_key()),
    );
    service.create("/enrollments/pinned", &pinned).await;
    let before = service.provision_by_tpm("free", &tpm).await;
    let before = open(&tpm, &before["tpm"]["authenticationKey"]).0;
    tpm.clear_ownership();
    let after = service.provision_by_tpm("free", &tpm).await;
    let after = open(&tpm, &after["tpm"]["authenticationKey"]).0;
    assert_ne!(before.to_base64(), after.to_base64());
    let refused = service.show("pinned", &claim(&tpm)).await;
    assert_eq!(refused.error(), 401_002);
    assert_eq!(refused.body.get("authenticationKey"), None);
}

/// A refusal with what differs between any two of them taken out.
fn terse(mut answer: Answer) -> Value {
    assert_eq!(answer.error(), 401_002);
    answer.body["trackingId"] = json!("");
    answer.body["timestampUtc"] = json!("");
    answer.body
}

#[tokio::test]
async fn a_client_without_the_tpm_cannot_tell_whether_it_is_enrolled() {
    let service = Service::start().await;
    let (tpm, other) = (SoftwareTpm::new(), SoftwareTpm::new());
    service.enroll_tpm("edge-1", &tpm).await;
    let mut disabled = tpm_enrollment("stopped", &tpm.endorsement_key(), None);
    disabled["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/stopped", &disabled).await;
    let leaf = self_signed("x509");
    service
        .create("/enrollments/x509", &individual("x509", &leaf))
        .await;
    let unknown = terse(service.show("nobody", &claim(&other)).await);
    assert_eq!(unknown["message"], "Unauthorized");
    assert_eq!(unknown.get("authenticationKey"), None);
    let garbage = json!({"endorsementKey": "AToA", "storageRootKey": "AToA"});
    let no_root = json!({"endorsementKey": STANDARD.encode(tpm.endorsement_key())});
    for (id, tpm) in [
        ("edge-1", claim(&other)),
        ("edge-1", garbage),
        ("edge-1", no_root),
        ("stopped", claim(&tpm)),
        ("x509", claim(&tpm)),
    ] {
        assert_eq!(terse(service.show(id, &tpm).await), unknown, "{id}");
    }
    let key = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
    assert_eq!(
        terse(service.answer("edge-1", &key, &json!({})).await),
        unknown
    );
}

#[tokio::test]
async fn only_keys_that_can_be_wrapped_for_are_enrolled_and_only_individually() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    let (endorsement, root) = (tpm.endorsement_key(), tpm.storage_root_key());
    let change = |key: &[u8], position: usize, bits: u8| {
        let mut key = key.to_vec();
        key[position] ^= bits;
        key
    };
    for (body, expected) in [
        (
            tpm_enrollment("edge-1", b"hello", None),
            "the endorsementKey is not usable: it is not a TPM2B_PUBLIC",
        ),
        (
            tpm_enrollment("edge-1", &change(&endorsement, 9, 0x02), None),
            "attribute fixedTPM is not set",
        ),
        (
            tpm_enrollment("edge-1", &change(&endorsement, 5, 0x07), None),
            "name algorithm is 0x000c",
        ),
        (
            tpm_enrollment("edge-1", &endorsement, Some(&change(&root, 7, 0x04))),
            "the storageRootKey is not usable: it is a signing key",
        ),
    ] {
        let answer = service
            .operate(Method::PUT, "/enrollments/edge-1", &[], Some(&body))
            .await;
        assert_eq!(answer.error(), 400_004);
        assert!(answer.message().contains(expected), "{}", answer.message());
    }
    let mut group = tpm_enrollment("", &endorsement, None);
    group["enrollmentGroupId"] = json!("all");
    let answer = service
        .operate(Method::PUT, "/enrollmentGroups/all", &[], Some(&group))
        .await;
    assert_eq!(answer.error(), 400_004);
    assert!(
        answer
            .message()
            .contains("every TPM is enrolled individually")
    );
}

#[tokio::test]
async fn an_update_of_what_was_read_changes_nothing() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    let path = "/enrollments/edge-1";
    let body = tpm_enrollment(
        "edge-1",
        &tpm.endorsement_key(),
        Some(&tpm.storage_root_key()),
    );
    let created = service.create(path, &body).await;
    assert_eq!(created.body["attestation"], body["attestation"]);
    let read = service.operate(Method::GET, path, &[], None).await;
    let updated = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&read.body))
        .await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert_eq!(updated.body["attestation"], body["attestation"]);
}

#[tokio::test]
async fn over_mqtt_a_tpm_is_refused_and_not_challenged() {
    let service = Service::start().await;
    let tpm = SoftwareTpm::new();
    service.enroll_tpm("edge-1", &tpm).await;
    let connect = Connect {
        client_id: "edge-1".to_owned(),
        clean_session: true,
        keep_alive: 60,
        will: None,
        username: Some(format!(
            "{}/registrations/edge-1/api-version=2019-03-31",
            service.id_scope()
        )),
        password: None,
    };
    let mut session = service
        .dps
        .mqtt(&connect, pki::PeerChain::default())
        .unwrap();
    let publish = Publish {
        topic: "$dps/registrations/PUT/iotdps-register/?$rid=1".to_owned(),
        payload: Bytes::from(json!({"tpm": claim(&tpm)}).to_string()),
        retain: false,
        delivery: Delivery::AtMostOnce,
    };
    let mut replies = Vec::new();
    session.publish(publish, &mut replies).await.unwrap();
    assert_eq!(replies[0].topic, "$dps/registrations/res/401/?$rid=1");
    let body: Value = serde_json::from_slice(&replies[0].payload).unwrap();
    assert_eq!(body["errorCode"], 401_002);
    assert_eq!(body.get("authenticationKey"), None);
}
