//! EST for clients that prove themselves with a certificate, each for its own name.

use axum::http::{Method, StatusCode};
use pki::{Certificate, RevocationReason};
use serde_json::json;

use crate::harness::Service;
use crate::harness::est::{EstAnswer, EstRequest, csr, csr_with};
use crate::harness::hierarchy::{Ca, EXPIRED, chain};

/// A service with an issuer that trusts a factory's CA.
pub async fn trusting(factory: &Ca, body: serde_json::Value) -> Service {
    let service = Service::start().await;
    service.issuer("fleet", body).await;
    service.upload("factory", &factory.certificate, true).await;
    let (issuer, name) = ("fleet".parse().unwrap(), "factory".parse().unwrap());
    let trusted = service
        .provisioning
        .add_issuer_trust(&issuer, &name, service.now());
    trusted.await.unwrap();
    service
}

pub async fn enroll(service: &Service, name: &str, with: &[&Certificate]) -> EstAnswer {
    let request = EstRequest::post("/simpleenroll", &csr(name));
    service.est(request.with(chain(with))).await
}

pub async fn refused(service: &Service, name: &str, answer: EstAnswer) -> (u16, String) {
    (answer.status.as_u16(), service.last_refusal(name).await.0)
}

#[tokio::test]
async fn a_factory_certificate_gets_one_for_its_own_name() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({})).await;
    let bootstrap = factory.leaf("Press-1");
    // In the spelling of the request: names are compared without case.
    let issued = enroll(&service, "press-1", &[&bootstrap])
        .await
        .certificate();
    assert_eq!(issued.subject(), "CN=press-1");
    let other = enroll(&service, "press-2", &[&bootstrap]).await;
    assert_eq!(
        other.body,
        "the client certificate may have its own name only\n"
    );
    let (status, reason) = refused(&service, "press-2", other).await;
    assert_eq!((status, reason.as_str()), (403, "est_name_not_own"));
}

#[tokio::test]
async fn certificates_that_prove_nothing() {
    let (factory, stranger) = (Ca::root("Factory"), Ca::root("Stranger"));
    let impostor = Ca::root("Factory");
    let service = trusting(&factory, json!({})).await;
    for (n, (leaf, status, reason)) in [
        (stranger.leaf("d-0"), 401, "est_certificate_not_trusted"),
        (impostor.leaf("d-1"), 403, "signature_bad"),
        (
            factory.leaf_valid("d-2", EXPIRED),
            403,
            "certificate_expired",
        ),
        (factory.server_leaf("d-3"), 403, "usage_wrong"),
        (factory.intermediate("d-4").certificate, 403, "leaf_is_ca"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("d-{n}");
        let answer = enroll(&service, &name, &[&leaf]).await;
        assert_eq!(
            answer.headers.contains_key("www-authenticate"),
            status == 401
        );
        let found = refused(&service, &name, answer).await;
        assert_eq!(found, (status, reason.to_owned()));
    }
    // Once the trust is taken back, nothing of it is left.
    let (issuer, name) = ("fleet".parse().unwrap(), "factory".parse().unwrap());
    let leaf = factory.leaf("d-9");
    enroll(&service, "d-9", &[&leaf]).await.certificate();
    let removed = service
        .provisioning
        .remove_issuer_trust(&issuer, &name, service.now());
    removed.await.unwrap();
    let answer = enroll(&service, "d-9", &[&leaf]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_issued_certificate_renews_itself_and_spends_no_use() {
    let service = Service::start().await;
    service.issuer("fleet", json!({"validityDays": 30})).await;
    let password = service.issuer_user("fleet", "line-1", Some(1), None).await;
    let first = EstRequest::post("/simpleenroll", &csr("press-1")).by("line-1", &password);
    let first = service.est(first).await.certificate();
    for path in ["/simpleenroll", "/simplereenroll"] {
        // As a daemon does that still has the password it was set up with.
        let request = EstRequest::post(path, &csr("press-1")).by("line-1", &password);
        let renewed = service
            .est(request.with(chain(&[&first])))
            .await
            .certificate();
        assert_ne!(renewed.sha256(), first.sha256());
        assert_eq!(renewed.subject(), first.subject());
    }
    let other = EstRequest::post("/simplereenroll", &csr("press-2")).with(chain(&[&first]));
    let answer = service.est(other).await;
    let (status, reason) = refused(&service, "press-2", answer).await;
    assert_eq!((status, reason.as_str()), (403, "est_name_not_own"));

    service.advance(30 * 24 * 3600 + 1);
    let late = EstRequest::post("/simplereenroll", &csr("press-1")).with(chain(&[&first]));
    let answer = service.est(late).await;
    assert_eq!(answer.body, "the client certificate has expired\n");
    let (status, reason) = refused(&service, "press-1", answer).await;
    assert_eq!((status, reason.as_str()), (403, "certificate_expired"));
}

#[tokio::test]
async fn a_re_enrollment_is_of_the_certificate_that_is_presented() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({})).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let by_password = EstRequest::post("/simplereenroll", &csr("press-1")).by("line-1", &password);
    let answer = service.est(by_password).await;
    let (status, reason) = refused(&service, "press-1", answer).await;
    assert_eq!((status, reason.as_str()), (403, "est_certificate_absent"));
    // The same common name in another subject is another subject.
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "press-1");
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "Contoso");
    let key = rcgen::KeyPair::generate().unwrap();
    let request = params.serialize_request(&key).unwrap();
    let leaf = factory.leaf("press-1");
    let other = EstRequest::post("/simplereenroll", request.der()).with(chain(&[&leaf]));
    let answer = service.est(other).await;
    let (status, reason) = refused(&service, "press-1", answer).await;
    assert_eq!((status, reason.as_str()), (403, "est_subject_changed"));
}

