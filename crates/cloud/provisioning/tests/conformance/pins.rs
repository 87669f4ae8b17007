//! Certificates that individual enrollments pin, and what devices and operators make of them.

use std::sync::Arc;
use std::time::Duration;

use ids::{EnrollmentId, Identity, RegistrationId, Timestamp};
use pki::Certificate;
use provisioning::{
    AttestationKind, CertificateSlot, DeviceProof, EnrolledBy, EnrolledCertificate,
    EnrolledIssuance, EnrollmentDraft, EnrollmentKey, EnterError, IssuedCertificate, NextAuthority,
    PendingRegistration, PendingStep, Placement, Renewal, RenewalError, Requester, describe,
};
use registry::IfMatch;
use registry::revocation::ProvenPath;
use serde_json::{Value, json};
use wire::muster_api::issuer::{IssuerUpdate, PinnedCertificates};

use crate::registrations::assign;
use crate::revocations::Ca;
use crate::{Bench, device, hub, issued};

const ID: &str = "d1";

fn key() -> EnrollmentKey {
    EnrollmentKey::Individual(RegistrationId::parse(ID).unwrap())
}

/// A certificate of issuer `fleet` for the device, that a client with a pinned one asks for.
fn renewed(leaf: &Certificate, requester: Requester) -> IssuedCertificate {
    IssuedCertificate {
        serial: leaf.serial().unwrap(),
        thumbprint: leaf.sha256(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        pinned_certificates: PinnedCertificates::Follow,
        requester,
        der: leaf.der().to_vec(),
        ..issued::certificate(1, ID)
    }
}

fn path(leaf: &Certificate) -> ProvenPath {
    ProvenPath {
        leaf: leaf.sha256(),
        keys: [].into(),
    }
}

fn document(member: &str, pinned: &[&Certificate]) -> Value {
    let mut pair = json!({"primary": {"info": describe(pinned[0])}});
    if let Some(secondary) = pinned.get(1) {
        pair["secondary"] = json!({"info": describe(secondary)});
    }
    json!({"attestation": {"type": "x509", "x509": {member: pair}}})
}

impl Bench {
    async fn following(&self) {
        self.fleet().await;
        let follow = IssuerUpdate {
            pinned_certificates: PinnedCertificates::Follow,
        };
        let fleet = issued::issuer("fleet");
        let updated = self.provisioning.update_issuer(&fleet, follow, self.now());
        updated.await.unwrap();
    }

    async fn pin(&self, pinned: &[&Certificate]) {
        let slots = [CertificateSlot::Primary, CertificateSlot::Secondary];
        let certificates = pinned
            .iter()
            .zip(slots)
            .map(|(one, slot)| EnrolledCertificate {
                slot,
                der: one.der().to_vec(),
                thumbprint: one.sha256(),
                subject: None,
            });
        let draft = EnrollmentDraft {
            key: key(),
            enabled: true,
            attestation: AttestationKind::X509,
            document: document("clientCertificates", pinned),
            certificates: certificates.collect(),
            ca_certificates: Vec::new(),
            issuance: EnrolledIssuance {
                issuer: Some(issued::issuer("fleet")),
                trust_bundle: None,
            },
        };
        let exists = self.provisioning.enrollment(&key()).await.unwrap();
        let if_match = exists.map_or(IfMatch::Absent, |_| IfMatch::Any);
        let put = self
            .provisioning
            .put_enrollment(draft, &if_match, self.now());
        put.await.unwrap();
    }

    /// What is pinned; the document describes the same.
    async fn pinned(&self, key: &EnrollmentKey) -> Vec<String> {
        let record = self.provisioning.enrollment(key).await.unwrap().unwrap();
        let kept = record.certificates.iter();
        let kept: Vec<String> = kept.map(|one| one.thumbprint.to_string()).collect();
        let x509 = &record.document["attestation"]["x509"];
        let pair = [&x509["clientCertificates"], &x509["signingCertificates"]];
        let pair = pair.into_iter().find(|pair| pair.is_object()).unwrap();
        let described =
            ["primary", "secondary"].map(|slot| &pair[slot]["info"]["sha256Thumbprint"]);
        let described = described.into_iter().filter_map(Value::as_str);
        assert_eq!(kept, described.collect::<Vec<_>>());
        kept
    }

    /// Registers the device with a pinned certificate.
    async fn register_with(&self, leaf: &Certificate, by_secondary: bool) {
        let enrollment = self.provisioning.enrollment(&key()).await.unwrap().unwrap();
        let mut assign = assign(&self.provisioning, ID).await;
        let registrant = &mut assign.registrant;
        registrant.enrollment = EnrolledBy::Individual;
        registrant.enrollment_etag = enrollment.etag.clone();
        registrant.proof = DeviceProof::Certificate(leaf.sha256());
        registrant.by_secondary = by_secondary;
        let assigned = self.provisioning.assign(assign, self.now()).await;
        assigned.unwrap().assigned().unwrap();
    }
}

fn prints(certificates: &[&Certificate]) -> Vec<String> {
    let print = |one: &&Certificate| one.sha256().to_string();
    certificates.iter().map(print).collect()
}

pub(crate) async fn the_certificate_of_a_device_follows_what_it_proves(bench: Bench) {
    bench.following().await;
    let ca = Ca::named("Fleet");
    let [first, second, third] = [1, 2, 3].map(|number| ca.leaf(number));
    bench.pin(&[&first]).await;
    bench.register_with(&first, false).await;
    let asked = Requester::EstCertificate(path(&first));
    bench.enter(renewed(&second, asked)).await.unwrap();
    assert_eq!(bench.pinned(&key()).await, prints(&[&first, &second]));
    let bench = bench.restart().await;
    bench.register_with(&second, true).await;
    assert_eq!(bench.pinned(&key()).await, prints(&[&second]));

    let renewal = Renewal {
        registration_id: RegistrationId::parse(ID).unwrap(),
        hub: hub(),
        device: device(ID),
        presented: path(&second),
        issued: Arc::new(renewed(&third, Requester::Hub)),
    };
    let provisioning = &bench.provisioning;
    provisioning
        .renew(renewal.clone(), bench.now())
        .await
        .unwrap();
    assert_eq!(bench.pinned(&key()).await, prints(&[&second, &third]));
    let device = Identity::device(hub(), device(ID));
    let fleet = issued::issuer("fleet");
    let id = RegistrationId::parse(ID).unwrap();
    let known = provisioning.issued_to_device(&fleet, &id, &device).unwrap();
    assert_eq!(known.len(), 2);

    // An operator's certificate is in the way: nothing is issued.
    let operators = Ca::named("Operator").leaf(9);
    bench.pin(&[&second, &operators]).await;
    let fourth = ca.leaf(4);
    let asked = Requester::EstCertificate(path(&second));
    let refused = bench.enter(renewed(&fourth, asked)).await;
    assert!(
        matches!(refused, Err(EnterError::PinOccupied { .. })),
        "{refused:?}"
    );
    let issued = Arc::new(renewed(&fourth, Requester::Hub));
    let refused = bench
        .provisioning
        .renew(Renewal { issued, ..renewal }, bench.now())
        .await;
    let is_occupied = |error: &RenewalError| {
        matches!(
            error,
            RenewalError::NotEntered(EnterError::PinOccupied { .. })
        )
    };
    assert!(refused.as_ref().is_err_and(is_occupied), "{refused:?}");
    assert_eq!(bench.pinned(&key()).await, prints(&[&second, &operators]));
}

pub(crate) async fn a_pending_registration_goes_on_under_what_it_made_of_its_pins(bench: Bench) {
    bench.following().await;
    let ca = Ca::named("Fleet");
    let [first, second, third] = [1, 2, 3].map(|number| ca.leaf(number));
    bench.pin(&[&first, &second]).await;
    let provisioning = &bench.provisioning;
    let enrollment = provisioning.enrollment(&key()).await.unwrap().unwrap();
    let mut assign = assign(provisioning, ID).await;
    let registrant = &mut assign.registrant;
    registrant.enrollment = EnrolledBy::Individual;
    registrant.enrollment_etag = enrollment.etag.clone();
    registrant.proof = DeviceProof::Issued {
        issued: third.sha256(),
        attested: Some(second.sha256()),
    };
    registrant.by_secondary = true;
    registrant.issued = Some(Arc::new(renewed(&third, Requester::Registration)));
    let now = bench.now();
    let placement = Placement {
        choice: assign.choice.clone(),
        note: None,
    };
    let step = PendingStep::PlaceOnRemoteHub(Box::new(placement));
    let pending = PendingRegistration::new(assign.registrant, step, now);
    provisioning.begin_pending(pending, now).await.unwrap();
    assert_eq!(bench.pinned(&key()).await, prints(&[&second, &third]));
    let enrollment = provisioning.enrollment(&key()).await.unwrap().unwrap();
    let due = provisioning
        .pending_due(bench.now(), Default::default(), 9)
        .await
        .unwrap();
    let registrant = &due[0].pending.registrant;
    assert_eq!(registrant.enrollment_etag, enrollment.etag);
    assert!(!registrant.by_secondary);
}

pub(crate) async fn a_group_that_is_written_late_joins_a_roll(bench: Bench) {
    bench.fleet().await;
    let (ca, fleet) = (Ca::named("Next"), issued::issuer("fleet"));
    let next = NextAuthority::of(&[ca.certificate().clone()]).unwrap();
    let started = bench.provisioning.start_roll(&fleet, next, bench.now());
    started.await.unwrap();
    let group = EnrollmentKey::Group(EnrollmentId::parse("late").unwrap());
    let described = Ca::named("Fleet");
    let current = issued::certificate(1, "").authority;
    let mut document = document("signingCertificates", &[described.certificate()]);
    let info = &mut document["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    info["sha256Thumbprint"] = json!(current.to_string());
    let draft = EnrollmentDraft {
        key: group.clone(),
        enabled: true,
        attestation: AttestationKind::X509,
        document,
        certificates: vec![EnrolledCertificate {
            slot: CertificateSlot::Primary,
            der: vec![1],
            thumbprint: current,
            subject: Some(vec![1]),
        }],
        ca_certificates: Vec::new(),
        issuance: EnrolledIssuance::default(),
    };
    let provisioning = &bench.provisioning;
    let put = provisioning.put_enrollment(draft, &IfMatch::Absent, bench.now());
    let written = put.await.unwrap();
    assert_eq!(
        provisioning.roll_to_join(&written).unwrap(),
        Some(fleet.clone())
    );
    provisioning
        .join_roll(&group, &fleet, bench.now())
        .await
        .unwrap();
    let both = [current.to_string(), ca.certificate().sha256().to_string()];
    assert_eq!(bench.pinned(&group).await, both);
    let written = provisioning.enrollment(&group).await.unwrap().unwrap();
    assert_eq!(provisioning.roll_to_join(&written).unwrap(), None);
}

pub(crate) async fn certificates_that_expired_long_ago_are_pruned(bench: Bench) {
    bench.fleet().await;
    for number in [1, 2, 60] {
        bench.enter(issued::certificate(number, "d")).await.unwrap();
    }
    let day = Duration::from_secs(86_400);
    let first = issued::certificate(1, "d");
    let at = |days: u32| -> Timestamp { first.not_after.plus(day * 365).plus(day * days) };
    let provisioning = &bench.provisioning;
    assert_eq!(provisioning.prune_issued(at(0)).await.unwrap(), 0);
    assert_eq!(provisioning.prune_issued(at(10)).await.unwrap(), 2);
    let left = provisioning.issued_certificates(&first.serial).unwrap();
    assert!(left.is_empty());
    // The serial number may not come again, and if it does it is another certificate's row.
    bench.enter(first.clone()).await.unwrap();
    assert_eq!(provisioning.prune_issued(at(10)).await.unwrap(), 1);
    let size = provisioning.read_certificate_log(|log| log.size());
    assert_eq!(size.unwrap(), 4, "the log keeps them");
}
