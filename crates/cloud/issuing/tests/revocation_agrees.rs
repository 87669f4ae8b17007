//! Whatever is revoked, held and restored: the revocation list, OCSP and the storage say the same.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use ca::DeviceIssuers;
use ids::{CertificateSerial, IssuerName, Timestamp};
use issuing::public::PublicCorner;
use issuing::{Wanted, issue};
use pki::{CaHashes, Certificate, OcspHash, RevocationReason, UnverifiedCrl, prove_request};
use proptest::prelude::*;
use provisioning::{IssuedState, IssuerDraft, Provisioning, Requester};
use rcgen::{CertificateParams, DnType, KeyPair};
use registry::{Init, SystemEntropy};
use wire::muster_api::issuer::{DeviceKeyType, IssuerProfile, IssuerSettings};

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const CERTIFICATES: usize = 6;

#[derive(Debug, Clone, Copy)]
enum Act {
    Revoke(RevocationReason),
    Restore,
}

struct World {
    provisioning: Provisioning,
    corner: PublicCorner,
    issuer: IssuerName,
    ca: Certificate,
    serials: Vec<CertificateSerial>,
    _directory: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let init = Init {
            rehearse: false,
            hub_name: "hub".parse().unwrap(),
            hub_host: "hub.example".parse().unwrap(),
            entropy: Arc::new(SystemEntropy),
        };
        let opened = Provisioning::open(directory.path(), init, Default::default(), NOW).await;
        let provisioning = opened.unwrap();
        let keys = Arc::new(DeviceIssuers::at(directory.path()));
        let ca = keys.make("Fleet CA", 3650, 0, NOW).unwrap().remove(0);
        let issuer = IssuerName::parse("fleet").unwrap();
        let draft = IssuerDraft {
            name: issuer.clone(),
            ca_certificate: ca.sha256(),
            chain: ca.to_pem(),
            profile: IssuerProfile {
                key_types: vec![DeviceKeyType::P256],
                ..IssuerProfile::default()
            },
            settings: IssuerSettings::default(),
        };
        let record = provisioning.create_issuer(draft, NOW).await.unwrap();
        let mut serials = Vec::new();
        for number in 0..CERTIFICATES {
            let wanted = Wanted {
                issuer: &record,
                request: prove_request(&request(number)).unwrap(),
                common_name: None,
                requester: Requester::Operator,
            };
            let chain = issue(wanted, &keys, &provisioning, NOW).await.unwrap();
            serials.push(chain.leaf().serial().unwrap());
        }
        Self {
            corner: PublicCorner::new(keys, true),
            provisioning,
            issuer,
            ca,
            serials,
            _directory: directory,
        }
    }

    async fn act(&self, serial: CertificateSerial, act: Act, now: Timestamp) {
        let (provisioning, issuer) = (&self.provisioning, &self.issuer);
        // What is final is refused; the storage says what holds.
        let _ = match act {
            Act::Revoke(reason) => {
                provisioning
                    .revoke_certificate(issuer, serial, reason, now)
                    .await
            }
            Act::Restore => provisioning.restore_certificate(issuer, serial, now).await,
        };
    }

    async fn get(&self, path: &str, body: Vec<u8>, now: Timestamp) -> Vec<u8> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body)).unwrap();
        let response = self.corner.answer(&self.provisioning, now, request).await;
        assert_eq!(response.status(), 200, "{path}");
        to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap()
            .to_vec()
    }

    /// What the storage says: the reason of each certificate that is held or revoked.
    fn stored(&self) -> BTreeMap<CertificateSerial, &'static str> {
        let mut found = BTreeMap::new();
        for serial in &self.serials {
            let listed = self.provisioning.issued_certificates(serial).unwrap();
            let reason = match listed[0].state {
                IssuedState::Valid => continue,
                IssuedState::Held => RevocationReason::CertificateHold,
                IssuedState::Revoked => {
                    RevocationReason::parse(listed[0].reason.as_deref().unwrap()).unwrap()
                }
            };
            found.insert(*serial, reason.name());
        }
        found
    }

    /// What a list, or all parts of it, say.
    async fn listed(&self, paths: &[String], now: Timestamp) -> Listed {
        let mut found = Listed::default();
        for path in paths {
            let der = self.get(path, Vec::new(), now).await;
            let list = UnverifiedCrl::read(der)
                .unwrap()
                .verify(&self.ca, now)
                .unwrap();
            found.number = list.number().unwrap().to_string();
            for entry in list.entries() {
                let serial = CertificateSerial::from_bytes(entry.serial).unwrap();
                found.entries.insert(serial, entry.reason.name());
            }
        }
        found
    }

    /// Whether OCSP says that a certificate is revoked.
    async fn is_revoked(&self, serial: CertificateSerial, hash: OcspHash, now: Timestamp) -> bool {
        let id = CaHashes::of(&self.ca).cert_id(hash, serial.as_bytes());
        let request = (0..4).fold(id.clone(), |inside, _| sequence(&inside));
        let answer = self.get("/pki/fleet/ocsp", request, now).await;
        let at = answer
            .windows(id.len())
            .position(|part| part == id)
            .unwrap();
        match answer[at + id.len()] {
            0x80 => false,
            0xa1 => true,
            status => panic!("status {status:#x} of a certificate that was issued"),
        }
    }

    async fn require_agreement(&self, now: Timestamp) -> String {
        let stored = self.stored();
        let whole = self.listed(&["/pki/fleet/crl".to_owned()], now).await;
        assert_eq!(whole.entries, stored);
        let last = |serial: &CertificateSerial| *serial.as_bytes().last().unwrap();
        let parts = self
            .serials
            .iter()
            .map(|serial| format!("/pki/fleet/crl/{:02x}", last(serial)));
        let parts: Vec<String> = parts.collect();
        assert_eq!(self.listed(&parts, now).await.entries, stored);
        for serial in &self.serials {
            for hash in [OcspHash::Sha1, OcspHash::Sha256] {
                let is_revoked = self.is_revoked(*serial, hash, now).await;
                assert_eq!(is_revoked, stored.contains_key(serial), "{serial}");
            }
        }
        whole.number
    }
}

#[derive(Default)]
struct Listed {
    entries: BTreeMap<CertificateSerial, &'static str>,
    number: String,
}

fn request(number: usize) -> Vec<u8> {
    let mut params = CertificateParams::default();
    let name = format!("press-{number}");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// A SEQUENCE of at most 255 bytes.
fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let mut der = match length {
        0..=0x7f => vec![0x30, length],
        _ => vec![0x30, 0x81, length],
    };
    der.extend(content);
    der
}

fn acts() -> impl Strategy<Value = Act> {
    let reasons: Vec<RevocationReason> = RevocationReason::all().collect();
    prop_oneof![
        2 => Just(Act::Revoke(RevocationReason::CertificateHold)),
        2 => Just(Act::Restore),
        1 => proptest::sample::select(reasons).prop_map(Act::Revoke),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn list_ocsp_and_storage_agree_after_any_acts(
        steps in proptest::collection::vec((0..CERTIFICATES, acts()), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::open().await;
            let mut numbers = vec![world.require_agreement(NOW).await];
            for (second, (index, act)) in (1..).zip(steps) {
                let now = NOW.plus(std::time::Duration::from_secs(second));
                let before = world.stored();
                world.act(world.serials[index], act, now).await;
                let number = world.require_agreement(now).await;
                // A list that says something else has a greater number.
                if before != world.stored() {
                    numbers.push(number);
                }
            }
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        });
    }
}
