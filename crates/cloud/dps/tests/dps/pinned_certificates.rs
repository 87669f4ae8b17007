//! The certificates that individual enrollments pin follow their devices, where the issuer has it so.

use axum::body::Body;
use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps::RenewalFault;
use pki::Certificate;
use serde_json::{Value, json};

use crate::harness::attempt::Attempt;
use crate::harness::est::{EstRequest, csr};
use crate::harness::hierarchy::{chain, self_signed};
use crate::harness::{Answer, Service, individual};
use crate::issuing::{certificates, thumbprints};
use crate::renewals::path;

const ID: &str = "press-7";
const ENROLLMENT: &str = "/enrollments/press-7";

/// A service with an issuer whose pinned certificates follow.
async fn following() -> Service {
    let service = Service::start().await;
    let settings = json!({"validityDays": 30, "pinnedCertificates": "follow"});
    service.issuer("fleet", settings).await;
    service
}

impl Service {
    /// A certificate that a factory line has issued.
    async fn enrolled_by_line(&self) -> Certificate {
        let user = format!("line-{}", rand::random::<u32>());
        let password = self.issuer_user("fleet", &user, None, None).await;
        let asked = EstRequest::post("/simpleenroll", &csr(ID)).by(&user, &password);
        self.est(asked).await.certificate()
    }

    /// Pins the certificates of the device.
    async fn pin(&self, primary: &Certificate, secondary: Option<&Certificate>) {
        let mut body = individual(ID, primary);
        body["certificateAuthorityName"] = json!("fleet");
        if let Some(secondary) = secondary {
            let pair = &mut body["attestation"]["x509"]["clientCertificates"];
            pair["secondary"] = json!({"certificate": secondary.to_pem()});
        }
        let any = [("if-match", "*")];
        let exists = self
            .operate(Method::GET, ENROLLMENT, &[], None)
            .await
            .status
            == 200;
        let headers = if exists { &any[..] } else { &[] };
        let put = self
            .operate(Method::PUT, ENROLLMENT, headers, Some(&body))
            .await;
        assert_eq!(put.status, 200, "{}", put.body);
    }

    /// The thumbprints that are pinned, as operators see them.
    async fn pinned(&self) -> Vec<String> {
        let enrollment = self.operate(Method::GET, ENROLLMENT, &[], None).await;
        let pair = &enrollment.body["attestation"]["x509"]["clientCertificates"];
        let slots = ["primary", "secondary"].map(|slot| &pair[slot]["info"]["sha256Thumbprint"]);
        slots
            .iter()
            .filter_map(|one| one.as_str())
            .map(str::to_owned)
            .collect()
    }

    async fn renewed(&self, with: &Certificate) -> Certificate {
        self.advance(1);
        let asked = EstRequest::post("/simplereenroll", &csr(ID)).with(chain(&[with]));
        self.est(asked).await.certificate()
    }

    async fn registers_with(&self, certificate: &Certificate) {
        let state = self.provision(ID, &chain(&[certificate])).await;
        assert_eq!(state["status"], "assigned", "{state}");
    }

    async fn refuses(&self, certificate: &Certificate) {
        let refused = self.register(ID, &chain(&[certificate])).await;
        assert_eq!(refused.status, 401, "{}", refused.body);
        assert_eq!(self.last_refusal(ID).await.0, "leaf_not_pinned");
    }

    async fn policy(&self, pinned_certificates: &str) -> Answer {
        let path = "/muster/v1/dps/issuers/fleet";
        let body = json!({"pinnedCertificates": pinned_certificates});
        self.operate(Method::PATCH, path, &[], Some(&body)).await
    }

    /// What an explanation says of the comparison that decides.
    async fn explained_pin(&self, certificate: &Certificate) -> (Value, String) {
        let explained = self.explain(ID, &Attempt::by(&[certificate])).await;
        let mut comparisons = explained["tried"].as_array().unwrap().iter();
        let decides = comparisons.find(|one| one["decides"] == true);
        let message = decides.unwrap()["message"].as_str().unwrap().to_owned();
        (explained, message)
    }

