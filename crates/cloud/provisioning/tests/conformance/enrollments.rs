use ids::{EnrollmentId, RegistrationId, Thumbprint};
use provisioning::{
    AttestationKind, CertificateSlot, EnrolledCertificate, EnrollmentDraft, EnrollmentError,
    EnrollmentKey, EnrollmentKind, MAX_KEYED_GROUPS,
};
use registry::{IfMatch, PageRequest};
use serde_json::json;

use crate::Bench;

pub(crate) fn individual(id: &str) -> EnrollmentKey {
    EnrollmentKey::Individual(RegistrationId::parse(id).unwrap())
}

pub(crate) fn group(id: &str) -> EnrollmentKey {
    EnrollmentKey::Group(EnrollmentId::parse(id).unwrap())
}

fn certificate(number: u8, slot: CertificateSlot) -> EnrolledCertificate {
    EnrolledCertificate {
        slot,
        der: vec![number; 3],
        thumbprint: Thumbprint::from_bytes([number; 32]),
        subject: Some(vec![number]),
    }
}

fn draft(key: EnrollmentKey, primary: u8) -> EnrollmentDraft {
    EnrollmentDraft {
        key,
        enabled: true,
        attestation: AttestationKind::X509,
        document: json!({"attestation": {"type": "x509"}}),
        certificates: vec![certificate(primary, CertificateSlot::Primary)],
        ca_certificates: Vec::new(),
        issuance: Default::default(),
    }
}

/// C8: a token names no group, so that all that have keys are tried: how many there may be has an
/// end. What is there can be changed.
pub(crate) async fn groups_with_keys_have_an_end(bench: Bench) {
    let keyed = |id: &str| EnrollmentDraft {
        attestation: AttestationKind::SymmetricKey,
        certificates: Vec::new(),
        ..draft(group(id), 0)
    };
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..MAX_KEYED_GROUPS {
        let (provisioning, now) = (bench.provisioning.clone(), bench.now());
        let draft = keyed(&format!("g{number}"));
        puts.spawn(async move {
            provisioning
                .put_enrollment(draft, &IfMatch::Absent, now)
                .await
        });
    }
    for put in puts.join_all().await {
        put.unwrap();
    }
    let one_more = bench
        .provisioning
        .put_enrollment(keyed("more"), &IfMatch::Absent, bench.now());
    assert!(matches!(
        one_more.await,
        Err(EnrollmentError::TooManyKeyed(MAX_KEYED_GROUPS))
    ));
    let changed = bench
        .provisioning
        .put_enrollment(keyed("g7"), &IfMatch::Any, bench.now());
    changed.await.unwrap();
    let by_certificate = draft(group("certified"), 1);
    let other = bench
        .provisioning
        .put_enrollment(by_certificate, &IfMatch::Absent, bench.now());
    other.await.unwrap();
}

