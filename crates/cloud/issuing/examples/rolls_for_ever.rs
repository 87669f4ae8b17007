//! Rolls an issuer again and again and says what it has come to, until it is killed: see
//! `tests/crash_rolls.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of a test says what it does, and fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;

use ca::DeviceIssuers;
use ids::{IssuerName, Timestamp};
use issuing::roll;
use pki::Certificate;
use provisioning::{
    AttestationKind, CertificateSlot, EnrolledCertificate, EnrollmentDraft, EnrollmentKey,
    IssuerDraft, Provisioning, RollStatus,
};
use registry::{IfMatch, Init, SystemEntropy};
use wire::muster_api::issuer::{
    DeviceKeyType, IssuerProfile, IssuerSettings, IssuerSource, Lifetime,
};

const NOW: i64 = 1_780_272_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = std::env::args().nth(1).unwrap();
    let directory = Path::new(&directory);
    let now = Timestamp::from_unix_seconds(NOW);
    let init = Init {
        rehearse: false,
        hub_name: "hub".parse().unwrap(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let opened = Provisioning::open(directory, init, Default::default(), now);
    let provisioning = opened.await.unwrap();
    let keys = Arc::new(DeviceIssuers::at(directory));
    let fleet: IssuerName = "fleet".parse().unwrap();
    if provisioning.issuer(&fleet).unwrap().is_none() {
        create(&provisioning, &keys, fleet.clone(), now).await;
    }
    let source = IssuerSource::Made {
        common_name: None,
        days: 100,
    };
    loop {
        // What was begun before the kill is ended first.
        for ends in [true, false] {
            let started = roll::start(&provisioning, &keys, &fleet, &source, now);
            say(&started.await.unwrap());
            let ended = match ends {
                true => roll::finish(&provisioning, &fleet, false, now).await,
                false => roll::abandon(&provisioning, &keys, &fleet, now).await,
            };
            say(&ended.unwrap());
        }
    }
}

fn say(status: &RollStatus) {
    let generations = &status.issuer.generations;
    println!(
        "{} {}",
        generations.next.is_some(),
        generations.issuing().thumbprint
    );
}

/// An issuer, and a group of its devices.
async fn create(
    provisioning: &Provisioning,
    keys: &DeviceIssuers,
    name: IssuerName,
    now: Timestamp,
) {
    let chain = keys.make("fleet", 100, 0, now).unwrap();
    let ca = &chain[0];
    // The group before the issuer: it is looked for by the issuer.
    let key = EnrollmentKey::Group("factory".parse().unwrap());
    if provisioning.enrollment(&key).await.unwrap().is_none() {
        let draft = group(key, ca);
        let put = provisioning.put_enrollment(draft, &IfMatch::Absent, now);
        put.await.unwrap();
    }
    let draft = IssuerDraft {
        name,
        ca_certificate: ca.sha256(),
        chain: ca.to_pem(),
        profile: IssuerProfile {
            kind: Default::default(),
            lifetime: Lifetime::Days { days: 30 },
            key_types: vec![DeviceKeyType::P256],
        },
        settings: IssuerSettings::default(),
    };
    provisioning.create_issuer(draft, now).await.unwrap();
}

fn group(key: EnrollmentKey, ca: &Certificate) -> EnrollmentDraft {
    let info = serde_json::to_value(provisioning::describe(ca)).unwrap();
    let pair = serde_json::json!({"primary": {"info": info}});
    EnrollmentDraft {
        key,
        enabled: true,
        attestation: AttestationKind::X509,
        document: serde_json::json!({
            "attestation": {"type": "x509", "x509": {"signingCertificates": pair}},
        }),
        certificates: vec![EnrolledCertificate {
            slot: CertificateSlot::Primary,
            der: ca.der().to_vec(),
            thumbprint: ca.sha256(),
            subject: Some(ca.subject_key().to_vec()),
        }],
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    }
}
