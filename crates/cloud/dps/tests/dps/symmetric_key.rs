//! Symmetric keys: enrolled, derived, rolled, and kept from everybody who may not see them.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::keys::{key, symmetric};
use crate::harness::{Answer, Service};

fn derived(master: &Value, name: &str) -> SharedAccessKey {
    SharedAccessKey::from_bytes(key(master).sign(name.as_bytes()).to_vec()).unwrap()
}

impl Service {
    async fn with_token(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "/{}/registrations/{path}?api-version=2021-06-01",
                self.id_scope()
            ))
            .header("authorization", token)
            .body(Body::from("{}"))
            .unwrap();
        self.send(request).await
    }

    async fn register_by_key(&self, id: &str, key: &SharedAccessKey) -> Answer {
        let token = self.token(id, key, self.soon());
        let path = format!("{id}/register");
        self.with_token(Method::PUT, &path, &token).await
    }

    /// Registers and polls with one token, as device daemons do.
    async fn provision_by_key(&self, id: &str, key: &SharedAccessKey) -> Value {
        let token = self.token(id, key, self.soon());
        let register = format!("{id}/register");
        let accepted = self.with_token(Method::PUT, &register, &token).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap();
        let poll = format!("{id}/operations/{operation}");
        let polled = self.with_token(Method::GET, &poll, &token).await;
        assert_eq!(polled.status, StatusCode::OK, "{}", polled.body);
        polled.body["registrationState"].clone()
    }
}

#[tokio::test]
async fn generated_keys_are_shown_to_writers_and_not_to_readers() {
    let service = Service::start().await;
    let body = symmetric("registrationId", "sym-1", &json!({}));
    let created = service.create("/enrollments/sym-1", &body).await;
    let keys = created.body["attestation"]["symmetricKey"].clone();
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
    // 64 bytes in base64.
    assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 88);

    let read = service
        .operate(Method::GET, "/enrollments/sym-1", &[], None)
        .await;
    assert_eq!(read.body["attestation"], json!({"type": "symmetricKey"}));
    let query = json!({"query": "SELECT *"});
    let listed = service
        .operate(Method::POST, "/enrollments/query", &[], Some(&query))
        .await;
    assert_eq!(
        listed.body[0]["attestation"],
        json!({"type": "symmetricKey"})
    );
    let mechanism = service
        .operate(
            Method::POST,
            "/enrollments/sym-1/attestationmechanism",
            &[],
            None,
        )
        .await;
    assert_eq!(
        mechanism.body,
        json!({"type": "symmetricKey", "symmetricKey": keys})
    );
}

#[tokio::test]
async fn an_update_without_keys_keeps_them_and_one_with_a_key_rolls_it() {
    let service = Service::start().await;
    let path = "/enrollments/sym-1";
    let body = symmetric("registrationId", "sym-1", &json!(null));
    let created = service.create(path, &body).await;
    let keys = created.body["attestation"]["symmetricKey"].clone();
    let kept = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&body))
        .await;
    assert_eq!(kept.body["attestation"]["symmetricKey"], keys);

    let fresh = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let body = symmetric("registrationId", "sym-1", &json!({"secondaryKey": fresh}));
    let rolled = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&body))
        .await;
    let now = &rolled.body["attestation"]["symmetricKey"];
    assert_eq!(now["primaryKey"], keys["primaryKey"]);
    assert_eq!(now["secondaryKey"], fresh);
    for accepted in [&keys["primaryKey"], &json!(fresh)] {
        let state = service.provision_by_key("sym-1", &key(accepted)).await;
        assert_eq!(state["status"], "assigned");
        assert_eq!(state["symmetricKey"], json!({}));
    }
    let old = service
        .register_by_key("sym-1", &key(&keys["secondaryKey"]))
        .await;
    assert_eq!(old.error(), 401_002);
}

#[tokio::test]
async fn the_hub_accepts_the_keys_that_the_device_registered_with() {
    let service = Service::start().await;
    let body = symmetric("enrollmentGroupId", "all", &json!({}));
    let created = service.create("/enrollmentGroups/all", &body).await;
    let keys = &created.body["attestation"]["symmetricKey"];
    let state = service
        .provision_by_key("Dev-7", &derived(&keys["primaryKey"], "Dev-7"))
        .await;
    assert_eq!(state["deviceId"], "Dev-7");
    assert_eq!(state["symmetricKey"], json!({"enrollmentGroupId": "all"}));
    let hub = service.provisioning.service().hubs[0].name.clone();
    let device = ids::DeviceId::parse("Dev-7").unwrap();
    let found = service
        .provisioning
        .registry()
        .device(&hub, &device)
        .await
        .unwrap();
    let accepted = found.authentication.to_json(true);
    for name in ["primaryKey", "secondaryKey"] {
        let expected = derived(&keys[name], "Dev-7").to_base64();
        assert_eq!(accepted["symmetricKey"][name], expected.as_str());
    }
}

