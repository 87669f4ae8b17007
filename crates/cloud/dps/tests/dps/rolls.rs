//! Issuers that are rolled to another CA.

use axum::http::Method;
use pki::Certificate;
use serde_json::{Value, json};

use crate::harness::est::{EstRequest, csr};
use crate::harness::hierarchy::{Ca, chain};
use crate::harness::{Answer, Service};

const ROLL: &str = "/muster/v1/dps/issuers/fleet/roll";

impl Service {
    pub async fn roll(&self, verb: &str, body: &Value) -> Answer {
        let path = format!("{ROLL}/{verb}");
        self.operate(Method::POST, &path, &[], Some(body)).await
    }

    pub async fn roll_status(&self) -> Value {
        self.operate(Method::GET, ROLL, &[], None).await.body
    }

    /// An issuer `fleet`; its CA.
    pub async fn fleet(&self) -> Certificate {
        self.issuer("fleet", json!({})).await;
        self.fleet_ca().await
    }

    /// The CA that `fleet` issues by.
    pub async fn fleet_ca(&self) -> Certificate {
        let path = "/muster/v1/dps/issuers/fleet";
        let issuer = self.operate(Method::GET, path, &[], None).await;
        let pem = issuer.body["certificate"].as_str().unwrap();
        Certificate::parse_pem_bundle(pem).unwrap().remove(0)
    }

    /// A group of the devices under a CA certificate, and another one beside it.
    pub async fn group(&self, id: &str, primary: &Certificate, secondary: Option<&Certificate>) {
        let mut pair = json!({"primary": {"certificate": primary.to_pem()}});
        if let Some(secondary) = secondary {
            pair["secondary"] = json!({"certificate": secondary.to_pem()});
        }
        let body = json!({
            "enrollmentGroupId": id,
            "attestation": {"type": "x509", "x509": {"signingCertificates": pair}},
        });
        self.create(&format!("/enrollmentGroups/{id}"), &body).await;
    }

    async fn slots(&self, id: &str) -> [Option<String>; 2] {
        let path = format!("/enrollmentGroups/{id}");
        let group = self.operate(Method::GET, &path, &[], None).await;
        let pair = &group.body["attestation"]["x509"]["signingCertificates"];
        ["primary", "secondary"].map(|slot| {
            let thumbprint = pair[slot]["info"]["sha256Thumbprint"].as_str();
            thumbprint.map(str::to_owned)
        })
    }
}

fn print(ca: &Certificate) -> Option<String> {
    Some(ca.sha256().to_string())
}

#[tokio::test]
async fn groups_admit_both_cas_while_an_issuer_rolls() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.group("factory", &old, None).await;
    let started = service.roll("start", &json!({})).await;
    assert_eq!(started.body["rolling"], true, "{}", started.body);
    let new = service.fleet_ca().await;
    assert_ne!(new, old);
    assert_eq!(new.subject(), "CN=fleet 2");
    assert_eq!(service.slots("factory").await, [print(&old), print(&new)]);
    // Who did not hear the answer asks again.
    let again = service.roll("start", &json!({})).await;
    assert_eq!(again.body, started.body);
    assert_eq!(started.body["authorities"][0]["issuing"], true);

    let finished = service.roll("finish", &json!({})).await;
    assert_eq!(finished.body["rolling"], false, "{}", finished.body);
    assert_eq!(service.slots("factory").await, [print(&new), None]);
    assert_eq!(service.roll("finish", &json!({})).await.error(), 409_211);
    let acts = service.audited();
    assert!(
        acts.contains(&"issuer.roll.finish device issuer fleet".to_owned()),
        "{acts:?}"
    );
}

