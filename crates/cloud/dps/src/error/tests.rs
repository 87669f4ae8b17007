use pki::ChainError;
use provisioning::{EnrollmentError, EnrollmentKey};
use wire::sas::SasError;

use super::*;
use crate::registration::credential::TpmIdentity;
use crate::registration::refusal::RefusalReason;
use crate::registration::refusal::TpmRefusal;

fn id() -> RegistrationId {
    RegistrationId::parse("edge-001").unwrap()
}

/// Reasons that the presented credential gives, with their code and a part of their text for operators.
fn credential_reasons() -> Vec<(RefusalReason, &'static str, &'static str)> {
    vec![
        (
            RefusalReason::UnknownIdScope {
                given: "0neX".into(),
            },
            "id_scope_unknown",
            "0neX",
        ),
        (
            RefusalReason::NoCredential,
            "credential_absent",
            "neither a certificate nor a token",
        ),
        (
            RefusalReason::OtherAttestation {
                enrolled: "x509",
                presented: "a token",
            },
            "attestation_other",
            "wants x509",
        ),
        (
            RefusalReason::Token(SasError::Signature),
            "token_signature_bad",
            "compare its key",
        ),
        (
            RefusalReason::Token(SasError::Malformed("it has no sr")),
            "token_malformed",
            "the device's token",
        ),
        (
            RefusalReason::NoGroupKey,
            "key_unknown",
            "no key derived from a group's",
        ),
        (
            RefusalReason::NoCommonName,
            "common_name_absent",
            "no common name",
        ),
        (
            RefusalReason::CommonNameMismatch {
                common_name: "other".into(),
            },
            "common_name_mismatch",
            "other",
        ),
    ]
}

/// Reasons that the enrollment gives.
fn enrollment_reasons() -> Vec<(RefusalReason, &'static str, &'static str)> {
    let group = ids::EnrollmentId::parse("site-a").unwrap();
    vec![
        (
            RefusalReason::NotEnrolled {
                absent: Some("CN=line 7".into()),
            },
            "not_enrolled",
            "CN=line 7",
        ),
        (
            RefusalReason::Disabled(EnrollmentKey::Group(group)),
            "enrollment_disabled",
            "site-a is disabled",
        ),
        (
            RefusalReason::Blocked(EnrollmentKey::Individual(id())),
            "device_blocked",
            "muster dps unblock --registration-id edge-001",
        ),
        (
            RefusalReason::NotPinned,
            "leaf_not_pinned",
            "neither the primary nor the secondary",
        ),
    ]
}

/// Reasons that the attestation by TPM gives.
fn tpm_reasons() -> Vec<(RefusalReason, &'static str, &'static str)> {
    vec![
        (
            TpmRefusal::OtherEndorsementKey.into(),
            "tpm_ek_mismatch",
            "another endorsement key",
        ),
        (
            TpmRefusal::OtherStorageRootKey.into(),
            "tpm_srk_mismatch",
            "ownership was cleared",
        ),
        (
            TpmRefusal::NoStorageRootKey.into(),
            "tpm_srk_absent",
            "one of them must",
        ),
        (
            TpmRefusal::NotChallenged.into(),
            "tpm_not_challenged",
            "register anew",
        ),
        (
            TpmRefusal::ChallengeFailed.into(),
            "tpm_challenge_failed",
            "the challenge is too old",
        ),
        (
            TpmRefusal::NeedsHttps.into(),
            "tpm_needs_https",
            "over HTTPS only",
        ),
        (
            TpmRefusal::from(TpmIdentity::parse(b"", None).unwrap_err()).into(),
            "tpm_key_unsupported",
            "it ends too early",
        ),
    ]
}

/// Faults of chains, with their codes.
fn chain_faults() -> Vec<(ChainError, &'static str)> {
    use ChainError as Fault;
    let subject = "CN=edge-001".to_owned();
    let issuer = "CN=root".to_owned();
    let at = ids::Timestamp::from_unix_seconds(0);
    let thumbprint = ids::Thumbprint::from_bytes([7; 32]);
    let of = |fault: fn(String) -> Fault| fault(subject.clone());
    vec![
        (Fault::Empty, "chain_empty"),
        (Fault::TooLong { count: 11 }, "chain_too_long"),
        (Fault::TooLarge { bytes: 70_000 }, "chain_too_large"),
        (expired(&subject, at), "certificate_expired"),
        (not_yet_valid(&subject, at), "certificate_not_yet_valid"),
        (of(|subject| Fault::LeafIsCa { subject }), "leaf_is_ca"),
        (missing_issuer(&subject, &issuer), "issuer_missing"),
        (bad_signature(&subject, &issuer), "signature_bad"),
        (
            of(|subject| Fault::UnsupportedAlgorithm {
                subject,
                problem: "is signed with Ed448".into(),
            }),
            "algorithm_unsupported",
        ),
        (
            of(|subject| Fault::IssuerNotCa { subject }),
            "issuer_not_ca",
        ),
        (
            of(|subject| Fault::NameConstraint {
                subject,
                name: "DNS:a".into(),
                issuer: "CN=b".into(),
            }),
            "name_constraint_violated",
        ),
        (not_pinned(thumbprint), "leaf_not_pinned"),
    ]
}