    /// Registers with a request of the device; the certificate that it is issued.
    async fn issued_at_registration(&self, with: &Certificate) -> Certificate {
        let id_scope = self.id_scope();
        let request = STANDARD.encode(csr(ID));
        let body = json!({"registrationId": ID, "csr": request}).to_string();
        let path = format!("/{id_scope}/registrations/{ID}/register");
        let presented = chain(&[with]);
        let accepted = self.device(Method::PUT, &path, Some(presented.clone()), body.into());
        let accepted = accepted.await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        let operation = accepted.body["operationId"].as_str().unwrap();
        let path = format!("/{id_scope}/registrations/{ID}/operations/{operation}");
        let polled = self.device(Method::GET, &path, Some(presented), Body::from("{}"));
        certificates(&polled.await.body["registrationState"]).remove(0)
    }
}

fn prints(certificates: &[&Certificate]) -> Vec<String> {
    let print = |one: &&Certificate| one.sha256().to_string();
    certificates.iter().map(print).collect()
}

#[tokio::test]
async fn the_old_certificate_is_refused_once_the_device_has_proved_the_new_one() {
    let service = following().await;
    let first = service.enrolled_by_line().await;
    service.pin(&first, None).await;
    service.registers_with(&first).await;
    let second = service.renewed(&first).await;
    assert_eq!(service.pinned().await, prints(&[&first, &second]));
    // It was killed before it used the new one, and so was the server.
    let service = service.restarted().await;
    service.registers_with(&first).await;
    assert_eq!(service.pinned().await, prints(&[&first, &second]));
    let (explained, _) = service.explained_pin(&second).await;
    assert_eq!(explained["decision"], "accepted");
    let note = explained["notes"].to_string();
    assert!(
        note.contains("the primary is refused from then on"),
        "{note}"
    );

    service.registers_with(&second).await;
    assert_eq!(service.pinned().await, prints(&[&second]));
    let [primary, _] = thumbprints(&service, ID).await;
    assert_eq!(vec![primary], prints(&[&second]));
    service.refuses(&first).await;
    let (_, why) = service.explained_pin(&first).await;
    assert!(
        why.contains("has proved a later certificate since"),
        "{why}"
    );
    // Nor does it get another one.
    let asked = EstRequest::post("/simplereenroll", &csr(ID)).with(chain(&[&first]));
    assert_eq!(service.est(asked).await.status, 403);
    assert_eq!(service.last_refusal(ID).await.0, "est_certificate_replaced");
    service.registers_with(&second).await;
    let audited = service.audit_text();
    assert_eq!(audited.matches("enrollment.pinFollowed").count(), 2);
}

#[tokio::test]
async fn a_lost_answer_makes_way_for_the_next_one() {
    let service = following().await;
    let first = service.enrolled_by_line().await;
    service.pin(&first, None).await;
    let lost = service.renewed(&first).await;
    let second = service.renewed(&first).await;
    assert_eq!(service.pinned().await, prints(&[&first, &second]));
    service.refuses(&lost).await;
    // It renews with the new one before it has registered: that proves it.
    let third = service.renewed(&second).await;
    assert_eq!(service.pinned().await, prints(&[&second, &third]));
    service.refuses(&first).await;
    service.registers_with(&third).await;
    assert_eq!(service.pinned().await, prints(&[&third]));
}

#[tokio::test]
async fn without_the_policy_a_renewal_pins_nothing() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let first = service.enrolled_by_line().await;
    service.pin(&first, None).await;
    let second = service.renewed(&first).await;
    assert_eq!(service.pinned().await, prints(&[&first]));
    service.refuses(&second).await;
    let (_, why) = service.explained_pin(&second).await;
    assert!(why.contains("keeps what is pinned"), "{why}");
    // Nor does a certificate that others had issued for the name.
    let changed = service.policy("follow").await;
    assert_eq!(
        changed.body["pinnedCertificates"], "follow",
        "{}",
        changed.body
    );
    let of_others = service.enrolled_by_line().await;
    assert_eq!(service.pinned().await, prints(&[&first]));
    service.refuses(&of_others).await;
    let (_, why) = service.explained_pin(&of_others).await;
    assert!(
        why.contains("not to one that proved a pinned certificate"),
        "{why}"
    );
    let third = service.renewed(&first).await;
    service.registers_with(&third).await;
    let acts = service.audited();
    assert!(
        acts.contains(&"issuer.update device issuer fleet".to_owned()),
        "{acts:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_an_operator_enrolled_stays_and_takes_over_when_it_is_proved() {
    let service = following().await;
    let first = service.enrolled_by_line().await;
    let replacement = self_signed(ID);
    service.pin(&first, Some(&replacement)).await;
    let asked = EstRequest::post("/simplereenroll", &csr(ID)).with(chain(&[&first]));
    let refused = service.est(asked).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let (reason, _, message) = service.last_refusal(ID).await;
    assert_eq!(reason, "est_pin_occupied");
    assert!(
        message.contains("individual enrollment press-7"),
        "{message}"
    );
    let listed = "/muster/v1/dps/issuers/fleet/certificates";
    let listed = service.operate(Method::GET, listed, &[], None).await;
    assert_eq!(
        listed.body.as_array().unwrap().len(),
        1,
        "nothing was issued"
    );

    service.registers_with(&replacement).await;
    assert_eq!(service.pinned().await, prints(&[&replacement]));
    service.refuses(&first).await;
}

