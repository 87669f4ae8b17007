//! Certificates that are revoked or on hold: devices are refused, and operators read why.

use axum::http::Method;
use pki::Certificate;
use rcgen::RevocationReason::{CertificateHold, KeyCompromise, Superseded};
use serde_json::{Value, json};

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::Ca;
use crate::harness::{Answer, Service, group, individual};
use crate::issued_certificates::issued;

const LISTS: &str = "/muster/v1/dps/revocation-lists";
const CERTIFICATES: &str = "/muster/v1/dps/issuers/fleet/certificates";

impl Service {
    /// Follows the list of a CA, and uploads it.
    pub async fn publish(&self, name: &str, ca: &Ca, crl: Vec<u8>) -> Answer {
        let path = format!("{LISTS}/{name}");
        let body = json!({"certificate": ca.certificate.to_pem()});
        let any = [("if-match", "*")];
        if self.operate(Method::GET, &path, &[], None).await.status == 404 {
            self.create(&path, &body).await;
        } else {
            let put = self.operate(Method::PUT, &path, &any, Some(&body)).await;
            assert_eq!(put.status, 200, "{}", put.body);
        }
        self.send_file(&format!("{path}/content"), crl).await
    }

    /// The reason of a refusal: as the device's attempt leaves it, and as `explain` says it.
    async fn reason(&self, id: &str, attempt: &Attempt) -> Value {
        let answer = self.attempt(id, attempt).await;
        assert_eq!(answer.error(), 401_002, "{}", answer.body);
        assert_eq!(answer.message(), "Unauthorized");
        self.advance(11);
        let kept = self.refusals(&format!("&registrationId={id}")).await;
        let explanation = self.explain(id, attempt).await;
        assert_eq!(explanation["reason"], kept[0]["reason"], "{explanation}");
        assert_eq!(explanation["message"], kept[0]["message"], "{explanation}");
        kept[0].clone()
    }

