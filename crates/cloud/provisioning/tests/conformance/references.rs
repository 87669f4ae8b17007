use ids::{CertificateName, Thumbprint};
use provisioning::{
    AttestationKind, CaCertificateError, CaCertificateState, CertificateSlot, EnrolledCertificate,
    EnrollmentDraft, EnrollmentError, EnrollmentKey, EnrollmentRecord,
};
use registry::IfMatch;
use serde_json::json;

use crate::Bench;
use crate::ca_certificates::name;
use crate::enrollments::{group, individual};

fn draft(key: EnrollmentKey, names: &[&str]) -> EnrollmentDraft {
    let slots = [CertificateSlot::Primary, CertificateSlot::Secondary];
    let named = |(slot, text): (_, &&str)| (slot, CertificateName::parse(text).unwrap());
    EnrollmentDraft {
        key,
        enabled: true,
        attestation: AttestationKind::X509,
        document: json!({"attestation": {"type": "x509"}}),
        certificates: Vec::new(),
        ca_certificates: slots.into_iter().zip(names).map(named).collect(),
        issuance: Default::default(),
    }
}

impl Bench {
    async fn refer(
        &self,
        key: EnrollmentKey,
        names: &[&str],
        if_match: IfMatch,
    ) -> Result<EnrollmentRecord, EnrollmentError> {
        let draft = draft(key, names);
        self.provisioning
            .put_enrollment(draft, &if_match, self.now())
            .await
    }

    /// The groups that speak for the one that shows the certificate of this number, and
    /// the state of their CA certificate.
    async fn found(&self, number: u8) -> Vec<(String, CaCertificateState)> {
        let presented = [Thumbprint::from_bytes([number; 32])];
        let by_certificate = self
            .provisioning
            .groups_by_certificate(&presented)
            .await
            .unwrap();
        let by_subject = self
            .provisioning
            .groups_by_subject(&[&[number]])
            .await
            .unwrap();
        assert_eq!(by_certificate, by_subject);
        let state = |group: &EnrollmentRecord| group.ca_certificates[0].state;
        by_certificate
            .iter()
            .map(|group| (group.key.as_str().to_owned(), state(group)))
            .collect()
    }
}

pub(crate) async fn references_are_to_verified_ca_certificates(bench: Bench) {
    bench.upload("new", 1, None, IfMatch::Absent).await.unwrap();
    bench
        .upload("old", 2, Some(true), IfMatch::Absent)
        .await
        .unwrap();
    let refused = bench.refer(group("g"), &["nowhere"], IfMatch::Absent).await;
    assert!(matches!(refused, Err(EnrollmentError::NoCaCertificate(_))));
    let refused = bench
        .refer(group("g"), &["old", "New"], IfMatch::Absent)
        .await;
    match refused {
        Err(EnrollmentError::CaCertificateNotVerified(unverified)) => {
            assert_eq!(unverified, name("new"))
        }
        other => panic!("{other:?}"),
    }
    assert!(
        bench
            .provisioning
            .enrollment(&group("g"))
            .await
            .unwrap()
            .is_none()
    );
    bench
        .upload("new", 1, Some(true), IfMatch::Any)
        .await
        .unwrap();
    let written = bench
        .refer(group("g"), &["old", "New"], IfMatch::Absent)
        .await;
    let slots: Vec<_> = written.unwrap().ca_certificates.into_iter().collect();
    assert_eq!(
        (slots[0].slot, &slots[0].name),
        (CertificateSlot::Primary, &name("old"))
    );
    assert_eq!(
        (slots[1].slot, &slots[1].name),
        (CertificateSlot::Secondary, &name("new"))
    );
    for number in [1, 2] {
        assert_eq!(bench.found(number).await.len(), 1);
    }
}