#[tokio::test]
async fn a_group_without_room_is_named() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service
        .group("full", &old, Some(&Ca::root("Other").certificate))
        .await;
    let refused = service.roll("start", &json!({})).await;
    assert_eq!(refused.error(), 409_211);
    assert!(
        refused.message().contains("enrollment group full"),
        "{}",
        refused.message()
    );
    assert_eq!(service.fleet_ca().await, old);
    let keys = std::fs::read_dir(service.data_dir().join("ca/issuers")).unwrap();
    assert_eq!(
        keys.count(),
        1,
        "the key of the CA that was not taken is gone"
    );
}

#[tokio::test]
async fn groups_that_name_an_uploaded_ca_get_the_new_one_by_name() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.upload("fleet-ca", &old, true).await;
    let references = json!({"primary": "fleet-ca"});
    let body = json!({
        "enrollmentGroupId": "named",
        "attestation": {"type": "x509", "x509": {"caReferences": references}},
    });
    service.create("/enrollmentGroups/named", &body).await;
    service.roll("start", &json!({})).await;
    let path = "/enrollmentGroups/named";
    let references = async || {
        let group = service.operate(Method::GET, path, &[], None).await;
        group.body["attestation"]["x509"]["caReferences"].clone()
    };
    let new = service.fleet_ca().await.sha256().to_string();
    let name = format!("fleet-ca-{}", &new[..12]);
    assert_eq!(
        references().await,
        json!({"primary": "fleet-ca", "secondary": name})
    );
    let uploaded = service.ca_certificate(Method::GET, &name, None).await;
    assert_eq!(
        uploaded.body["properties"]["thumbprint"]
            .as_str()
            .map(str::len),
        Some(40)
    );
    service.roll("finish", &json!({})).await;
    assert_eq!(references().await["primary"], json!(name));
    assert!(references().await["secondary"].is_null());
}

#[tokio::test]
async fn an_imported_ca_is_rolled_to_once() {
    let service = Service::start().await;
    service.fleet().await;
    let other = Service::start().await;
    let ca = other.fleet().await;
    let file = format!("ca/issuers/{}.pem", ca.sha256());
    let text = std::fs::read_to_string(other.data_dir().join(file)).unwrap();
    let body = json!({"certificate": ca.to_pem(), "privateKey": text});
    let started = service.roll("start", &body).await;
    assert_eq!(started.status, 200, "{}", started.body);
    assert_eq!(service.fleet_ca().await, ca);
    assert_eq!(service.roll("start", &body).await.body, started.body);
    let third = Service::start().await;
    let another = json!({"certificate": third.fleet().await.to_pem(), "privateKey": text});
    assert_eq!(service.roll("start", &another).await.error(), 409_211);
}

/// Renews over EST with a certificate, and registers with the new one.
async fn renew(service: &Service, id: &str, leaf: &Certificate) -> Certificate {
    let asked = EstRequest::post("/simplereenroll", &csr(id));
    let leaf = service.est(asked.with(chain(&[leaf]))).await.certificate();
    service.provision(id, &chain(&[&leaf])).await;
    leaf
}

#[tokio::test]
async fn a_roll_that_is_abandoned_leads_devices_back() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.group("factory", &old, None).await;
    service.roll("start", &json!({})).await;
    let unused = service.fleet_ca().await;
    let abandoned = service.roll("abandon", &json!({})).await;
    assert_eq!(
        abandoned.body["rolling"], false,
        "nothing was issued: {}",
        abandoned.body
    );
    assert_eq!(service.slots("factory").await, [print(&old), None]);
    let file = format!("ca/issuers/{}.pem", unused.sha256());
    assert!(!service.data_dir().join(file).exists());

    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let asked = EstRequest::post("/simpleenroll", &csr("dev-1")).by("line-1", &password);
    let leaf = service.est(asked).await.certificate();
    service.provision("dev-1", &chain(&[&leaf])).await;
    service.roll("start", &json!({})).await;
    let new = service.fleet_ca().await;
    let leaf = renew(&service, "dev-1", &leaf).await;
    assert!(leaf.is_signed_by(&new));

    // The device has a certificate of the new CA: that stays admitted until it has another.
    let abandoned = service.roll("abandon", &json!({})).await;
    assert_eq!(abandoned.body["rolling"], true, "{}", abandoned.body);
    assert_eq!(service.fleet_ca().await, old);
    let early = service.roll("finish", &json!({})).await;
    assert!(
        early.message().contains("1 registered devices"),
        "{}",
        early.message()
    );
    service.provision("dev-1", &chain(&[&leaf])).await;
    let back = renew(&service, "dev-1", &leaf).await;
    assert!(back.is_signed_by(&old));
    let finished = service.roll("finish", &json!({})).await;
    assert_eq!(finished.body["rolling"], false, "{}", finished.body);
    assert_eq!(service.slots("factory").await, [print(&old), None]);
}