fn expired(subject: &str, not_after: ids::Timestamp) -> ChainError {
    let subject = subject.to_owned();
    ChainError::Expired { subject, not_after }
}

fn not_yet_valid(subject: &str, not_before: ids::Timestamp) -> ChainError {
    let subject = subject.to_owned();
    ChainError::NotYetValid {
        subject,
        not_before,
    }
}

fn missing_issuer(subject: &str, issuer: &str) -> ChainError {
    ChainError::MissingIssuer {
        subject: subject.to_owned(),
        issuer_wanted: issuer.to_owned(),
    }
}

fn bad_signature(subject: &str, issuer: &str) -> ChainError {
    ChainError::BadSignature {
        subject: subject.to_owned(),
        issuer: issuer.to_owned(),
    }
}

fn not_pinned(thumbprint: ids::Thumbprint) -> ChainError {
    ChainError::NotPinned {
        expected: thumbprint,
        presented: thumbprint,
    }
}

#[test]
fn a_device_learns_nothing_from_a_refusal_and_an_operator_everything() {
    let chain_faults = chain_faults().into_iter();
    let chain_faults = chain_faults.map(|(fault, code)| (fault.into(), code, ""));
    let ours = credential_reasons().into_iter();
    let ours = ours.chain(enrollment_reasons()).chain(tpm_reasons());
    for (reason, code, text) in ours.chain(chain_faults) {
        assert_eq!(reason.code(), code);
        assert!(reason.to_string().contains(text), "{reason}");
        let fault = ServiceFault::Refused(Box::new(Refusal {
            registration_id: id(),
            chain: Vec::new(),
            enrollment: None,
            reason,
        }));
        assert_eq!(fault.code(), DpsErrorCode::InvalidCertificate, "{code}");
        assert_eq!(fault.outside(), "Unauthorized", "{code}");
    }
}

#[test]
fn what_went_wrong_inside_stays_inside() {
    let record = UnreadableEnrollment {
        key: EnrollmentKey::Individual(id()),
        problem: "secret detail".to_owned(),
    };
    let fault = ServiceFault::UnreadableEnrollment(record);
    assert_eq!(fault.outside(), "Internal server error");
    assert_eq!(fault.code().http_status(), 500);
    assert!(error_chain(&fault).contains("secret detail"));
}

#[test]
fn conflicts_are_of_the_kind_that_has_the_record() {
    let individual = EnrollmentKey::Individual(id());
    let group = EnrollmentKey::Group(ids::EnrollmentId::parse("g").unwrap());
    for (error, code) in [
        (EnrollmentError::Exists(individual.clone()), 409_201),
        (EnrollmentError::Exists(group.clone()), 409_202),
        (EnrollmentError::NotFound(individual.clone()), 404_201),
        (EnrollmentError::NotFound(group.clone()), 404_204),
        (
            EnrollmentError::Blocked {
                key: individual.clone(),
            },
            409_201,
        ),
        (EnrollmentError::PreconditionFailed(group), 412_000),
    ] {
        assert_eq!(ServiceFault::from(error).code().code(), code);
    }
}

/// H7: also for operators.
#[test]
fn what_is_wrong_with_a_token_is_for_the_log() {
    let expired = SasError::Expired {
        at: ids::Timestamp::from_unix_seconds(1_700_000_000),
    };
    for (fault, cause) in [
        (PolicyError::Token(expired), "expired at 2023-11-14"),
        (PolicyError::Token(SasError::Signature), "does not match"),
        (PolicyError::Unnamed, "names no policy"),
        (PolicyError::NoPolicy("iothubowner".into()), "iothubowner"),
    ] {
        let fault = ServiceFault::NoToken(Some(fault));
        assert!(error_chain(&fault).contains(cause), "{fault:?}");
        assert_eq!(fault.outside(), "Unauthorized");
    }
}

/// A text that has its cause in it has it once.
#[test]
fn no_fault_says_its_text_twice() {
    let body = || BodyError::new("attestation", "is missing");
    for (fault, part) in [
        (ServiceFault::from(body()), "is missing"),
        (ServiceFault::Id(id_error()), "registration id"),
    ] {
        let text = error_chain(&fault);
        assert_eq!(text.matches(part).count(), 1, "{text}");
    }
    let refused = crate::registration::refusal::RequestRefusal::from(pki::RequestError::Signature);
    let text = error_chain(&refused);
    let cause = pki::RequestError::Signature.to_string();
    assert_eq!(text.matches(&cause).count(), 1, "{text}");
}

fn id_error() -> IdError {
    RegistrationId::parse("").unwrap_err()
}