#[tokio::test]
async fn what_is_issued_at_registration_and_at_the_hub_follows() {
    let service = following().await;
    let maker = self_signed(ID);
    service.pin(&maker, None).await;
    let first = service.issued_at_registration(&maker).await;
    assert_eq!(service.pinned().await, prints(&[&maker, &first]));
    let again = service.issued_at_registration(&maker).await;
    assert_eq!(service.pinned().await, prints(&[&maker, &again]));
    let second = service.renew(ID, path(&again), &csr(ID)).await.unwrap();
    assert_eq!(service.pinned().await, prints(&[&again, &second]));
    service.refuses(&maker).await;
    let service = service.restarted().await;
    // The answer was lost: the device registers with what it has.
    service.registers_with(&again).await;
    service.registers_with(&second).await;
    assert_eq!(service.pinned().await, prints(&[&second]));
    let third = service.issued_at_registration(&second).await;
    assert_eq!(service.pinned().await, prints(&[&second, &third]));

    service.pin(&third, Some(&maker)).await;
    let refused = service.renew(ID, path(&third), &csr(ID)).await;
    let Err(RenewalFault::Request(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("free the secondary slot"), "{why}");
    // At registration it has what its hub wants; what is pinned stays.
    service.issued_at_registration(&third).await;
    assert_eq!(service.pinned().await, prints(&[&third, &maker]));
    assert!(service.audit_text().contains("enrollment.pinNotFollowed"));
}

#[tokio::test]
async fn a_registration_that_waits_for_a_webhook_goes_on_after_its_pins_followed() {
    let service = following().await;
    service.run();
    let first = service.enrolled_by_line().await;
    let mut body = individual(ID, &first);
    body["certificateAuthorityName"] = json!("fleet");
    body["allocationPolicy"] = json!("custom");
    let webhook = "https://functions.example/api/allocate";
    body["customAllocationDefinition"] = json!({"webhookUrl": webhook, "apiVersion": "2021-10-01"});
    service.create(ENROLLMENT, &body).await;
    let second = service.renewed(&first).await;
    service
        .webhook
        .will_answer(200, &json!({"iotHubHostName": "hub.test"}));
    let state = service.provision_pending(ID, &chain(&[&second])).await;
    assert_eq!(state["status"], "assigned", "{state}");
    assert_eq!(service.pinned().await, prints(&[&second]));
    assert_eq!(service.webhook.times(), 1);
}

#[tokio::test]
async fn a_roll_says_how_many_pinned_certificates_have_followed() {
    let service = following().await;
    let first = service.enrolled_by_line().await;
    service.pin(&first, None).await;
    service.registers_with(&first).await;
    service.roll("start", &json!({})).await;
    let counts = async || {
        let status = service.roll_status().await;
        assert_eq!(status["pinnedCertificates"], "follow");
        let pinned = |ca: usize| status["authorities"][ca]["pinnedEnrollments"].as_u64();
        (pinned(0), pinned(1), status["awaitedSuccessors"].as_u64())
    };
    assert_eq!(counts().await, (Some(0), Some(1), Some(0)));
    let second = service.renewed(&first).await;
    assert!(second.is_signed_by(&service.fleet_ca().await));
    assert_eq!(counts().await, (Some(0), Some(1), Some(1)));
    service.registers_with(&second).await;
    assert_eq!(counts().await, (Some(1), Some(0), Some(0)));
    let finished = service.roll("finish", &json!({})).await;
    assert_eq!(finished.body["rolling"], false, "{}", finished.body);
    service.registers_with(&second).await;
}
