//! Which bytes are the revocation list of a CA.

use ids::{CertificateName, IdError, Timestamp};
use pki::{CrlError, CrlRefused, PemError, UnverifiedCrl};
use provisioning::{NewList, RevocationListRecord};
use wire::muster_api::revocation::{MAX_INTERVAL, MIN_INTERVAL};

/// Why a list is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    #[error(transparent)]
    Unreadable(#[from] CrlError),
    #[error(transparent)]
    Refused(#[from] CrlRefused),
    #[error("an entry of the list has a serial number that no certificate can have")]
    Serial(#[from] IdError),
    #[error("the CA certificate of the list cannot be read")]
    Certificate(#[from] PemError),
    #[error("'crlUrl' is not accepted: {0}")]
    Url(&'static str),
    #[error("'intervalSeconds' is {0}; {MIN_INTERVAL} to {MAX_INTERVAL} are allowed")]
    Interval(u32),
    #[error("'intervalSeconds' is for lists that have a 'crlUrl'")]
    IntervalWithoutUrl,
    #[error("revocation list {0} has no URL; upload it")]
    NoUrl(CertificateName),
    #[error("the server is stopping")]
    Interrupted,
}

/// A list that the CA signed. One that has ended is accepted: what it names stays revoked.
pub fn verify(
    bytes: Vec<u8>,
    list: &RevocationListRecord,
    now: Timestamp,
) -> Result<NewList, ListFault> {
    let verified = UnverifiedCrl::read(bytes)?.verify_at_any_time(&list.ca)?;
    if let Err(early @ CrlRefused::NotYetValid { .. }) = verified.valid_at(now) {
        return Err(early.into());
    }
    Ok(NewList::new(&verified, &list.ca)?)
}
