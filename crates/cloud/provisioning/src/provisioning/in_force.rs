//! Whether the certificate of a client is in force, asked in the transaction that gives it another.

use ids::Timestamp;
use pki::RevocationReason;
use registry::revocation::{NotInForce, ProvenPath, Revocation, Revocations, RevokedBy};
use store::{IssuedCertificateRow, IssuedState, Lock, View};

use crate::issued::EnterError;

/// Refuses a certificate that is revoked or on hold, or one of whose issuers is. The row is asked
/// too: memory follows a revocation after its commit, which may be the one that is being made.
pub(super) fn require_in_force(
    view: &View<'_>,
    revocations: &Revocations,
    id_scope: &str,
    proven: &ProvenPath,
    now: Timestamp,
) -> Result<(), EnterError> {
    if let Some(serial) = proven.serial() {
        let row = view.issued_certificate(id_scope, &serial, &proven.leaf)?;
        if let Some(revoked) = row.and_then(revocation) {
            return Err(EnterError::NotInForce(revoked));
        }
    }
    let own = |scope: &ids::IdScope| scope.as_str() == id_scope;
    let mut keys = proven.keys.iter();
    match keys.find_map(|key| revocations.find(key, now, own)) {
        Some(cause) => Err(EnterError::NotInForce(cause)),
        None => Ok(()),
    }
}

/// What an act on the certificate must not change meanwhile.
pub(super) fn proven_lock<'a>(id_scope: &'a str, proven: &ProvenPath) -> Option<Lock<'a>> {
    let serial = proven.serial()?;
    Some(Lock::IssuedCertificate { id_scope, serial })
}

fn revocation(row: IssuedCertificateRow) -> Option<NotInForce> {
    if row.state == IssuedState::Valid {
        return None;
    }
    let reason = row.reason.as_deref().and_then(RevocationReason::parse);
    let revocation = Revocation {
        serial: row.serial,
        reason: reason.unwrap_or_default(),
        since: Timestamp::from_ticks(row.changed.unwrap_or_default()),
        by: RevokedBy::Issuer(row.issuer),
    };
    Some(NotInForce::Revoked(Box::new(revocation)))
}
