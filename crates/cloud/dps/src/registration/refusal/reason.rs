//! The reasons of refusals, each with a stable code and a text that says what to do.

use ids::ProfileKind;
use ids::{CertificateName, IssuerName};
use pki::tpm::SealError;
use pki::{ChainError, RequestError};
use provisioning::{EnrollmentKey, NotInForceCertificate};
use registry::revocation::NotInForce;
use wire::sas::SasError;

use crate::registration::credential::UnusableTpmKey;

/// Why a device is refused. Devices that are not let in never see any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    #[error(
        "the device names ID scope {given:?}, which is not this service's; correct id_scope in its \
         configuration"
    )]
    UnknownIdScope {
        /// The ID scope of the request, shortened.
        given: String,
    },
    #[error(
        "the device showed neither a certificate nor a token; configure its attestation (a TLS \
         library also shows none when the server could not verify its key: use RSA of 2048 to 8192 \
         bits, P-256, P-384, P-521 or Ed25519)"
    )]
    NoCredential,
    #[error("the certificate's subject has no common name; it must be the registration id")]
    NoCommonName,
    #[error(
        "the certificate's common name {common_name:?} is not the registration id; issue one for \
         this id, or register as that one"
    )]
    CommonNameMismatch { common_name: String },
    #[error(
        "no individual enrollment has this registration id, and no enrollment group's certificate \
         is an issuer of the presented one{}",
        absent_issuer(.absent.as_deref())
    )]
    NotEnrolled {
        /// The issuer at which the presented chain ends, when that is not a root.
        absent: Option<String>,
    },
    #[error("{0} is disabled; enable it to let its devices in")]
    Disabled(EnrollmentKey),
    #[error(
        "an operator has blocked the device of {0}; muster dps unblock --registration-id {id} lets \
         it in again",
        id = .0.as_str()
    )]
    Blocked(EnrollmentKey),
    #[error(
        "the presented certificate is neither the primary nor the secondary one of the individual \
         enrollment; update the enrollment or the device"
    )]
    NotPinned,
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("{certificate}{advice}", certificate = .0, advice = advice(.0))]
    NotInForce(Box<NotInForceCertificate>),
    #[error(
        "the device did not present {subject}, the certificate of its group; an intermediate must \
         be among what a device presents: give it its full chain"
    )]
    IntermediateNotPresented { subject: String },
    #[error(
        "the chain leads to CA certificate {0}, which is not verified; prove possession of its \
         key, \
         or upload it as verified"
    )]
    CaCertificateNotVerified(CertificateName),
    #[error(
        "the chain leads to CA certificate {0}, which was deleted while this enrollment refers to \
         it; select another one there"
    )]
    CaCertificateDeleted(CertificateName),
    #[error(
        "the device showed {presented}, and its individual enrollment wants {enrolled}; change the \
         device's attestation or the enrollment's"
    )]
    OtherAttestation {
        enrolled: &'static str,
        presented: &'static str,
    },
    #[error(
        "the device's token is not accepted; compare its key, ID scope, registration id and clock \
         with the enrollment's"
    )]
    Token(#[source] SasError),
    #[error(
        "no individual enrollment has this registration id, and the token is signed by no key \
         derived from a group's; derive the device key from the group's key and this registration \
         id"
    )]
    NoGroupKey,
    #[error(transparent)]
    Tpm(#[from] TpmRefusal),
    /// The device is let in, and does not get the certificate that it asked for.
    #[error(transparent)]
    Request(#[from] RequestRefusal),
}

impl RefusalReason {
    /// A stable name for logs, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownIdScope { .. } => "id_scope_unknown",
            Self::NoCredential => "credential_absent",
            Self::OtherAttestation { .. } => "attestation_other",
            Self::Token(error) => token_code(error),
            Self::NoGroupKey => "key_unknown",
            Self::Tpm(refusal) => refusal.code(),
            Self::Request(refusal) => refusal.code(),
            Self::NoCommonName => "common_name_absent",
            Self::CommonNameMismatch { .. } => "common_name_mismatch",
            Self::NotEnrolled { .. } => "not_enrolled",
            Self::Disabled(_) => "enrollment_disabled",
            Self::Blocked(_) => "device_blocked",
            Self::NotPinned => "leaf_not_pinned",
            Self::IntermediateNotPresented { .. } => "intermediate_not_presented",
            Self::CaCertificateNotVerified(_) => "authority_not_verified",
            Self::CaCertificateDeleted(_) => "authority_deleted",
            Self::Chain(error) => error.code(),
            Self::NotInForce(certificate) => certificate.cause.code(),
        }
    }
}

