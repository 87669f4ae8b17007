//! Why a device was not let in: told precisely to the operator, and to the device only that it was not.

use ids::{CertificateName, RegistrationId};
use pki::{Certificate, ChainError, PresentedChain, UnreadChain};
use provisioning::EnrollmentKey;
use registry::StorageError;
use wire::error::DpsErrorCode;
use wire::muster_api::explain::SeenCertificate;
use wire::sas::SasError;

use crate::registration::attest::{Challenge, TpmRefusal};
use crate::registration::enrollment::BadRecord;
use crate::registration::issue::RequestRefusal;

/// The reason of a refusal, with a stable code. Devices that are not let in never see any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// The ID scope of the request is another service's.
    #[error(
        "the device names ID scope {given:?}, which is not this service's; correct id_scope in its configuration"
    )]
    UnknownIdScope {
        /// What it named, shortened.
        given: String,
    },
    /// No client certificate in the TLS handshake.
    #[error(
        "the device showed neither a certificate nor a token; configure its attestation (a TLS library also shows none when the server could not verify its key: use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519)"
    )]
    NoCredential,
    /// A certificate whose subject names nobody.
    #[error("the certificate's subject has no common name; it must be the registration id")]
    NoCommonName,
    /// A certificate of somebody else.
    #[error(
        "the certificate's common name {common_name:?} is not the registration id; issue one for this id, or register as that one"
    )]
    CommonNameMismatch {
        /// Whom the certificate names.
        common_name: String,
    },
    /// No enrollment of that id, and no group whose certificate is among the issuers.
    #[error(
        "no individual enrollment has this registration id, and no enrollment group's certificate is an issuer of the presented one{}",
        absent_issuer(.absent.as_deref())
    )]
    NotEnrolled {
        /// The issuer at which what the device showed ends, when it showed no root.
        absent: Option<String>,
    },
    /// The entry that decides is disabled.
    #[error("{0} is disabled; enable it to let its devices in")]
    Disabled(EnrollmentKey),
    /// An operator has shut the device out everywhere.
    #[error(
        "an operator has blocked the device of {0}; muster dps unblock --registration-id {id} lets it in again",
        id = .0.as_str()
    )]
    Blocked(EnrollmentKey),
    /// The individual enrollment knows another certificate.
    #[error(
        "the presented certificate is neither the primary nor the secondary one of the individual enrollment; update the enrollment or the device"
    )]
    NotPinned,
    /// The certificates prove nothing.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The group's own certificate is an intermediate that the device did not show.
    #[error(
        "the device did not present {subject}, the certificate of its group; an intermediate must be among what a device presents: give it its full chain"
    )]
    IntermediateNotShown {
        /// The group's certificate.
        subject: String,
    },
    /// The CA certificate that the entry refers to may not vouch for anybody yet.
    #[error(
        "the chain leads to CA certificate {0}, which is not verified; prove possession of its key, or upload it as verified"
    )]
    CaCertificateNotVerified(CertificateName),
    /// The CA certificate that the entry refers to was deleted.
    #[error(
        "the chain leads to CA certificate {0}, which was deleted while this enrollment refers to it; select another one there"
    )]
    CaCertificateDeleted(CertificateName),
    /// The enrollment wants another kind of proof.
    #[error(
        "the device showed {shown}, and its individual enrollment wants {enrolled}; change the device's attestation or the enrollment's"
    )]
    OtherAttestation {
        /// The enrollment's kind.
        enrolled: &'static str,
        /// What came.
        shown: &'static str,
    },
    /// The token is none, or is not good for this registration.
    #[error(
        "the device's token is not accepted; compare its key, ID scope, registration id and clock with the enrollment's"
    )]
    Token(#[source] SasError),
    /// No individual enrollment, and no group's keys made the token.
    #[error(
        "no individual enrollment has this registration id, and the token is signed by no key derived from a group's; derive the device key from the group's key and this registration id"
    )]
    NoGroupKey,
    /// The TPM is another one, or has not answered its challenge.
    #[error(transparent)]
    Tpm(#[from] TpmRefusal),
    /// The device is let in, and is not given the certificate that it asked for.
    #[error(transparent)]
    Request(#[from] RequestRefusal),
}

impl RefusalReason {
    /// A stable name for logs, metrics and programs.
    #[must_use]
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
            Self::IntermediateNotShown { .. } => "intermediate_not_presented",
            Self::CaCertificateNotVerified(_) => "authority_not_verified",
            Self::CaCertificateDeleted(_) => "authority_deleted",
            Self::Chain(error) => error.code(),
        }
    }
}

