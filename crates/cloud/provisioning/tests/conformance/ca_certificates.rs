use ids::{CertificateName, Etag, Thumbprint};
use provisioning::{
    CaCertificate, CaCertificateDraft, CaCertificateError, CaCertificateState, MAX_CA_CERTIFICATES,
    PossessionProof,
};
use registry::IfMatch;

use crate::Bench;

pub(crate) fn name(text: &str) -> CertificateName {
    CertificateName::parse(text).unwrap()
}

pub(crate) fn draft(named: &str, number: u8, verified: Option<bool>) -> CaCertificateDraft {
    CaCertificateDraft {
        name: name(named),
        der: vec![number; 3],
        thumbprint: Thumbprint::from_bytes([number; 32]),
        subject: vec![number],
        verified,
    }
}

impl Bench {
    pub(crate) async fn upload(
        &self,
        named: &str,
        number: u8,
        verified: Option<bool>,
        if_match: IfMatch,
    ) -> Result<CaCertificate, CaCertificateError> {
        let draft = draft(named, number, verified);
        self.provisioning
            .put_ca_certificate(draft, &if_match, self.now())
            .await
    }
}

fn proof(ca_certificate: &CaCertificate, code: &str) -> PossessionProof {
    PossessionProof {
        ca_certificate: ca_certificate.thumbprint,
        code: code.to_owned(),
    }
}

pub(crate) async fn a_ca_certificate_is_uploaded_changed_and_deleted(bench: Bench) {
    let uploaded = bench
        .upload("Root", 1, None, IfMatch::Absent)
        .await
        .unwrap();
    assert_eq!(uploaded.state, CaCertificateState::Unverified);
    let read = || bench.provisioning.ca_certificate(&name("ROOT")).unwrap();
    assert_eq!(read().as_ref(), Some(&uploaded));
    let again = bench.upload("root", 2, None, IfMatch::Absent).await;
    assert!(matches!(again, Err(CaCertificateError::Exists(_))));
    let stale = IfMatch::Exactly(Etag::parse("stale").unwrap());
    let refused = bench.upload("root", 1, Some(true), stale).await;
    assert!(matches!(
        refused,
        Err(CaCertificateError::PreconditionFailed(_))
    ));

    let current = IfMatch::Exactly(uploaded.etag.clone());
    let verified = bench.upload("root", 1, Some(true), current).await.unwrap();
    assert_eq!(verified.state, CaCertificateState::Verified);
    assert_eq!(verified.created, uploaded.created);
    assert!(verified.etag != uploaded.etag && verified.updated > uploaded.updated);
    let kept = bench.upload("root", 1, None, IfMatch::Any).await.unwrap();
    assert_eq!(
        kept.state,
        CaCertificateState::Verified,
        "the same certificate"
    );
    let other = bench.upload("root", 2, None, IfMatch::Any).await.unwrap();
    assert_eq!(other.state, CaCertificateState::Unverified, "another one");

    let enrollments = bench
        .provisioning
        .delete_ca_certificate(&name("root"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert!(enrollments.is_empty() && read().is_none());
    let gone = bench.upload("root", 1, None, IfMatch::Any).await;
    assert!(matches!(gone, Err(CaCertificateError::NotFound(_))));
}

pub(crate) async fn one_ca_certificate_has_one_name(bench: Bench) {
    bench.upload("a", 1, None, IfMatch::Absent).await.unwrap();
    let taken = bench.upload("b", 1, None, IfMatch::Absent).await;
    match taken {
        Err(CaCertificateError::CertificateTaken { other, .. }) => assert_eq!(other, name("a")),
        other => panic!("{other:?}"),
    }
    bench.upload("b", 2, None, IfMatch::Absent).await.unwrap();
    let listed = bench.provisioning.ca_certificates().unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

pub(crate) async fn a_code_proves_possession_once(bench: Bench) {
    let provisioning = &bench.provisioning;
    let uploaded = bench
        .upload("root", 1, None, IfMatch::Absent)
        .await
        .unwrap();
    let verify = async |proof, now| {
        provisioning
            .verify_ca_certificate(&name("root"), &IfMatch::Any, proof, now)
            .await
    };
    let without = verify(proof(&uploaded, ""), bench.now()).await;
    assert!(matches!(without, Err(CaCertificateError::OtherCode { .. })));
    let new_code = async || {
        let root = name("root");
        let made = provisioning.new_verification_code(&root, &IfMatch::Any, bench.now());
        made.await.unwrap().code.unwrap()
    };
    let (first, code) = (new_code().await, new_code().await);
    assert_eq!(code.text.len(), 48);
    assert_ne!(first.text, code.text);
    for wrong in [
        proof(&uploaded, &first.text),
        proof(&uploaded, "guess"),
        PossessionProof {
            ca_certificate: Thumbprint::from_bytes([9; 32]),
            code: code.text.clone(),
        },
    ] {
        let refused = verify(wrong, bench.now()).await;
        assert!(matches!(refused, Err(CaCertificateError::OtherCode { .. })));
    }
    let late = code.expires.plus(std::time::Duration::from_secs(1));
    let refused = verify(proof(&uploaded, &code.text), late).await;
    assert!(matches!(
        refused,
        Err(CaCertificateError::CodeExpired { .. })
    ));
    let verified = verify(proof(&uploaded, &code.text), bench.now())
        .await
        .unwrap();
    assert_eq!(verified.state, CaCertificateState::Verified);
    assert_eq!(verified.code, None);
    let again = verify(proof(&uploaded, &code.text), bench.now()).await;
    assert!(matches!(again, Err(CaCertificateError::OtherCode { .. })));
}

pub(crate) async fn a_service_keeps_so_many_ca_certificates(bench: Bench) {
    for number in 0..MAX_CA_CERTIFICATES {
        let number = u8::try_from(number).unwrap();
        let named = format!("ca-{number}");
        bench
            .upload(&named, number, None, IfMatch::Absent)
            .await
            .unwrap();
    }
    let more = bench.upload("more", 200, None, IfMatch::Absent).await;
    assert!(matches!(more, Err(CaCertificateError::TooMany(_))));
    bench
        .provisioning
        .delete_ca_certificate(&name("ca-0"), &IfMatch::Any, bench.now())
        .await
        .unwrap();
    bench
        .upload("more", 200, None, IfMatch::Absent)
        .await
        .unwrap();
}