impl From<SasError> for RefusalReason {
    fn from(error: SasError) -> Self {
        Self::Token(error)
    }
}

fn advice(certificate: &NotInForceCertificate) -> &'static str {
    match &certificate.cause {
        NotInForce::Revoked(revocation) if revocation.is_hold() => {
            "; the device is let in again when it is restored"
        }
        NotInForce::Revoked(_) => "; give the device another certificate",
        NotInForce::Stale(_) => "; upload the CA's newest list, or have stale lists accepted",
    }
}

fn token_code(error: &SasError) -> &'static str {
    match error {
        SasError::Malformed(_) => "token_malformed",
        SasError::Expired { .. } => "token_expired",
        SasError::OtherResource { .. } => "token_other_resource",
        SasError::Signature => "token_signature_bad",
    }
}

fn absent_issuer(subject: Option<&str>) -> String {
    subject.map_or_else(String::new, |subject| {
        format!(
            "; what the device showed ends at {subject}, which it did not show and no group has: \
             present the chain up to a group's certificate"
        )
    })
}

/// Why the proof of a TPM is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TpmRefusal {
    #[error(
        "the device's TPM has another endorsement key than the enrollment; update the enrollment, \
         or it is another device"
    )]
    OtherEndorsementKey,
    #[error(
        "the device's TPM has another storage root key than the enrollment, as after its ownership \
         was cleared; update the enrollment or remove the key from it"
    )]
    OtherStorageRootKey,
    #[error(transparent)]
    Key(#[from] UnusableTpmKey),
    #[error("neither the device nor its enrollment names a storage root key; one of them must")]
    NoStorageRootKey,
    /// A token, and no challenge is open that it could answer.
    #[error(
        "the device shows a token and was not challenged lately, or before this server started; it \
         has to register anew, without a token"
    )]
    NotChallenged,
    #[error(
        "the token is not signed with the key that the TPM was sent; the challenge is too old, or \
         the TPM holds another key"
    )]
    ChallengeFailed,
    /// The transport cannot carry a challenge.
    #[error("a TPM is attested over HTTPS only; configure the device to register over HTTPS")]
    NeedsHttps,
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl TpmRefusal {
    /// A stable name for logs, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherEndorsementKey => "tpm_ek_mismatch",
            Self::OtherStorageRootKey => "tpm_srk_mismatch",
            Self::Key(_) => "tpm_key_unsupported",
            Self::NoStorageRootKey => "tpm_srk_absent",
            Self::NotChallenged => "tpm_not_challenged",
            Self::ChallengeFailed => "tpm_challenge_failed",
            Self::NeedsHttps => "tpm_needs_https",
            Self::Seal(_) => "tpm_seal_failed",
        }
    }
}

/// Why no certificate is issued to a device that is let in. The device may read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    #[error(
        "{0} names no issuer of certificates; give it a certificateAuthorityName, or register \
         without a certificate request"
    )]
    NoIssuer(EnrollmentKey),
    #[error(
        "{enrollment} names device issuer {issuer}, which has the profile {}; give it one of the \
         profile edge-identity or device as certificateAuthorityName",
        .profile.name()
    )]
    IssuerProfile {
        enrollment: EnrollmentKey,
        issuer: IssuerName,
        profile: ProfileKind,
    },
    #[error("the certificate request is refused: {0}")]
    Request(RequestError),
}

impl From<RequestError> for RequestRefusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl RequestRefusal {
    /// A stable name for logs, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoIssuer(_) => "csr_issuer_absent",
            Self::IssuerProfile { .. } => "csr_issuer_profile_wrong",
            Self::Request(error) => error.code(),
        }
    }
}
