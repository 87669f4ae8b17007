//! CA certificates that operators upload, judged before they are stored, and the proof that somebody holds their keys.
//! Pure; `now` is an argument.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{CertificateName, Timestamp};
use pki::{
    AnchorError, Certificate, CertificateError, PemError, PossessionError, prove_possession,
    usable_anchor,
};
use provisioning::{
    CaCertificate, CaCertificateDraft, CaCertificateError, CaCertificateState, PossessionShown,
};
use registry::StorageError;
use wire::error::DpsErrorCode;
use wire::service_api::ca_certificate::{
    CaCertificateDescription, CaCertificateProperties, CaCertificateRequest, VerifyRequest,
};

use crate::certificate;

/// Why a CA certificate is not written, verified or deleted. All of it is told to the operator.
#[derive(Debug, thiserror::Error)]
pub enum CaCertificateFault {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable(#[from] PemError),
    /// Nobody could be verified by it.
    #[error("the certificate ({subject}) {problem}")]
    Unusable {
        /// Whose it is.
        subject: String,
        /// What is wrong with it.
        problem: AnchorError,
    },
    /// What was shown proves nothing.
    #[error("possession of the key is not proven")]
    Possession(#[from] PossessionError),
    /// The registry refuses.
    #[error(transparent)]
    Registry(CaCertificateError),
    /// What is stored cannot be read.
    #[error("a stored CA certificate cannot be read")]
    Damaged(#[from] CertificateError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<CaCertificateError> for CaCertificateFault {
    fn from(error: CaCertificateError) -> Self {
        match error {
            CaCertificateError::Storage(error) => Self::Storage(error),
            other => Self::Registry(other),
        }
    }
}

impl CaCertificateFault {
    /// The code, whose first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> DpsErrorCode {
        use CaCertificateError as Error;
        use DpsErrorCode as Code;
        match self {
            Self::Unreadable(_) | Self::Unusable { .. } | Self::Possession(_) => {
                Code::ArgumentInvalid
            }
            Self::Registry(error) => match error {
                Error::NotFound(_) => Code::CertificateAuthorityNotFound,
                Error::Exists(_) | Error::CertificateTaken { .. } | Error::InUse { .. } => {
                    Code::CertificateAuthorityConflict
                }
                Error::PreconditionFailed(_) => Code::PreconditionFailed,
                Error::TooMany(_) | Error::OtherCode { .. } | Error::CodeExpired { .. } => {
                    Code::ArgumentInvalid
                }
                Error::Storage(_) => Code::InternalServerError,
            },
            Self::Damaged(_) | Self::Storage(_) => Code::InternalServerError,
        }
    }

    /// Whether the server failed, and not the request.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Storage(_))
    }
}

/// Judges an upload. What devices could never be verified by is refused at once.
pub fn draft(
    name: CertificateName,
    request: &CaCertificateRequest,
    now: Timestamp,
) -> Result<CaCertificateDraft, CaCertificateFault> {
    let certificate = certificate::read(&request.certificate)?;
    let anchor =
        usable_anchor(&certificate, now).map_err(|problem| CaCertificateFault::Unusable {
            subject: certificate.subject(),
            problem,
        })?;
    let certificate = anchor.certificate();
    Ok(CaCertificateDraft {
        name,
        der: certificate.der().to_vec(),
        thumbprint: certificate.sha256(),
        subject: certificate.subject_key().to_vec(),
        verified: request.is_verified,
    })
}

/// Looks at a verification certificate: did the authority's key sign it? Whether it is named like the code is decided where
/// the code is kept.
pub fn possession(
    ca_certificate: &CaCertificate,
    request: &VerifyRequest,
    now: Timestamp,
) -> Result<PossessionShown, CaCertificateFault> {
    let shown = certificate::read(&request.certificate)?;
    let proof = prove_possession(&parsed(ca_certificate)?, &shown, now)?;
    Ok(PossessionShown {
        ca_certificate: ca_certificate.thumbprint,
        code: proof.common_name().to_owned(),
    })
}

/// As operators see it. The code is shown only to whoever had it made.
pub fn describe(
    ca_certificate: &CaCertificate,
    with_code: bool,
) -> Result<CaCertificateDescription, CaCertificateFault> {
    let certificate = parsed(ca_certificate)?;
    let code = ca_certificate.code.as_ref().filter(|_| with_code);
    Ok(CaCertificateDescription {
        name: ca_certificate.name.clone(),
        etag: ca_certificate.etag.clone(),
        properties: CaCertificateProperties {
            subject: certificate.subject(),
            expiry: certificate.not_after(),
            thumbprint: certificate.sha1().to_string(),
            sha256_thumbprint: certificate.sha256().to_string(),
            is_verified: ca_certificate.standing == CaCertificateState::Verified,
            created: ca_certificate.created,
            updated: ca_certificate.updated,
            certificate: STANDARD.encode(certificate.der()),
            verification_code: code.map(|code| code.text.clone()),
            verification_code_expiry: code.map(|code| code.expires),
        },
    })
}

fn parsed(ca_certificate: &CaCertificate) -> Result<Certificate, CaCertificateFault> {
    Ok(Certificate::from_der(&ca_certificate.der)?)
}
