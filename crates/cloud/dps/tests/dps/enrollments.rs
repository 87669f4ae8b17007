//! What operators do with enrollments, in the shapes that `az iot dps` sends.

use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::{Ca, EXPIRED, chain, self_signed, self_signed_valid};
use crate::harness::{Service, group, individual};

#[tokio::test]
async fn a_record_has_every_member_that_az_dereferences() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let created = service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    let record = service
        .operate(Method::GET, "/enrollments/edge-001", &[], None)
        .await;
    assert_eq!(record.body, created.body);
    let etag = record.body["etag"].as_str().unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    assert_eq!(record.header("etag"), etag);
    assert_eq!(record.body["capabilities"]["iotEdge"], true);
    assert_eq!(record.body["provisioningStatus"], "enabled");
    let policy = json!({"updateHubAssignment": true, "migrateDeviceData": true});
    assert_eq!(record.body["reprovisionPolicy"], policy);
    assert_eq!(record.body["registrationState"]["status"], "unassigned");
    let primary = &record.body["attestation"]["x509"]["clientCertificates"]["primary"];
    assert_eq!(primary["info"].as_object().unwrap().len(), 8);
    assert!(primary.get("certificate").is_none());
    let mechanism = service
        .operate(
            Method::POST,
            "/enrollments/edge-001/attestationMechanism",
            &[],
            None,
        )
        .await;
    assert_eq!(mechanism.body, record.body["attestation"]);
}

#[tokio::test]
async fn an_update_that_echoes_the_record_keeps_the_certificate() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let created = service
        .create("/enrollments/edge-001", &individual("edge-001", &leaf))
        .await;
    // What az sends: dates cut to milliseconds, tags wrapped by its
    // own defect, no registration state.
    let mut echoed = created.body.clone();
    let body = echoed.as_object_mut().unwrap();
    body.remove("registrationState");
    body["attestation"]["x509"]["clientCertificates"]["primary"]["info"]["notAfterUtc"] =
        json!("2040-01-01T00:00:00.000Z");
    body["initialTwin"]["tags"] = json!({"additional_properties": {"environment": "prod"}});
    body["capabilities"]["iotEdge"] = json!(false);
    let path = "/enrollments/edge-001";
    let updated = service
        .operate(Method::PUT, path, &[("if-match", "*")], Some(&echoed))
        .await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert_eq!(
        updated.body["initialTwin"]["tags"],
        json!({"environment": "prod"})
    );
    assert_eq!(updated.body["attestation"], created.body["attestation"]);
    assert_ne!(updated.body["etag"], created.body["etag"]);
    assert_eq!(
        service.provision("edge-001", &chain(&[&leaf])).await["status"],
        "assigned"
    );
}

#[tokio::test]
async fn the_etag_matrix() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let body = individual("edge-001", &leaf);
    let path = "/enrollments/edge-001";
    let put = |headers: Vec<(&'static str, String)>| {
        let (service, body) = (&service, &body);
        async move {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            service
                .operate(Method::PUT, path, &headers, Some(body))
                .await
        }
    };
    assert_eq!(
        put(vec![("if-match", "\"nothing\"".into())]).await.error(),
        404_201
    );
    assert_eq!(put(vec![]).await.status, StatusCode::OK);
    assert_eq!(put(vec![]).await.error(), 409_201);
    assert_eq!(
        put(vec![("if-match", "other".into())]).await.error(),
        412_000
    );
    let mut etag = put(vec![("if-match", "\"*\"".into())]).await.body["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    for spelling in [
        |e: &str| e.to_owned(),
        |e: &str| e.trim_matches('"').to_owned(),
    ] {
        let updated = put(vec![("if-match", spelling(&etag))]).await;
        assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
        etag = updated.body["etag"].as_str().unwrap().to_owned();
    }
    let gone = service
        .operate(Method::DELETE, path, &[("if-match", "stale")], None)
        .await;
    assert_eq!(gone.error(), 412_000);
    let gone = service
        .operate(Method::DELETE, path, &[("if-match", &etag)], None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        service
            .operate(Method::DELETE, path, &[], None)
            .await
            .error(),
        404_201
    );
    assert_eq!(
        service.operate(Method::GET, path, &[], None).await.error(),
        404_201
    );
    let group = service
        .operate(Method::GET, "/enrollmentGroups/g", &[], None)
        .await;
    assert_eq!(group.error(), 404_204);
}