#[tokio::test]
async fn blocked_and_disabled_devices_do_not_enroll() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({})).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let leaf = factory.leaf("press-1");
    let blocked = service.block(Method::PUT, "press-1").await;
    assert_eq!(blocked.status, StatusCode::OK);
    let by_password = EstRequest::post("/simpleenroll", &csr("press-1")).by("line-1", &password);
    let with_certificate = EstRequest::post("/simpleenroll", &csr("PRESS-1")).with(chain(&[&leaf]));
    for request in [by_password, with_certificate] {
        let answer = service.est(request).await;
        assert_eq!(answer.body, "this device may not enroll\n");
        let (status, reason) = refused(&service, "press-1", answer).await;
        assert_eq!((status, reason.as_str()), (403, "device_blocked"));
    }
    service.block(Method::DELETE, "press-1").await;
    enroll(&service, "press-1", &[&leaf]).await.certificate();

    let mut pinned = crate::harness::individual("press-2", &factory.leaf("press-2"));
    pinned["provisioningStatus"] = json!("disabled");
    service.create("/enrollments/press-2", &pinned).await;
    let answer = enroll(&service, "press-2", &[&factory.leaf("press-2")]).await;
    let (status, reason) = refused(&service, "press-2", answer).await;
    assert_eq!((status, reason.as_str()), (403, "enrollment_disabled"));
}

#[tokio::test]
async fn a_certificate_on_hold_or_revoked_does_not_renew_itself() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let first = EstRequest::post("/simpleenroll", &csr("press-1")).by("line-1", &password);
    let first = service.est(first).await.certificate();
    let (fleet, serial) = ("fleet".parse().unwrap(), first.serial().unwrap());
    let provisioning = &service.provisioning;
    for (reason, code) in [
        (RevocationReason::CertificateHold, "certificate_on_hold"),
        (RevocationReason::KeyCompromise, "certificate_revoked"),
    ] {
        let revoked = provisioning.revoke_certificate(&fleet, serial, reason, service.now());
        revoked.await.unwrap();
        let answer = enroll(&service, "press-1", &[&first]).await;
        let found = refused(&service, "press-1", answer).await;
        assert_eq!(found, (403, code.to_owned()));
        if code == "certificate_on_hold" {
            let restored = provisioning.restore_certificate(&fleet, serial, service.now());
            restored.await.unwrap();
            enroll(&service, "press-1", &[&first]).await.certificate();
        }
    }
}

#[tokio::test]
async fn an_edge_ca_has_the_name_that_azures_daemon_gives_it() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({"profile": "edge-ca"})).await;
    let leaf = factory.leaf("edge-1");
    for (name, issued) in [
        ("aziot-edge CA edge-1", true),
        ("edge-1", true),
        ("aziot-edge CA edge-2", false),
        ("aziot-edge CA", false),
        ("other CA edge-1", false),
    ] {
        let answer = enroll(&service, name, &[&leaf]).await;
        assert_eq!(
            answer.status == StatusCode::OK,
            issued,
            "{name}: {}",
            answer.body
        );
        if issued {
            let certificate = answer.certificate();
            assert!(certificate.is_ca());
            assert_eq!(certificate.subject_common_name(), Some(name));
        }
    }
    let found = service.last_refusal("aziot-edge-CA-edge-2").await;
    assert_eq!(found.0, "est_name_not_own");
    service.block(Method::PUT, "edge-1").await;
    let answer = enroll(&service, "aziot-edge CA edge-1", &[&leaf]).await;
    assert_eq!(answer.body, "this device may not enroll\n");
}

#[tokio::test]
async fn a_server_certificate_has_only_the_names_of_its_client() {
    let factory = Ca::root("Factory");
    let service = trusting(&factory, json!({"profile": "edge-server"})).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let leaf = factory.leaf("edge-1.example");
    let names = ["edge-1.example", "hub.example"];
    let with_another = csr_with("edge-1.example", &names);
    let answer = service
        .est(EstRequest::post("/simpleenroll", &with_another).with(chain(&[&leaf])))
        .await;
    let (status, reason) = refused(&service, "edge-1.example", answer).await;
    assert_eq!((status, reason.as_str()), (403, "est_name_not_own"));
    let by_user = EstRequest::post("/simpleenroll", &with_another).by("line-1", &password);
    let issued = service.est(by_user).await.certificate();
    assert_eq!(issued.server_names().len(), 2);
    // What it has it may have again, and simplereenroll is for all of it.
    for (path, names, status) in [
        ("/simpleenroll", &names[..1], 200),
        ("/simplereenroll", &names[..], 200),
        ("/simplereenroll", &names[..1], 403),
    ] {
        let request = EstRequest::post(path, &csr_with("edge-1.example", names));
        let answer = service.est(request.with(chain(&[&issued]))).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{path} {names:?}: {}",
            answer.body
        );
    }
}
