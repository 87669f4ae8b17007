//! Revocation lists that are long, and clients that want many of them signed.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use ca::DeviceIssuers;
use ids::{CertificateSerial, IssuerName, Timestamp};
use issuing::public::PublicCorner;
use issuing::{Wanted, issue};
use pki::{Certificate, RevocationReason, UnverifiedCrl, VerifiedCrl, prove_request};
use provisioning::{IssuerDraft, IssuerRecord, Provisioning, Requester};
use rcgen::{CertificateParams, DnType, KeyPair};
use registry::{Init, SystemEntropy};
use tokio::task::JoinSet;
use wire::muster_api::issuer::{DeviceKeyType, IssuerProfile, IssuerSettings};

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
/// The longest list that certificates name whole.
const WHOLE: usize = 10_000;

struct World {
    provisioning: Provisioning,
    keys: Arc<DeviceIssuers>,
    corner: PublicCorner,
    issuer: IssuerName,
    record: IssuerRecord,
    ca: Certificate,
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
        let keys = DeviceIssuers::at(directory.path());
        let keys = Arc::new(keys.published_at("http://pki.example".to_owned()));
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
        Self {
            corner: PublicCorner::new(keys.clone(), false),
            provisioning,
            keys,
            issuer,
            record,
            ca,
            _directory: directory,
        }
    }

    /// Revokes serial numbers of the CA that end with each of the 256 bytes in turn.
    async fn revoke(&self, numbers: std::ops::Range<usize>) {
        let mut acts = JoinSet::new();
        for number in numbers {
            let (provisioning, issuer) = (self.provisioning.clone(), self.issuer.clone());
            let mut serial = [1_u8; 16];
            serial[8..].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
            let serial = CertificateSerial::from_bytes(&serial).unwrap();
            acts.spawn(async move {
                let reason = RevocationReason::Superseded;
                let revoked = provisioning.revoke_certificate(&issuer, serial, reason, NOW);
                revoked.await.map(drop)
            });
        }
        while let Some(act) = acts.join_next().await {
            act.unwrap().unwrap();
        }
    }

    async fn get(&self, path: &str, now: Timestamp) -> Response<Body> {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        self.corner.answer(&self.provisioning, now, request).await
    }

    async fn list(&self, path: &str, now: Timestamp) -> VerifiedCrl {
        let response = self.get(path, now).await;
        assert_eq!(response.status(), 200, "{path}");
        let der = to_bytes(response.into_body(), 1 << 24).await.unwrap();
        let read = UnverifiedCrl::read(der.to_vec()).unwrap();
        read.verify(&self.ca, now).unwrap()
    }

    /// A new certificate, and the address of the list that it names.
    async fn issued(&self) -> (Certificate, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "dev-1");
        let request = params.serialize_request(&KeyPair::generate().unwrap());
        let wanted = Wanted {
            issuer: &self.record,
            request: prove_request(request.unwrap().der()).unwrap(),
            common_name: None,
            requester: Requester::Operator,
        };
        let chain = issue(wanted, &self.keys, &self.provisioning, NOW).await;
        let leaf = chain.unwrap().leaf().clone();
        let der = String::from_utf8_lossy(leaf.der()).into_owned();
        let start = der.find("http://pki.example").unwrap();
        let list = &der[start + "http://pki.example".len()..];
        let whole = list.find("/crl").unwrap() + "/crl".len();
        let end = match list[whole..].starts_with('/') {
            true => whole + "/XX".len(),
            false => whole,
        };
        (leaf, list[..end].to_owned())
    }
}

/// The last byte of a serial number says in which part of the list it is.
fn part(serial: &[u8]) -> String {
    format!("{:02x}", serial.last().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_name_a_part_of_the_list_once_it_has_more_than_10_000_entries() {
    let world = World::open().await;
    world.revoke(0..WHOLE).await;
    let (first, named) = world.issued().await;
    assert!(named.ends_with("/crl"), "{named}");
    assert_eq!(world.list(&named, NOW).await.len(), WHOLE);
    let (_, again) = world.issued().await;
    assert_eq!(again, named, "a list of 10,000 entries is whole");

    world.revoke(WHOLE..WHOLE + 1).await;
    let whole = world.list(&named, NOW).await;
    assert_eq!(whole.len(), WHOLE + 1);
    assert!(whole.distribution_point().is_none());
    let (second, of_part) = world.issued().await;
    let name = part(second.serial().unwrap().as_bytes());
    assert_eq!(of_part, format!("{named}/{name}"));
    // What names the whole list goes on finding it there, and what names a part finds itself in it.
    for (certificate, path) in [(&first, &named), (&second, &of_part)] {
        let revoked = world.provisioning.revoke_certificate(
            &world.issuer,
            certificate.serial().unwrap(),
            RevocationReason::KeyCompromise,
            NOW,
        );
        revoked.await.unwrap();
        let list = world.list(path, NOW).await;
        let serial = certificate.serial().unwrap();
        assert!(
            list.entries()
                .any(|entry| entry.serial == serial.as_bytes())
        );
    }
    let list = world.list(&of_part, NOW).await;
    let point = list.distribution_point().unwrap();
    assert_eq!(point, format!("http://pki.example{of_part}"));
    assert!(list.entries().all(|entry| part(entry.serial) == name));

    // All parts together say what the whole list says.
    let (mut entries, mut now) = (0, NOW);
    for number in 0..=255_u8 {
        now = now.plus(std::time::Duration::from_secs(1));
        entries += world
            .list(&format!("{named}/{number:02x}"), now)
            .await
            .len();
    }
    assert_eq!(entries, world.list(&named, now).await.len());
}

#[tokio::test]
async fn clients_have_a_bounded_number_of_lists_signed() {
    let world = World::open().await;
    let (_, named) = world.issued().await;
    let at = |number: usize| format!("{named}/{number:02x}");
    let mut signed = Vec::new();
    for number in 0..=255 {
        let response = world.get(&at(number), NOW).await;
        match response.status().as_u16() {
            200 => signed.push(number),
            503 => assert_eq!(response.headers()["retry-after"], "1"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(signed, (0..40).collect::<Vec<_>>());
    // What is signed is answered all the same, and the others later.
    for number in &signed {
        assert_eq!(world.get(&at(*number), NOW).await.status(), 200);
    }
    assert_eq!(world.get(&at(255), NOW).await.status(), 503);
    let later = NOW.plus(std::time::Duration::from_secs(1));
    assert_eq!(world.get(&at(255), later).await.status(), 200);
    // The server makes the list that most certificates name without regard to them.
    for number in 100..140 {
        world.get(&at(number), later).await;
    }
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let clock = move || later;
    let run = world.corner.run(&world.provisioning, &clock, stopping);
    let stopped = async {
        while world.get(&named, later).await.status() != 200 {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    tokio::join!(run, stopped);
}
