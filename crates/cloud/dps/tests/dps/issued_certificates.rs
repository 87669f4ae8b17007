//! What issuers have issued, as operators list it, and the CA certificates that issuers trust.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::Certificate;
use serde_json::{Value, json};

use crate::harness::hierarchy::Ca;
use crate::harness::{Answer, Service};
use crate::issuing::{Device, certificates, issuer, request};

const CERTIFICATES: &str = "/muster/v1/dps/issuers/fleet/certificates";

async fn get(service: &Service, path: &str) -> Answer {
    service.operate(Method::GET, path, &[], None).await
}

/// Registers devices with an issuer of 30 days; the leaf of each.
pub async fn issued(service: &Service, ids: &[&'static str]) -> Vec<Certificate> {
    issuer(service, "Fleet", json!({"validityDays": 30})).await;
    let mut leaves = Vec::new();
    for id in ids {
        leaves.push(issued_more(service, id).await);
    }
    leaves
}

/// Registers one more device with that issuer.
pub async fn issued_more(service: &Service, id: &'static str) -> Certificate {
    let more = json!({"credentialPolicyName": "fleet"});
    let device = Device::enrolled(service, id, more).await;
    let body = json!({"csr": STANDARD.encode(request(id))});
    let (_, state) = device.provision(service, body).await;
    certificates(&state).remove(0)
}

fn names(list: &Answer) -> Vec<&str> {
    let rows = list.body.as_array().unwrap();
    rows.iter()
        .map(|row| row["commonName"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_devices_were_issued_is_listed_and_shown() {
    let service = Service::start().await;
    let leaves = issued(&service, &["dev-2", "dev-1"]).await;
    let all = get(&service, CERTIFICATES).await;
    assert_eq!(names(&all), ["dev-1", "dev-2"]);
    assert_eq!(all.header("x-ms-item-type"), "issuedCertificate");
    let row = &all.body[1];
    assert_eq!(row["serialNumber"], leaves[0].serial_hex());
    assert_eq!(row["sha256Thumbprint"], leaves[0].sha256().to_string());
    assert_eq!(row["issuerName"], "fleet");
    assert_eq!(row["origin"], "registration");
    assert_eq!(row["state"], "valid");
    assert_eq!(row["keyType"], "P-256");
    assert_eq!(row.get("certificate"), None);

    let path = format!("{CERTIFICATES}/{}", leaves[0].serial_hex().to_lowercase());
    let answer = get(&service, &path).await;
    assert_eq!(answer.body["certificate"], leaves[0].to_pem());
    let absent = get(&service, &format!("{CERTIFICATES}/0102")).await;
    assert_eq!(absent.status, 404);
    assert!(absent.message().contains("0102"));
    let wrong = get(&service, "/muster/v1/dps/issuers/other/certificates").await;
    assert_eq!(wrong.error(), 404_211);
}

#[tokio::test]
async fn lists_are_searched_and_cut_into_pages() {
    let service = Service::start().await;
    let leaves = issued(&service, &["dev-1", "dev-2", "dev-3"]).await;
    let list = async |query: &str| get(&service, &format!("{CERTIFICATES}?{query}")).await;
    assert_eq!(names(&list("subject=DEV-2").await), ["dev-2"]);
    let serial = format!("serialNumber={}", leaves[2].serial_hex());
    assert_eq!(names(&list(&serial).await), ["dev-3"]);
    assert_eq!(names(&list("expiresWithin=31d").await).len(), 3);
    assert!(names(&list("expiresWithin=29d").await).is_empty());
    assert_eq!(
        names(&list("expiresBefore=2026-07-02T00:00:00Z").await).len(),
        3
    );
    assert!(names(&list("state=revoked").await).is_empty());
    for wrong in ["expiresWithin=soon", "state=lost", "serialNumber=xyz"] {
        assert_eq!(list(wrong).await.status, 400, "{wrong}");
    }

    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let headers = [
            ("x-ms-max-item-count", "2"),
            ("x-ms-continuation", after.as_str()),
        ];
        let page = service
            .operate(Method::GET, CERTIFICATES, &headers, None)
            .await;
        found.extend(names(&page).into_iter().map(str::to_owned));
        match page.headers.get("x-ms-continuation") {
            Some(next) => after = next.to_str().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(found, ["dev-1", "dev-2", "dev-3"]);
}

#[tokio::test]
async fn an_issuer_trusts_ca_certificates_by_name() {
    let service = Service::start().await;
    issuer(&service, "fleet", json!({})).await;
    let trusts = "/muster/v1/dps/issuers/fleet/trusts";
    let put = |name: &str| {
        let path = format!("{trusts}/{name}");
        let service = &service;
        async move { service.operate(Method::PUT, &path, &[], None).await }
    };
    assert_eq!(put("maker").await.status, 404);
    service
        .upload("maker", &Ca::root("Maker").certificate, false)
        .await;
    let unverified = put("maker").await;
    assert_eq!(unverified.status, 400);
    assert!(
        unverified
            .message()
            .contains("muster dps certificate verify")
    );
    service
        .upload("other", &Ca::root("Other").certificate, true)
        .await;
    assert_eq!(put("other").await.body["trusts"], json!(["other"]));
    assert_eq!(get(&service, trusts).await.body, json!(["other"]));
    let path = format!("{trusts}/OTHER");
    let removed = service.operate(Method::DELETE, &path, &[], None).await;
    assert_eq!(removed.status, 204);
    assert_eq!(get(&service, trusts).await.body, Value::Array(Vec::new()));
}