#[tokio::test]
async fn certificates_in_every_spelling() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let certificate = &root.certificate;
    let pem = certificate.to_pem();
    for (number, text) in [
        pem.trim_end().to_owned(),
        STANDARD.encode(&pem),
        STANDARD.encode(certificate.der()),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("g{number}");
        let path = format!("/enrollmentGroups/{id}");
        let mut body = group(&id, certificate);
        body["attestation"]["x509"]["signingCertificates"]["primary"]["certificate"] = json!(text);
        service.create(&path, &body).await;
        service.operate(Method::DELETE, &path, &[], None).await;
    }
}

/// Every body is refused with 400004 and a message that has the text beside it.
async fn refused(service: &Service, path: &str, bodies: Vec<(Value, &str)>) {
    for (body, wanted) in bodies {
        let answer = service.operate(Method::PUT, path, &[], Some(&body)).await;
        assert_eq!(answer.error(), 400_004, "{wanted}");
        let message = answer.message();
        assert!(message.contains(wanted), "{wanted}: {message}");
    }
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

#[tokio::test]
async fn what_this_version_does_not_offer_is_refused_at_creation() {
    let service = Service::start().await;
    let good = individual("edge-001", &self_signed("edge-001"));
    let bodies = vec![(
        with(&good, "allocationPolicy", json!("custom")),
        "custom allocation needs customAllocationDefinition",
    )];
    refused(&service, "/enrollments/edge-001", bodies).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_the_reason() {
    let service = Service::start().await;
    let good = individual("edge-001", &self_signed("edge-001"));
    let bodies = vec![
        (
            with(&good, "registrationId", json!("edge-002")),
            "the path names \"edge-001\", the body \"edge-002\"",
        ),
        (
            with(&good, "allocationPolicy", json!("static")),
            "exactly one hub",
        ),
        (
            with(&good, "iotHubs", json!(["absent.test"])),
            "absent.test is not linked",
        ),
        (
            with(&good, "initialTwin", json!({"tags": {"a.b": 1}})),
            "initial twin",
        ),
    ];
    refused(&service, "/enrollments/edge-001", bodies).await;
}

#[tokio::test]
async fn certificates_that_no_device_could_use_are_refused_with_the_reason() {
    let service = Service::start().await;
    let root = Ca::root("root");
    let leaf = self_signed("edge-001");
    let expired = self_signed_valid("edge-001", EXPIRED);
    let good = individual("edge-001", &leaf);
    let slot = |name: &str, value: Value| {
        let mut body = good.clone();
        body["attestation"]["x509"]["clientCertificates"][name] = value;
        body
    };
    let described = json!({"info": {"sha256Thumbprint": "00".repeat(32)}});
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let signing = group("g", &root.certificate)["attestation"].clone();
    let bodies = vec![
        (
            with(&good, "attestation", signing),
            "signingCertificates belong to groups",
        ),
        (individual("edge-001", &expired), "expired at 2025-01-01"),
        (
            individual("edge-001", &root.certificate),
            "is a CA certificate",
        ),
        (slot("primary", described), "only described"),
        (
            slot("primary", json!({ "certificate": key })),
            "private key",
        ),
    ];
    refused(&service, "/enrollments/edge-001", bodies).await;
}

/// What the original takes is taken, and what is wrong with it is said in a header (R2).
#[tokio::test]
async fn useless_certificates_are_taken_with_a_warning() {
    let service = Service::start().await;
    let (root, leaf) = (Ca::root("root"), self_signed("edge-001"));
    let mut twice = individual("edge-001", &leaf);
    twice["attestation"]["x509"]["clientCertificates"]["secondary"] =
        json!({"certificate": leaf.to_pem()});
    let other = individual("edge-002", &self_signed("edge-003"));
    let server = individual("edge-004", &root.server_leaf("edge-004"));
    let no_ca = group("g", &root.leaf("edge-005"));
    let good = individual("edge-006", &self_signed("edge-006"));
    for (path, body, warning) in [
        ("/enrollments/edge-001", &twice, "are the same certificate"),
        ("/enrollments/edge-002", &other, "common name \"edge-003\""),
        ("/enrollments/edge-004", &server, "clientAuth"),
        ("/enrollmentGroups/g", &no_ca, "is not a CA certificate"),
        ("/enrollments/edge-006", &good, ""),
    ] {
        let put = service.operate(Method::PUT, path, &[], Some(body)).await;
        assert_eq!(put.status, 200, "{path}: {}", put.body);
        let described = service.operate(Method::GET, path, &[], None).await;
        for answer in [put, described] {
            let warned = answer.headers.get("x-muster-warning");
            let warned = warned.map_or("", |warned| warned.to_str().unwrap());
            assert_eq!(warned.is_empty(), warning.is_empty(), "{path}: {warned}");
            assert!(warned.contains(warning), "{path}: {warned}");
        }
    }
    // No device gets in by them.
    let device = root.leaf("edge-005");
    for (id, chain) in [
        ("edge-003", vec![&self_signed("edge-003")]),
        ("edge-005", vec![&device]),
    ] {
        let refused = service.attempt(id, &Attempt::by(&chain)).await;
        assert_eq!(refused.status, 401, "{id}: {}", refused.body);
    }
}

/// However the text came to be, the certificate that is enrolled is the one that was
/// given, or none is (P1).
#[tokio::test]
async fn a_text_with_a_byte_order_mark_enrols_the_certificate_that_was_given() {
    let service = Service::start().await;
    let root = Ca::root("Company Root");
    let factory = root.intermediate("Factory A CA");
    let both = format!(
        "{}{}",
        factory.certificate.to_pem(),
        root.certificate.to_pem()
    );
    for (number, text) in [
        format!("\u{feff}{both}"),
        format!("x{both}"),
        both.replacen("CERTIFICATE", "X509 CERTIFICATE", 2),
        both.replacen("-----BEGIN", "----BEGIN", 1),
        both.replacen("CERTIFICATE", "TRUSTED CERTIFICATE", 2),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = group(&format!("g{number}"), &root.certificate);
        body["attestation"]["x509"]["signingCertificates"]["primary"]["certificate"] = json!(text);
        let path = format!("/enrollmentGroups/g{number}");
        let put = service.operate(Method::PUT, &path, &[], Some(&body)).await;
        assert_eq!(put.status, 400, "{text}: {}", put.body);
        let upload = json!({"properties": {"certificate": text, "isVerified": true}});
        let path = format!("/muster/v1/dps/certificates/c{number}");
        let put = service
            .operate(Method::PUT, &path, &[], Some(&upload))
            .await;
        assert_eq!(put.status, 400, "{text}: {}", put.body);
        let bundle = json!({"certificates": [{"certificate": text}]});
        let path = format!("/trustBundles/b{number}");
        let put = service
            .operate(Method::PUT, &path, &[], Some(&bundle))
            .await;
        assert_eq!(put.status, 400, "{text}: {}", put.body);
    }
    let mut body = group("one", &root.certificate);
    body["attestation"]["x509"]["signingCertificates"]["primary"]["certificate"] =
        json!(format!("\u{feff}{}", factory.certificate.to_pem()));
    let put = service.create("/enrollmentGroups/one", &body).await;
    let info = &put.body["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    assert_eq!(info["subjectName"], "CN=Factory A CA");
}

#[tokio::test]
async fn one_certificate_belongs_to_one_enrollment() {
    let service = Service::start().await;
    let root = Ca::root("root");
    service
        .create("/enrollmentGroups/a", &group("a", &root.certificate))
        .await;
    let again = service
        .operate(
            Method::PUT,
            "/enrollmentGroups/b",
            &[],
            Some(&group("b", &root.certificate)),
        )
        .await;
    assert_eq!(again.error(), 409_202);
    assert!(
        again.message().contains("enrollment group a"),
        "{}",
        again.message()
    );
}

/// The same hub twice is one hub.
#[tokio::test]
async fn a_hub_that_is_listed_twice_counts_once() {
    let service = Service::start().await;
    let leaf = self_signed("edge-001");
    let mut body = individual("edge-001", &leaf);
    body["allocationPolicy"] = json!("static");
    body["iotHubs"] = json!(["hub.test", "HUB.test"]);
    service.create("/enrollments/edge-001", &body).await;
    let state = service.provision("edge-001", &chain(&[&leaf])).await;
    assert_eq!(state["assignedHub"], "hub.test");
}
