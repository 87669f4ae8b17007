//! Which bytes are the revocation list of a CA.

use ids::{IdError, Timestamp};
use pki::{CrlError, CrlRefused, UnverifiedCrl};
use provisioning::{NewList, RevocationListRecord};

/// Why a list is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    #[error(transparent)]
    Unreadable(#[from] CrlError),
    #[error(transparent)]
    Refused(#[from] CrlRefused),
    #[error("an entry of the list has a serial number that no certificate can have")]
    Serial(#[from] IdError),
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