pub(crate) async fn a_group_has_its_ca_certificate_for_itself(bench: Bench) {
    bench
        .upload("root", 1, Some(true), IfMatch::Absent)
        .await
        .unwrap();
    bench
        .refer(group("a"), &["root"], IfMatch::Absent)
        .await
        .unwrap();
    let by_name = bench.refer(group("b"), &["root"], IfMatch::Absent).await;
    let mut pasted = draft(group("c"), &[]);
    pasted.certificates = vec![EnrolledCertificate {
        slot: CertificateSlot::Primary,
        der: vec![1; 3],
        thumbprint: Thumbprint::from_bytes([1; 32]),
        subject: Some(vec![1]),
    }];
    let now = bench.now();
    let by_paste = bench
        .provisioning
        .put_enrollment(pasted.clone(), &IfMatch::Absent, now)
        .await;
    for refused in [by_name, by_paste] {
        match refused {
            Err(EnrollmentError::CertificateTaken { other, .. }) => assert_eq!(other, group("a")),
            other => panic!("{other:?}"),
        }
    }
    // Individual enrollments are found by their own name; many may come from one factory.
    for id in ["d1", "d2"] {
        bench
            .refer(individual(id), &["root"], IfMatch::Absent)
            .await
            .unwrap();
    }
    bench
        .provisioning
        .delete_enrollment(&group("a"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    bench
        .provisioning
        .put_enrollment(pasted, &IfMatch::Absent, now)
        .await
        .unwrap();
    let by_name = bench.refer(group("b"), &["root"], IfMatch::Absent).await;
    assert!(matches!(
        by_name,
        Err(EnrollmentError::CertificateTaken { .. })
    ));
}

pub(crate) async fn what_is_relied_on_stays_verified_or_is_withdrawn(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench
        .upload("root", 1, Some(true), IfMatch::Absent)
        .await
        .unwrap();
    let before = bench
        .refer(group("g"), &["root"], IfMatch::Absent)
        .await
        .unwrap();
    for (number, verified) in [(1, Some(false)), (2, Some(true)), (2, None)] {
        match bench.upload("root", number, verified, IfMatch::Any).await {
            Err(CaCertificateError::InUse { enrollments, .. }) => {
                assert_eq!(enrollments, [group("g")])
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        bench.found(1).await,
        [("g".to_owned(), CaCertificateState::Verified)]
    );
    let enrollments = provisioning
        .delete_ca_certificate(&name("root"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert_eq!(enrollments, [group("g")]);
    assert!(
        provisioning
            .ca_certificate(&name("root"))
            .unwrap()
            .is_none()
    );
    assert!(provisioning.ca_certificates().unwrap().is_empty());
    // What was remembered of the enrollment is not served any more.
    assert_eq!(
        bench.found(1).await,
        [("g".to_owned(), CaCertificateState::Withdrawn)]
    );
    let changed = provisioning.enrollment(&group("g")).await.unwrap().unwrap();
    assert_ne!(changed.etag, before.etag);

    // The enrollment can be written although its CA certificate is gone; another cannot begin
    // to refer to it.
    bench
        .refer(group("g"), &["root"], IfMatch::Any)
        .await
        .unwrap();
    let late = bench.refer(group("h"), &["root"], IfMatch::Absent).await;
    assert!(matches!(late, Err(EnrollmentError::NoCaCertificate(_))));

    a_new_ca_certificate_of_the_name_takes_over(&bench).await;
}

/// Once it is verified.
async fn a_new_ca_certificate_of_the_name_takes_over(bench: &Bench) {
    bench
        .upload("root", 3, None, IfMatch::Absent)
        .await
        .unwrap();
    assert!(bench.found(1).await.is_empty());
    assert_eq!(
        bench.found(3).await,
        [("g".to_owned(), CaCertificateState::Unverified)]
    );
    bench
        .upload("root", 3, Some(true), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(
        bench.found(3).await,
        [("g".to_owned(), CaCertificateState::Verified)]
    );
}

pub(crate) async fn a_withdrawn_ca_certificate_is_forgotten_with_its_last_reference(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench
        .upload("root", 1, Some(true), IfMatch::Absent)
        .await
        .unwrap();
    bench
        .upload("next", 2, Some(true), IfMatch::Absent)
        .await
        .unwrap();
    bench
        .refer(group("g"), &["root"], IfMatch::Absent)
        .await
        .unwrap();
    provisioning
        .delete_ca_certificate(&name("root"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    // The certificate is free while the name is remembered.
    bench
        .upload("same", 1, None, IfMatch::Absent)
        .await
        .unwrap();
    provisioning
        .delete_ca_certificate(&name("same"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert_eq!(
        bench.found(1).await,
        [("g".to_owned(), CaCertificateState::Withdrawn)]
    );
    bench
        .refer(group("g"), &["next"], IfMatch::Any)
        .await
        .unwrap();
    assert!(bench.found(1).await.is_empty());
    assert_eq!(
        bench.found(2).await,
        [("g".to_owned(), CaCertificateState::Verified)]
    );
}