/// A refusal with what is known about who was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("registration {registration_id} was refused")]
pub struct Refusal {
    /// Who asked.
    pub registration_id: RegistrationId,
    /// The certificates that the device showed, leaf first.
    pub chain: Vec<SeenCertificate>,
    /// The entry that decided, if one did.
    pub enrollment: Option<EnrollmentKey>,
    /// Why.
    #[source]
    pub reason: RefusalReason,
}

fn absent_issuer(subject: Option<&str>) -> String {
    subject.map_or_else(String::new, |subject| {
        format!("; what the device showed ends at {subject}, which it did not show and no group has: present the chain up to a group's certificate")
    })
}

/// Certificates as operators read them.
pub fn seen<'a>(all: impl IntoIterator<Item = &'a Certificate>) -> Vec<SeenCertificate> {
    let one = |certificate: &Certificate| SeenCertificate {
        subject: certificate.subject(),
        issuer: certificate.issuer(),
        sha256_thumbprint: certificate.sha256().to_string(),
        not_before_utc: certificate.not_before(),
        not_after_utc: certificate.not_after(),
    };
    all.into_iter().map(one).collect()
}

impl From<SasError> for RefusalReason {
    fn from(error: SasError) -> Self {
        Self::Token(error)
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

impl Refusal {
    /// The code that the device is answered with.
    #[must_use]
    pub fn error_code(&self) -> DpsErrorCode {
        match self.reason {
            RefusalReason::Request(_) => DpsErrorCode::ArgumentInvalid,
            _ => DpsErrorCode::InvalidCertificate,
        }
    }

    /// What the device is told. Strangers learn nothing; one that is let in learns what is wrong with its request.
    #[must_use]
    pub fn outside(&self) -> String {
        match &self.reason {
            RefusalReason::Request(refusal) => refusal.to_string(),
            _ => "Unauthorized".to_owned(),
        }
    }

    /// A refusal of a registration; `enrollment` is the entry that decided, if one did.
    #[must_use]
    pub fn of(
        registration_id: &RegistrationId,
        chain: Option<&PresentedChain>,
        enrollment: Option<&EnrollmentKey>,
        reason: RefusalReason,
    ) -> Box<Self> {
        Box::new(Self {
            registration_id: registration_id.clone(),
            chain: chain
                .map(|chain| seen(std::iter::once(chain.leaf()).chain(chain.issuers())))
                .unwrap_or_default(),
            enrollment: enrollment.cloned(),
            reason,
        })
    }

    /// A refusal of a device whose certificates are not read.
    #[must_use]
    pub fn of_unread(registration_id: &RegistrationId, unread: &UnreadChain) -> Box<Self> {
        Box::new(Self {
            registration_id: registration_id.clone(),
            chain: seen(unread.certificates()),
            enrollment: None,
            reason: RefusalReason::Chain(unread.error().clone()),
        })
    }

    /// Writes the one log line of a refusal; `request_id` is what the device was told.
    pub fn log(&self, request_id: &str) {
        let enrollment = self.enrollment.as_ref().map(ToString::to_string);
        tracing::warn!(
            request.id = request_id,
            registration.id = %self.registration_id,
            certificate.subject = self.chain.first().map(|leaf| leaf.subject.as_str()).unwrap_or_default(),
            enrollment.id = enrollment.as_deref().unwrap_or_default(),
            reason.code = self.reason.code(),
            "registration {} was refused: {}",
            self.registration_id,
            with_causes(&self.reason),
        );
    }
}

/// Why a device has not proved who it is.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// It was not let in.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// It was asked to prove that it has its TPM: the ordinary answer to the first request of one.
    #[error("the TPM has to answer a challenge")]
    Challenged(Box<Challenge>),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An entry that was stored cannot be read.
    #[error(transparent)]
    BadRecord(#[from] BadRecord),
}

/// The text of an error with those of its causes.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
