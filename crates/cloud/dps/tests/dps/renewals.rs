//! Connected devices get other certificates of the issuer that their enrollment names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps::RenewalFault;
use ids::{Identity, Thumbprint};
use pki::{Certificate, RevocationReason};
use registry::revocation::ProvenPath;
use serde_json::{Value, json};

use crate::harness::Service;
use crate::issuing::{Device, certificates, issuer, request, thumbprints};

const DAYS: i64 = 24 * 3600;

fn identity(id: &str) -> Identity {
    Identity {
        hub: "hub".parse().unwrap(),
        device: id.parse().unwrap(),
        module: None,
    }
}

impl Service {
    pub async fn renew(
        &self,
        id: &str,
        presented: ProvenPath,
        csr: &[u8],
    ) -> Result<Certificate, RenewalFault> {
        let chain = self
            .dps
            .renew_certificate(&identity(id), presented, csr)
            .await?;
        let chain: Vec<_> = chain
            .iter()
            .map(|der| Certificate::from_der(der).unwrap())
            .collect();
        assert!(chain[0].is_signed_by(&chain[1]));
        Ok(chain[0].clone())
    }
}

/// What a device presents that is connected with a certificate.
pub fn path(certificate: &Certificate) -> ProvenPath {
    ProvenPath::of(certificate, [])
}

fn unknown_path() -> ProvenPath {
    ProvenPath {
        leaf: Thumbprint::from_bytes([1; 32]),
        keys: [].into(),
    }
}

/// A device that was given a certificate as it registered.
pub async fn provisioned(service: &Service, id: &'static str) -> Certificate {
    issuer(service, "fleet", json!({"validityDays": 30})).await;
    let device = Device::enrolled(service, id, json!({"credentialPolicyName": "fleet"})).await;
    let csr = STANDARD.encode(request(id));
    let (_, state) = device.provision(service, json!({"csr": csr})).await;
    certificates(&state).remove(0)
}

#[tokio::test]
async fn the_new_certificate_and_the_one_that_asked_open_the_hub() {
    let service = Service::start().await;
    let first = provisioned(&service, "dev-1").await;
    let csr = request("dev-1");
    let second = service.renew("dev-1", path(&first), &csr).await.unwrap();
    assert_eq!(second.subject(), "CN=dev-1");
    let pair = |new: &Certificate, old: &Certificate| {
        [new, old].map(|certificate| certificate.sha256().to_string())
    };
    assert_eq!(thumbprints(&service, "dev-1").await, pair(&second, &first));

    // The answer was lost: the same request has the same answer, also after a restart.
    let again = service.renew("dev-1", path(&first), &csr).await.unwrap();
    assert_eq!(again, second);
    let service = service.restarted().await;
    let again = service.renew("dev-1", path(&first), &csr).await.unwrap();
    assert_eq!(again, second);

    // It connects with the new one and asks for one with the same key: the first goes.
    let third = service.renew("dev-1", path(&second), &csr).await.unwrap();
    assert_ne!(third, second);
    assert_eq!(thumbprints(&service, "dev-1").await, pair(&third, &second));
    // One that has lived half its time is not given again.
    service.advance(16 * DAYS);
    let fourth = service.renew("dev-1", path(&second), &csr).await.unwrap();
    assert_ne!(fourth, third);
    let listed = "/muster/v1/dps/issuers/fleet/certificates";
    let listed = service
        .operate(axum::http::Method::GET, listed, &[], None)
        .await;
    let of_hub = |row: &&Value| row["origin"] == "hub";
    assert_eq!(
        listed
            .body
            .as_array()
            .unwrap()
            .iter()
            .filter(of_hub)
            .count(),
        3
    );
}

#[tokio::test]
async fn a_device_that_was_given_none_gets_none() {
    let service = Service::start().await;
    let unknown = service.renew("nobody", unknown_path(), b"").await;
    assert!(
        matches!(unknown, Err(RenewalFault::NotEntitled(_))),
        "{unknown:?}"
    );
    issuer(&service, "fleet", json!({"validityDays": 30})).await;
    let more = json!({"credentialPolicyName": "fleet"});
    let device = Device::enrolled(&service, "dev-1", more).await;
    device.provision(&service, json!({})).await;
    let none = service
        .renew("dev-1", unknown_path(), &request("dev-1"))
        .await;
    let Err(RenewalFault::NotEntitled(why)) = none else {
        panic!("{none:?}")
    };
    assert!(why.contains("it was given none"), "{why}");
}

#[tokio::test]
async fn what_is_asked_for_must_be_the_devices_own() {
    let service = Service::start().await;
    let first = provisioned(&service, "dev-1").await;
    for csr in [b"nothing".to_vec(), request("dev-2")] {
        let refused = service.renew("dev-1", path(&first), &csr).await;
        assert!(
            matches!(refused, Err(RenewalFault::Request(_))),
            "{refused:?}"
        );
    }
    // A certificate that does not open the hub any more.
    let gone = unknown_path();
    let refused = service.renew("dev-1", gone, &request("dev-1")).await;
    assert!(
        matches!(refused, Err(RenewalFault::Request(_))),
        "{refused:?}"
    );
    service.block(axum::http::Method::PUT, "dev-1").await;
    let refused = service
        .renew("dev-1", path(&first), &request("dev-1"))
        .await;
    assert!(
        matches!(refused, Err(RenewalFault::NotEntitled(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_was_revoked_or_put_on_hold_gets_no_other() {
    let service = Service::start().await;
    let first = provisioned(&service, "dev-1").await;
    let csr = request("dev-1");
    let renewed = service.renew("dev-1", path(&first), &csr).await;
    renewed.unwrap();
    let fleet = "fleet".parse().unwrap();
    for reason in [
        RevocationReason::CertificateHold,
        RevocationReason::KeyCompromise,
    ] {
        let serial = first.serial().unwrap();
        let provisioning = &service.provisioning;
        let revoked = provisioning.revoke_certificate(&fleet, serial, reason, service.now());
        revoked.await.unwrap();
        let refused = service
            .renew("dev-1", path(&first), &request("dev-1"))
            .await;
        let Err(RenewalFault::Request(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains(reason.name()), "{why}");
    }
}

#[tokio::test]
async fn an_answer_of_a_ca_that_the_issuer_left_is_not_given_again() {
    let service = Service::start().await;
    let first = provisioned(&service, "dev-1").await;
    let started = service.roll("start", &json!({})).await;
    assert_eq!(started.body["rolling"], true, "{}", started.body);
    let csr = request("dev-1");
    let second = service.renew("dev-1", path(&first), &csr).await.unwrap();
    service.roll("abandon", &json!({})).await;
    let left = service.roll("finish", &json!({"force": true})).await;
    assert_eq!(left.body["rolling"], false, "{}", left.body);
    let third = service.renew("dev-1", path(&first), &csr).await.unwrap();
    assert_ne!(third, second);
    assert!(third.is_signed_by(&service.fleet_ca().await));
}
