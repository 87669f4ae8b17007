//! The report on the fleet's certificates: what was issued, and what devices presented.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::harness::hierarchy::{Ca, chain, self_signed};
use crate::harness::{HOST, Service, group, individual};
use crate::issued_certificates::{issued, issued_more};
use crate::issuing::Device;

const REPORT: &str = "/muster/v1/dps/certificate-report";

async fn report(service: &Service) -> Value {
    let answer = service.operate(Method::GET, REPORT, &[], None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The rows of a source that have these members.
fn rows<'a>(report: &'a Value, source: &str, members: &Value) -> Vec<&'a Value> {
    let has = |row: &&Value| {
        let mut wanted = members.as_object().unwrap().iter();
        row["source"] == source && wanted.all(|(name, value)| row[name] == *value)
    };
    report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(has)
        .collect()
}

/// Registers a device with a request for a key of a kind.
async fn issue_for(service: &Service, id: &'static str, key: &KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, id);
    let request = params.serialize_request(key).unwrap();
    let more = json!({"credentialPolicyName": "fleet"});
    let device = Device::enrolled(service, id, more).await;
    let body = json!({"csr": STANDARD.encode(request.der())});
    device.provision(service, body).await;
}

/// The one row of P-256 keys of the issuer.
fn p256(report: &Value) -> &Value {
    let wanted = json!({"keyType": "P-256", "issuer": "fleet"});
    match rows(report, "issued", &wanted)[..] {
        [row] => row,
        _ => panic!("{report}"),
    }
}

#[tokio::test]
async fn issued_certificates_are_counted_by_state_and_end() {
    let service = Service::start().await;
    // They are valid for 30 days.
    let leaves = issued(&service, &["dev-1", "dev-2", "dev-3"]).await;
    let serial = leaves[0].serial_hex();
    let revoke = format!("/muster/v1/dps/issuers/fleet/certificates/{serial}/revoke");
    let body = Some(json!({"reason": "certificateHold"}));
    let held = service.operate(Method::POST, &revoke, &[], body.as_ref());
    let held = held.await;
    assert_eq!(held.status, 200, "{}", held.body);

    let first = report(&service).await;
    let row = p256(&first);
    assert_eq!(row["certificates"], 3);
    assert_eq!(row["held"], 1);
    assert_eq!(row["signatureAlgorithm"], "ECDSA-SHA256");
    // They end in 30 days to the second.
    assert_eq!(row["expires"]["within90Days"], 2, "{row}");
    assert_eq!(first["withoutCertificate"], 3, "they registered with keys");
    assert!(rows(&first, "presented", &json!({})).is_empty());

    service.advance(28 * 24 * 3600);
    issued_more(&service, "dev-4").await;
    let later = report(&service).await;
    assert_eq!(p256(&later)["expires"]["within7Days"], 2, "{later}");
    assert_eq!(p256(&later)["expires"]["within90Days"], 1, "{later}");
    service.advance(3 * 24 * 3600);
    let last = report(&service).await;
    assert_eq!(p256(&last)["expires"]["expired"], 2, "{last}");
}

#[tokio::test]
async fn issued_certificates_are_counted_by_kind_and_length_of_key() {
    let service = Service::start().await;
    issued(&service, &["dev-1"]).await;
    for (id, size) in [
        ("rsa-2048", rcgen::RsaKeySize::_2048),
        ("rsa-3072", rcgen::RsaKeySize::_3072),
    ] {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
        issue_for(&service, id, &key).await;
    }
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    issue_for(&service, "dev-p384", &p384).await;
    let report = report(&service).await;
    for members in [
        json!({"keyType": "P-256"}),
        json!({"keyType": "P-384"}),
        json!({"keyType": "RSA", "keyBits": 2048}),
        json!({"keyType": "RSA", "keyBits": 3072}),
    ] {
        let found = rows(&report, "issued", &members);
        assert_eq!(found.len(), 1, "{members} {report}");
        assert_eq!(found[0]["certificates"], 1);
        assert_eq!(found[0]["signatureAlgorithm"], "ECDSA-SHA256");
    }
}

#[tokio::test]
async fn what_devices_presented_is_counted_by_its_issuer_and_is_in_no_answer() {
    let service = Service::start().await;
    let (root, pinned) = (Ca::root("Maker"), self_signed("pinned"));
    service
        .create("/enrollmentGroups/line", &group("line", &root.certificate))
        .await;
    service
        .create("/enrollments/pinned", &individual("pinned", &pinned))
        .await;
    for id in ["dev-1", "dev-2"] {
        let leaf = root.leaf(id);
        let state = service.provision(id, &chain(&[&leaf])).await;
        assert_eq!(state.get("presentedKey"), None, "{state}");
        // The second time replaces the first.
        service.provision(id, &chain(&[&leaf])).await;
    }
    service.provision("pinned", &chain(&[&pinned])).await;
    let record = service
        .operate(Method::GET, "/registrations/dev-1", &[], None)
        .await;
    assert_eq!(record.body.get("presentedKey"), None, "{}", record.body);

    let report = report(&service).await;
    let presented = rows(&report, "presented", &json!({"keyType": "P-256"}));
    assert_eq!(presented.len(), 2, "{report}");
    let [maker, own] = presented[..] else {
        panic!("{report}");
    };
    assert_eq!(maker["issuer"], "CN=Maker");
    assert_eq!(
        (&maker["certificates"], &maker["selfIssued"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(
        (&own["certificates"], &own["selfIssued"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(own.get("issuer"), None);
    assert_eq!(maker["signatureAlgorithm"], "ECDSA-SHA256");
    // The tests' leaves end in 2040.
    assert_eq!(maker["expires"]["later"], 2);
    assert_eq!(report["withoutCertificate"], 0);
}

#[tokio::test]
async fn the_report_takes_the_right_of_the_list() {
    let service = Service::start().await;
    for (right, status) in [("EnrollmentRead", 200), ("RegistrationStatusRead", 403)] {
        let rights = json!({"rights": [right]});
        let path = format!("dps/policies/{right}");
        let policy = service.own(Method::PUT, &path, Some(&rights)).await;
        let key = policy["primaryKey"].as_str().unwrap();
        let login = format!("HostName={HOST};SharedAccessKeyName={right};SharedAccessKey={key}");
        let answer = service.by(&json!(login), Method::GET, REPORT, None).await;
        assert_eq!(answer.status, status, "{right}: {}", answer.body);
    }
}
