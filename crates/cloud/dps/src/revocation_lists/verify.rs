//! Which bytes are the revocation list of a CA.

use ids::{IdError, Timestamp};
use pki::{CrlError, CrlRefused, UnverifiedCrl};
use provisioning::{NewList, RevocationListRecord};
use wire::error::DpsErrorCode;

use crate::error::NounError;

/// Why a list is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    #[error(transparent)]
    Unreadable(#[from] CrlError),
    #[error(transparent)]
    Refused(#[from] CrlRefused),
    #[error("an entry of the list has a serial number that no certificate can have")]
    Serial(#[from] IdError),
    /// The process ends, and begins nothing more.
    #[error("the server is stopping")]
    Stopping,
}

impl NounError for ListFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Unreadable(_) | Self::Refused(_) | Self::Serial(_) => {
                DpsErrorCode::ArgumentInvalid
            }
            Self::Stopping => DpsErrorCode::ServiceUnavailable,
        }
    }
}

/// Verifies a list apart from the threads that answer requests: with many entries it takes its
/// time.
pub async fn verify_apart(
    bytes: Vec<u8>,
    list: RevocationListRecord,
    now: Timestamp,
) -> Result<NewList, ListFault> {
    let verified = tokio::task::spawn_blocking(move || verify(bytes, &list, now));
    match verified.await {
        Ok(verified) => verified,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ListFault::Stopping),
        },
    }
}

/// A list that the CA signed. One that has ended is accepted: what it names stays revoked.
fn verify(
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
