//! Issuers and trust bundles as operators write and see them, judged before they are stored.

use ids::{IssuerName, Timestamp, TrustBundleId};
use pki::{AnchorError, Certificate, PemError, usable_anchor};
use provisioning::{
    IssuerDraft, IssuerRecord, ResourceError, ResourceName, TrustBundleDraft, TrustBundleRecord,
};
use registry::StorageError;
use wire::error::DpsErrorCode;
use wire::muster_api::issuers::{
    IssuerDescription, IssuerRequest, IssuerSource, OWN_AUTHORITY, TrustBundle, TrustBundleRequest,
    TrustedCertificate,
};
use wire::service_api::enrollment::QuotedEtag;

use crate::certificate;

/// Why an issuer or a trust bundle is not written or deleted. All of it is told to the operator.
#[derive(Debug, thiserror::Error)]
pub enum ResourceFault {
    /// A certificate of a trust bundle cannot be read.
    #[error("certificate {position} of the trust bundle cannot be read")]
    Unreadable {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: PemError,
    },
    /// A certificate that nobody could be verified by.
    #[error("certificate {position} of the trust bundle ({subject}) {problem}")]
    Unusable {
        /// Counted from 1.
        position: usize,
        /// Whose it is.
        subject: String,
        /// What is wrong with it.
        problem: AnchorError,
    },
    /// The CA cannot be made or kept.
    #[error("the issuer is not made")]
    Issuer(#[source] Box<ca::IssuerError>),
    /// The registry refuses.
    #[error(transparent)]
    Registry(ResourceError),
    /// What is stored cannot be read.
    #[error("a stored certificate cannot be read")]
    Damaged(#[source] PemError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<ca::IssuerError> for ResourceFault {
    fn from(error: ca::IssuerError) -> Self {
        Self::Issuer(Box::new(error))
    }
}

impl From<ResourceError> for ResourceFault {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Storage(error) => Self::Storage(error),
            other => Self::Registry(other),
        }
    }
}

impl ResourceFault {
    /// The code, whose first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        use ResourceError as Error;
        match self {
            _ if self.is_ours() => Code::InternalServerError,
            Self::Registry(Error::NotFound(ResourceName::Issuer(_))) => {
                Code::CertificateAuthorityNotFound
            }
            Self::Registry(Error::NotFound(ResourceName::TrustBundle(_))) => Code::NotFound,
            Self::Registry(
                Error::Exists(ResourceName::Issuer(_))
                | Error::InUse {
                    name: ResourceName::Issuer(_),
                    ..
                },
            ) => Code::CertificateAuthorityConflict,
            Self::Registry(Error::Exists(_) | Error::InUse { .. }) => Code::Conflict,
            Self::Registry(Error::PreconditionFailed(_)) => Code::PreconditionFailed,
            _ => Code::ArgumentInvalid,
        }
    }

    /// Whether the server failed, and not the request.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        use ca::IssuerError as Error;
        match self {
            Self::Damaged(_) | Self::Storage(_) => true,
            Self::Issuer(error) => matches!(**error, Error::Missing(_) | Error::File(_)),
            Self::Registry(error) => matches!(error, ResourceError::Storage(_)),
            Self::Unreadable { .. } | Self::Unusable { .. } => false,
        }
    }
}

/// Makes or imports the CA of an issuer. Its key is durable when this returns; whether the name may have it is decided after.
///
/// # Errors
/// When it cannot be made or nothing could be issued by it.
pub fn keep(
    issuers: &ca::DeviceIssuers,
    name: IssuerName,
    request: IssuerRequest,
    now: Timestamp,
) -> Result<IssuerDraft, ca::IssuerError> {
    let chain = match request.source {
        IssuerSource::Made { common_name, days } => {
            issuers.make(common_name.as_deref().unwrap_or(name.as_str()), days, now)?
        }
        IssuerSource::Imported { chain, key } => issuers.import(&chain, &key, now)?,
    };
    let first = chain.first().ok_or(PemError::NoCertificate)?;
    Ok(IssuerDraft {
        name,
        ca_certificate: first.sha256(),
        chain: chain.iter().map(Certificate::to_pem).collect(),
        profile: request.profile,
    })
}

/// An issuer as operators see it.
///
/// # Errors
/// When what is stored cannot be read.
pub fn describe_issuer(issuer: IssuerRecord) -> Result<IssuerDescription, ResourceFault> {
    let chain = Certificate::parse_pem_bundle(&issuer.chain).map_err(ResourceFault::Damaged)?;
    let first = chain.first().ok_or(PemError::NoCertificate);
    Ok(IssuerDescription {
        certificate_info: certificate::describe(first.map_err(ResourceFault::Damaged)?),
        name: issuer.name,
        certificate_authority_type: OWN_AUTHORITY,
        profile: issuer.profile,
        certificate: issuer.chain,
        etag: QuotedEtag(issuer.etag),
        created_date_time_utc: issuer.created,
        last_modified_date_time_utc: issuer.updated,
    })
}

/// Judges a trust bundle: devices are told to trust CAs that they can verify somebody by.
///
/// # Errors
/// Says which certificate is not one.
pub fn draft_bundle(
    id: TrustBundleId,
    request: &TrustBundleRequest,
    now: Timestamp,
) -> Result<TrustBundleDraft, ResourceFault> {
    let mut certificates = String::new();
    for (position, text) in (1..).zip(&request.certificates) {
        let read = certificate::read(text);
        let read = read.map_err(|source| ResourceFault::Unreadable { position, source })?;
        usable_anchor(&read, now).map_err(|problem| ResourceFault::Unusable {
            position,
            subject: read.subject(),
            problem,
        })?;
        certificates.push_str(&read.to_pem());
    }
    Ok(TrustBundleDraft { id, certificates })
}

/// A trust bundle as operators and devices see it.
///
/// # Errors
/// When what is stored cannot be read.
pub fn describe_bundle(bundle: TrustBundleRecord) -> Result<TrustBundle, ResourceFault> {
    let certificates = Certificate::parse_pem_bundle(&bundle.certificates);
    let certificates = certificates.map_err(ResourceFault::Damaged)?;
    let trusted = |certificate: &Certificate| TrustedCertificate {
        certificate: certificate.to_pem(),
        metadata: certificate::describe(certificate),
    };
    Ok(TrustBundle {
        certificates: certificates.iter().map(trusted).collect(),
        id: bundle.id,
        created_date_time: bundle.created,
        last_modified_date_time: bundle.updated,
        etag: QuotedEtag(bundle.etag),
    })
}