    async fn is_let_in(&self, id: &str, attempt: &Attempt) {
        let answer = self.attempt(id, attempt).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_leaf_or_a_ca_on_a_list_is_refused_and_explained() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let line = root.intermediate("line");
    let body = group("all", &root.certificate);
    service.create("/enrollmentGroups/all", &body).await;
    let [revoked, held, good] = ["d1", "d2", "d3"].map(|id| line.leaf(id));
    let r = &root.certificate;
    let by = |leaf| Attempt::by(&[leaf, &line.certificate, r]);
    service.is_let_in("d1", &by(&revoked)).await;

    let crl = line.crl(1, &[(&revoked, KeyCompromise), (&held, CertificateHold)]);
    let uploaded = service.publish("line", &line, crl).await;
    assert_eq!(uploaded.body["crl"]["entries"], 2, "{}", uploaded.body);
    let refusal = service.reason("d1", &by(&revoked)).await;
    assert_eq!(refusal["reason"], "certificate_revoked");
    let message = refusal["message"].as_str().unwrap();
    for part in [
        "CN=d1",
        "revocation list line",
        "keyCompromise",
        "2026-05-01",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let refusal = service.reason("d2", &by(&held)).await;
    assert_eq!(refusal["reason"], "certificate_on_hold");
    service.is_let_in("d3", &by(&good)).await;

    // Off hold with the next list; the older one is refused.
    let next = line.crl(2, &[(&revoked, KeyCompromise)]);
    service.publish("line", &line, next).await;
    service.is_let_in("d2", &by(&held)).await;
    let older = service.publish("line", &line, line.crl(1, &[])).await;
    assert_eq!(older.status, 409, "{}", older.body);

    // A CA on the path, also when the process began again.
    let crl = root.crl(1, &[(&line.certificate, Superseded)]);
    service.publish("root", &root, crl).await;
    let service = service.restarted().await;
    let refusal = service.reason("d3", &by(&good)).await;
    assert_eq!(refusal["reason"], "certificate_revoked");
    assert!(refusal["message"].as_str().unwrap().contains("CN=line"));
}

#[tokio::test]
async fn a_pinned_certificate_is_refused_by_the_list_of_its_ca() {
    let service = Service::start().await;
    let (root, other) = (Ca::root("root"), Ca::root("root"));
    let leaf = root.leaf("d1");
    let body = individual("d1", &leaf);
    service.create("/enrollments/d1", &body).await;
    // A CA of the same name and another key says nothing about it.
    let crl = other.crl(1, &[(&leaf, KeyCompromise)]);
    service.publish("other", &other, crl).await;
    service.is_let_in("d1", &Attempt::by(&[&leaf])).await;
    let crl = root.crl(1, &[(&leaf, KeyCompromise)]);
    service.publish("root", &root, crl).await;
    let refusal = service.reason("d1", &Attempt::by(&[&leaf])).await;
    assert_eq!(refusal["reason"], "certificate_revoked");
}

/// Two devices that are let in by the certificates that they were issued.
async fn pinned(service: &Service) -> Vec<Certificate> {
    let leaves = issued(service, &["dev-1", "dev-2"]).await;
    for leaf in &leaves {
        let id = leaf.subject_common_name().unwrap();
        let body = individual(id, leaf);
        let any = [("if-match", "*")];
        let path = format!("/enrollments/{id}");
        service.operate(Method::DELETE, &path, &any, None).await;
        service.create(&path, &body).await;
    }
    leaves
}

#[tokio::test]
async fn operators_revoke_and_restore_what_their_issuer_issued() {
    let service = Service::start().await;
    let leaves = pinned(&service).await;
    let ask = async |serial: &str, verb: &str, body: Value| {
        let path = format!("{CERTIFICATES}/{serial}/{verb}");
        service.operate(Method::POST, &path, &[], Some(&body)).await
    };
    let attempt = Attempt::by(&[&leaves[0]]);
    service.is_let_in("dev-1", &attempt).await;
    let serial = leaves[0].serial_hex();
    let hold = json!({"reason": "certificateHold"});
    let held = ask(serial, "revoke", hold.clone()).await;
    assert_eq!(
        (&held.body["state"], &held.body["reason"]),
        (&json!("held"), &hold["reason"])
    );
    assert_eq!(
        service.reason("dev-1", &attempt).await["reason"],
        "certificate_on_hold"
    );
    let restored = ask(serial, "restore", json!({})).await;
    assert_eq!(restored.body["state"], "valid");
    service.is_let_in("dev-1", &attempt).await;

    let revoked = ask(serial, "revoke", json!({"reason": "KEYCOMPROMISE"})).await;
    assert_eq!(revoked.body["state"], "revoked");
    let refusal = service.reason("dev-1", &attempt).await;
    assert_eq!(refusal["reason"], "certificate_revoked");
    assert!(
        refusal["message"]
            .as_str()
            .unwrap()
            .contains("device issuer fleet")
    );
    let again = ask(serial, "revoke", json!({"reason": "keyCompromise"})).await;
    assert_eq!(
        again.body["changedDateTimeUtc"],
        revoked.body["changedDateTimeUtc"]
    );
    assert_eq!(ask(serial, "restore", json!({})).await.status, 409);
    assert_eq!(ask(serial, "revoke", hold).await.status, 409);
    let unknown = ask(serial, "revoke", json!({"reason": "removeFromCRL"})).await;
    assert_eq!(unknown.error(), 400_004);
    // A certificate that was lost from the list.
    assert_eq!(ask("0102", "restore", json!({})).await.status, 404);
    assert_eq!(
        ask("0102", "revoke", json!({})).await.body["reason"],
        "unspecified"
    );
    service
        .is_let_in("dev-2", &Attempt::by(&[&leaves[1]]))
        .await;
    assert!(
        service
            .audited()
            .iter()
            .any(|line| line.starts_with("certificate.restore"))
    );
}