#[tokio::test]
async fn a_group_accepts_both_keys_and_both_spellings_of_the_id() {
    let service = Service::start().await;
    // Another group before it in the alphabet: the right one is found all the same.
    for group in ["a-group", "b-group"] {
        let body = symmetric("enrollmentGroupId", group, &json!({}));
        service
            .create(&format!("/enrollmentGroups/{group}"), &body)
            .await;
    }
    let mechanism = service
        .operate(
            Method::POST,
            "/enrollmentGroups/b-group/attestationmechanism",
            &[],
            None,
        )
        .await;
    let keys = &mechanism.body["symmetricKey"];
    for (master, name) in [
        ("primaryKey", "Dev-1"),
        ("primaryKey", "dev-1"),
        ("secondaryKey", "Dev-1"),
        ("secondaryKey", "dev-1"),
    ] {
        let key = derived(&keys[master], name);
        let state = service.provision_by_key("Dev-1", &key).await;
        assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "b-group");
        assert_eq!(state["deviceId"], "Dev-1");
    }
    let wrong = derived(&keys["primaryKey"], "dev-2");
    assert_eq!(
        service.register_by_key("dev-1", &wrong).await.error(),
        401_002
    );
}

#[tokio::test]
async fn tokens_that_are_late_for_another_or_garbage_are_refused() {
    let service = Service::start().await;
    let body = symmetric("registrationId", "sym-1", &json!({}));
    let created = service.create("/enrollments/sym-1", &body).await;
    let key = key(&created.body["attestation"]["symmetricKey"]["primaryKey"]);
    let late = service.now().plus(std::time::Duration::from_secs(30));
    let expired = service.token("sym-1", &key, late);
    let other = service.token("sym-2", &key, service.soon());
    service.advance(400);
    for token in [
        expired.as_str(),
        &other,
        "SharedAccessSignature sr=x",
        "Bearer x",
    ] {
        let answer = service
            .with_token(Method::PUT, "sym-1/register", token)
            .await;
        assert_eq!(answer.error(), 401_002, "{token}");
        assert_eq!(answer.message(), "Unauthorized");
    }
}

#[tokio::test]
async fn a_certificate_does_not_open_an_enrollment_with_keys_nor_a_token_one_with_a_certificate() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    service
        .create(
            "/enrollments/edge-001",
            &crate::harness::individual("edge-001", &leaf),
        )
        .await;
    let body = symmetric("registrationId", "sym-1", &json!({}));
    let created = service.create("/enrollments/sym-1", &body).await;
    let key = key(&created.body["attestation"]["symmetricKey"]["primaryKey"]);
    assert_eq!(
        service.register_by_key("edge-001", &key).await.error(),
        401_002
    );
    let presented = chain(&[&self_signed("sym-1")]);
    assert_eq!(service.register("sym-1", &presented).await.error(), 401_002);
}

#[tokio::test]
async fn t6_a_disabled_key_enrollment_keeps_out_the_x509_device_of_its_name() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create(
            "/enrollmentGroups/all",
            &crate::harness::group("all", &root.certificate),
        )
        .await;
    let leaf = root.leaf("device-1");
    let presented = chain(&[&leaf, &root.certificate]);
    let state = service.provision("device-1", &presented).await;
    assert_eq!(state["status"], "assigned");
    let mut body = symmetric("registrationId", "DEVICE-1", &json!({}));
    body["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/DEVICE-1", &body).await;
    assert_eq!(
        service.register("device-1", &presented).await.error(),
        401_002
    );
}

#[tokio::test]
async fn an_enrollment_keeps_its_kind_of_attestation() {
    let service = Service::start().await;
    let path = "/enrollments/edge-001";
    let leaf = self_signed("edge-001");
    service
        .create(path, &crate::harness::individual("edge-001", &leaf))
        .await;
    let body = symmetric("registrationId", "edge-001", &json!({}));
    let changed = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&body))
        .await;
    assert_eq!(changed.error(), 400_004);
    assert!(
        changed
            .message()
            .contains("x509 and cannot become symmetricKey"),
        "{}",
        changed.message()
    );
}
