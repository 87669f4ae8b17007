//! A trust bundle as operators and devices read it.

use pki::{Certificate, PemError};
use provisioning::TrustBundleRecord;
use registry::StorageError;
use wire::error::DpsErrorCode;
use wire::etag::QuotedEtag;
use wire::muster_api::trust_bundle::{TrustBundle, TrustedCertificate};

use crate::error::NounError;

/// Why a stored trust bundle cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum TrustBundleError {
    #[error("a stored certificate cannot be read")]
    Damaged(#[from] PemError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl NounError for TrustBundleError {
    fn code(&self) -> DpsErrorCode {
        DpsErrorCode::InternalServerError
    }
}

/// The document of a stored trust bundle.
pub fn describe(bundle: TrustBundleRecord) -> Result<TrustBundle, TrustBundleError> {
    let certificates = Certificate::parse_pem_bundle(&bundle.certificates)?;
    let trusted = |certificate: &Certificate| TrustedCertificate {
        certificate: certificate.to_pem(),
        metadata: provisioning::describe(certificate),
    };
    Ok(TrustBundle {
        certificates: certificates.iter().map(trusted).collect(),
        id: bundle.id,
        created_date_time: bundle.created,
        last_modified_date_time: bundle.updated,
        etag: QuotedEtag(bundle.etag),
    })
}
