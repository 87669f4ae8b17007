//! CA certificates that operators upload, judged before they are stored, and the proof that somebody holds their keys.
//! Pure; `now` is an argument.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{CertificateName, Timestamp};
use pki::{
    AnchorError, Certificate, CertificateError, PemError, PossessionError, prove_possession,
    usable_anchor,
};
use registry::{
    AuthorityDraft, AuthorityError, AuthorityStanding, CertificateAuthority, PossessionShown,
    StorageError,
};
use wire::authority::{AuthorityDescription, AuthorityProperties, AuthorityRequest, VerifyRequest};
use wire::error::DpsErrorCode;

use crate::certificate;

/// Why a CA certificate is not written, verified or deleted. All of it is told to the operator.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityFault {
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
    Registry(AuthorityError),
    /// What is stored cannot be read.
    #[error("a stored CA certificate cannot be read")]
    Damaged(#[from] CertificateError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<AuthorityError> for AuthorityFault {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Storage(error) => Self::Storage(error),
            other => Self::Registry(other),
        }
    }
}

impl AuthorityFault {
    /// The code, whose first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> DpsErrorCode {
        use AuthorityError as Error;
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
    request: &AuthorityRequest,
    now: Timestamp,
) -> Result<AuthorityDraft, AuthorityFault> {
    let certificate = certificate::read(&request.certificate)?;
    let anchor = usable_anchor(&certificate, now).map_err(|problem| AuthorityFault::Unusable {
        subject: certificate.subject(),
        problem,
    })?;
    let certificate = anchor.certificate();
    Ok(AuthorityDraft {
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
    authority: &CertificateAuthority,
    request: &VerifyRequest,
    now: Timestamp,
) -> Result<PossessionShown, AuthorityFault> {
    let shown = certificate::read(&request.certificate)?;
    let proof = prove_possession(&parsed(authority)?, &shown, now)?;
    Ok(PossessionShown {
        authority: authority.thumbprint,
        code: proof.common_name().to_owned(),
    })
}

/// As operators see it. The code is shown only to whoever had it made.
pub fn describe(
    authority: &CertificateAuthority,
    with_code: bool,
) -> Result<AuthorityDescription, AuthorityFault> {
    let certificate = parsed(authority)?;
    let code = authority.code.as_ref().filter(|_| with_code);
    Ok(AuthorityDescription {
        name: authority.name.clone(),
        etag: authority.etag.clone(),
        properties: AuthorityProperties {
            subject: certificate.subject(),
            expiry: certificate.not_after(),
            thumbprint: certificate.sha1().to_string(),
            sha256_thumbprint: certificate.sha256().to_string(),
            is_verified: authority.standing == AuthorityStanding::Verified,
            created: authority.created,
            updated: authority.updated,
            certificate: STANDARD.encode(certificate.der()),
            verification_code: code.map(|code| code.text.clone()),
            verification_code_expiry: code.map(|code| code.expires),
        },
    })
}

fn parsed(authority: &CertificateAuthority) -> Result<Certificate, AuthorityFault> {
    Ok(Certificate::from_der(&authority.der)?)
}