#[tokio::test]
async fn a_roll_finished_by_force_refuses_what_the_old_ca_issued() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.group("factory", &old, None).await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    let asked = EstRequest::post("/simpleenroll", &csr("dev-1")).by("line-1", &password);
    let leaf = service.est(asked).await.certificate();
    service.provision("dev-1", &chain(&[&leaf])).await;
    service.roll("start", &json!({})).await;
    let early = service.roll("finish", &json!({})).await;
    assert_eq!(early.error(), 409_211);
    let forced = service.roll("finish", &json!({"force": true})).await;
    assert_eq!(forced.body["rolling"], false, "{}", forced.body);
    assert_eq!(
        service.register("dev-1", &chain(&[&leaf])).await.status,
        401
    );
    let asked = EstRequest::post("/simplereenroll", &csr("dev-1"));
    let refused = service.est(asked.with(chain(&[&leaf]))).await;
    assert_eq!(refused.status, 401, "{}", refused.body);
}

#[tokio::test]
async fn a_group_that_is_written_while_an_issuer_rolls_admits_both_cas() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.roll("start", &json!({})).await;
    let new = service.fleet_ca().await;
    service.group("late", &old, None).await;
    assert_eq!(service.slots("late").await, [print(&old), print(&new)]);
    // By name, where no group named it before: the new CA is uploaded.
    let other = Service::start().await;
    let old = other.fleet().await;
    other.upload("fleet-ca", &old, true).await;
    other.roll("start", &json!({})).await;
    let body = json!({
        "enrollmentGroupId": "named",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "fleet-ca"}}},
    });
    let written = other.create("/enrollmentGroups/named", &body).await;
    let references = &written.body["attestation"]["x509"]["caReferences"];
    let new = other.fleet_ca().await.sha256().to_string();
    assert_eq!(
        references["secondary"],
        json!(format!("fleet-ca-{}", &new[..12]))
    );
    let etag = written.header("etag").trim_matches('"').to_owned();
    let read = other
        .operate(Method::GET, "/enrollmentGroups/named", &[], None)
        .await;
    assert_eq!(read.header("etag").trim_matches('"'), etag);
}

#[tokio::test]
async fn a_group_without_room_that_is_written_while_an_issuer_rolls_is_warned_of() {
    let service = Service::start().await;
    let old = service.fleet().await;
    service.roll("start", &json!({})).await;
    let body = json!({
        "enrollmentGroupId": "full",
        "attestation": {"type": "x509", "x509": {"signingCertificates": {
            "primary": {"certificate": old.to_pem()},
            "secondary": {"certificate": Ca::root("Other").certificate.to_pem()},
        }}},
    });
    let written = service.create("/enrollmentGroups/full", &body).await;
    let warning = written.header("x-muster-warning");
    assert!(
        warning.contains("device issuer fleet goes over"),
        "{warning}"
    );
    // The group of another CA is not concerned.
    let body = crate::harness::group("other", &Ca::root("Third").certificate);
    let written = service.create("/enrollmentGroups/other", &body).await;
    assert!(!written.headers.contains_key("x-muster-warning"));
}
