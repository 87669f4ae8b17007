use ids::Timestamp;

use crate::Certificate;

use super::path::Path;
use super::{ChainError, RevocationCheck};

/// What is known about a certificate's revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Its issuer says that it is not revoked.
    Good,
    /// Its issuer revoked it.
    Revoked {
        /// The moment of revocation.
        since: Timestamp,
        /// The reason in the words of RFC 5280, for example `keyCompromise`.
        reason: Option<&'static str>,
    },
    /// Nothing is known about certificates of this issuer.
    Unknown,
    /// There is a list of this issuer that proves nothing: why, in words.
    Unusable(String),
}

/// Knows which certificates are revoked. It proves what it says: lists whose signature, issuer or
/// dates do not hold are [`RevocationStatus::Unusable`].
pub trait Revocations: Send + Sync {
    /// The status of `certificate`, which `issuer` signed.
    fn status(&self, certificate: &Certificate, issuer: &Certificate) -> RevocationStatus;
}

/// Requires that no certificate of a path is revoked.
pub(super) fn require_not_revoked(
    path: &Path<'_>,
    check: RevocationCheck<'_>,
) -> Result<(), ChainError> {
    let (revocations, leaf_must_be_known) = match check {
        RevocationCheck::NotAsked => return Ok(()),
        RevocationCheck::WhereKnown(revocations) => (revocations, false),
        RevocationCheck::OfLeaf(revocations) => (revocations, true),
    };
    let links = path.upwards().zip(path.upwards().skip(1));
    for (position, (certificate, issuer)) in links.enumerate() {
        let status = revocations.status(certificate, issuer);
        if status == RevocationStatus::Unknown && (position > 0 || !leaf_must_be_known) {
            continue;
        }
        require_good(certificate, issuer, status)?;
    }
    Ok(())
}

fn require_good(
    certificate: &Certificate,
    issuer: &Certificate,
    status: RevocationStatus,
) -> Result<(), ChainError> {
    let (subject, issuer) = (certificate.subject(), issuer.subject());
    match status {
        RevocationStatus::Good => Ok(()),
        RevocationStatus::Unknown => Err(ChainError::RevocationUnknown { subject, issuer }),
        RevocationStatus::Revoked { since, reason } => Err(ChainError::Revoked {
            subject,
            serial: certificate.serial_hex().to_owned(),
            since,
            reason,
        }),
        RevocationStatus::Unusable(problem) => Err(ChainError::CrlUnusable { issuer, problem }),
    }
}