pub(crate) async fn an_enrollment_is_created_changed_and_deleted(bench: Bench) {
    let created = bench
        .provisioning
        .put_enrollment(draft(individual("Dev-1"), 1), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    let found = bench
        .provisioning
        .find_individual(&RegistrationId::parse("dev-1").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*found, created);

    let change = EnrollmentDraft {
        enabled: false,
        certificates: vec![
            certificate(2, CertificateSlot::Primary),
            certificate(3, CertificateSlot::Secondary),
        ],
        ..draft(individual("DEV-1"), 0)
    };
    let if_match = IfMatch::Exactly(created.etag.clone());
    let changed = bench
        .provisioning
        .put_enrollment(change, &if_match, bench.now())
        .await
        .unwrap();
    assert_eq!(changed.key.as_str(), "Dev-1", "the first spelling stays");
    assert!(!changed.enabled && changed.etag != created.etag);
    assert_eq!(
        (changed.created, changed.updated > created.updated),
        (created.created, true)
    );
    assert_eq!(changed.certificates.len(), 2);
    // What was remembered of the version before is not served.
    let found = bench
        .provisioning
        .enrollment(&individual("dev-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*found, changed);
    an_enrollment_is_deleted_once(&bench).await;
    // Its certificates are free again.
    bench
        .provisioning
        .put_enrollment(draft(group("g"), 2), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
}

async fn an_enrollment_is_deleted_once(bench: &Bench) {
    bench
        .provisioning
        .delete_enrollment(&individual("dev-1"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert!(
        bench
            .provisioning
            .enrollment(&individual("Dev-1"))
            .await
            .unwrap()
            .is_none()
    );
    let again = bench
        .provisioning
        .delete_enrollment(&individual("dev-1"), &IfMatch::Any, bench.now())
        .await;
    assert!(matches!(again, Err(EnrollmentError::NotFound(_))));
}

pub(crate) async fn versions_guard_entries(bench: Bench) {
    let put = async |if_match: IfMatch| {
        bench
            .provisioning
            .put_enrollment(draft(group("g"), 1), &if_match, bench.now())
            .await
    };
    assert!(matches!(
        put(IfMatch::Any).await,
        Err(EnrollmentError::NotFound(_))
    ));
    let first = put(IfMatch::Absent).await.unwrap();
    assert!(matches!(
        put(IfMatch::Absent).await,
        Err(EnrollmentError::Exists(_))
    ));
    put(IfMatch::Any).await.unwrap();
    let stale = IfMatch::Exactly(first.etag);
    assert!(matches!(
        put(stale.clone()).await,
        Err(EnrollmentError::PreconditionFailed(_))
    ));
    let delete = bench
        .provisioning
        .delete_enrollment(&group("g"), &stale, bench.now())
        .await;
    assert!(matches!(
        delete,
        Err(EnrollmentError::PreconditionFailed(_))
    ));
    bench
        .provisioning
        .delete_enrollment(&group("G"), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
}

pub(crate) async fn one_certificate_belongs_to_one_enrollment(bench: Bench) {
    bench
        .provisioning
        .put_enrollment(draft(group("First"), 1), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    let taken = bench
        .provisioning
        .put_enrollment(
            draft(individual("second"), 1),
            &IfMatch::Absent,
            bench.now(),
        )
        .await;
    let error = taken.unwrap_err();
    assert!(
        matches!(&error, EnrollmentError::CertificateTaken { other, .. } if *other == group("First"))
    );
    assert!(
        error.to_string().contains("enrollment group First"),
        "{error}"
    );
    assert!(
        bench
            .provisioning
            .enrollment(&individual("second"))
            .await
            .unwrap()
            .is_none(),
        "nothing was written"
    );

    // The same certificate in both slots of one enrollment is no conflict.
    let both = EnrollmentDraft {
        certificates: vec![
            certificate(4, CertificateSlot::Primary),
            certificate(4, CertificateSlot::Secondary),
        ],
        ..draft(group("both"), 0)
    };
    let both = bench
        .provisioning
        .put_enrollment(both, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    assert_eq!(
        both.certificates,
        [certificate(4, CertificateSlot::Primary)]
    );
}

pub(crate) async fn groups_are_found_nearest_first(bench: Bench) {
    for (name, number) in [("root", 1), ("middle", 2), ("other", 3)] {
        bench
            .provisioning
            .put_enrollment(draft(group(name), number), &IfMatch::Absent, bench.now())
            .await
            .unwrap();
    }
    bench
        .provisioning
        .put_enrollment(draft(individual("leaf"), 9), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    let chain = [7, 2, 9, 1].map(|number| Thumbprint::from_bytes([number; 32]));
    for _ in 0..2 {
        let found = bench
            .provisioning
            .groups_by_certificate(&chain)
            .await
            .unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|enrollment| enrollment.key.as_str())
            .collect();
        assert_eq!(names, ["middle", "root"]);
    }
    // Their subjects are the numbers too; 9 is a leaf's.
    let subjects: [&[u8]; 4] = [&[9], &[7], &[1], &[2]];
    let found = bench
        .provisioning
        .groups_by_subject(&subjects)
        .await
        .unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|enrollment| enrollment.key.as_str())
        .collect();
    assert_eq!(names, ["root", "middle"]);
}

pub(crate) async fn pages_are_in_order_and_complete(bench: Bench) {
    for number in [3, 1, 5, 2, 4] {
        let key = individual(&format!("d{number}"));
        bench
            .provisioning
            .put_enrollment(draft(key, number), &IfMatch::Absent, bench.now())
            .await
            .unwrap();
    }
    bench
        .provisioning
        .put_enrollment(draft(group("g"), 9), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    let mut page = PageRequest::first(2);
    let mut seen = Vec::new();
    loop {
        let answer = bench
            .provisioning
            .list_enrollments(EnrollmentKind::Individual, &page)
            .await
            .unwrap();
        assert!(answer.items.len() <= 2);
        seen.extend(
            answer
                .items
                .iter()
                .map(|enrollment| enrollment.key.as_str().to_owned()),
        );
        let Some(next) = answer.continuation else {
            break;
        };
        page.after = Some(next);
    }
    assert_eq!(seen, ["d1", "d2", "d3", "d4", "d5"]);
}
