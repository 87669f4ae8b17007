//! Certificates of issuers that are revoked, and revocation lists of other CAs.

use std::sync::Arc;

use ids::{CertificateName, CertificateSerial, Etag, IdError, IssuerName, Timestamp};
use pki::{Certificate, VerifiedCrl};
use registry::StorageError;
use registry::revocation::{ListAge, ListedSerials, NotInForce};
use store::{IssuedState, StalePolicy};

use crate::issuance::IssuanceError;

/// A certificate that opens nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate of {subject} is not in force: {cause}")]
pub struct NotInForceCertificate {
    pub subject: String,
    pub cause: NotInForce,
}

/// Why the state of a certificate was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error(transparent)]
    Issuer(#[from] IssuanceError),
    #[error("device issuer {issuer} lists no certificate with serial number {serial}")]
    NotListed {
        issuer: IssuerName,
        serial: CertificateSerial,
    },
    /// Only what is on hold can be restored, and what is revoked cannot be put on hold.
    #[error(
        "certificate {serial} of device issuer {issuer} was revoked ({reason}), which is final"
    )]
    Final {
        issuer: IssuerName,
        serial: CertificateSerial,
        reason: String,
    },
    /// The certificate is of a CA that the issuer has not.
    #[error(
        "the CA certificate of device issuer {issuer} that signed certificate {serial} is not \
         there any more"
    )]
    CaGone {
        issuer: IssuerName,
        serial: CertificateSerial,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RevokeError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// What becomes of a certificate's state and reason; `None`: they stay.
pub(crate) fn revoked(
    before: IssuedState,
    reason_before: Option<&str>,
    reason: pki::RevocationReason,
) -> Result<Option<IssuedState>, String> {
    let hold = reason == pki::RevocationReason::CertificateHold;
    let same = reason_before == Some(reason.name());
    match (before, hold) {
        (IssuedState::Held, true) => Ok(None),
        (IssuedState::Revoked, false) if same => Ok(None),
        (IssuedState::Revoked, true) => Err(reason_before.unwrap_or("unspecified").to_owned()),
        (IssuedState::Valid, true) => Ok(Some(IssuedState::Held)),
        (_, false) => Ok(Some(IssuedState::Revoked)),
    }
}

/// Whether a certificate comes back into force; `false`: it is in force.
pub(crate) fn restored(before: IssuedState, reason: Option<&str>) -> Result<bool, String> {
    match before {
        IssuedState::Valid => Ok(false),
        IssuedState::Held => Ok(true),
        IssuedState::Revoked => Err(reason.unwrap_or("unspecified").to_owned()),
    }
}

/// The revocation list of another CA to be followed.
#[derive(Debug, Clone)]
pub struct RevocationListDraft {
    pub name: CertificateName,
    /// The CA certificate whose key signs the list; `None`: the uploaded one of this name.
    pub ca: Option<Certificate>,
    /// Where the list is fetched from; `None`: it is uploaded.
    pub source: Option<store::ListSource>,
    pub stale: StalePolicy,
}

/// A list that its CA signed, and is to be stored. Only [`NewList::new`] makes one.
#[derive(Debug, Clone)]
pub struct NewList {
    pub(crate) der: Arc<Vec<u8>>,
    /// DER of the CA certificate that it was verified with.
    pub(crate) ca: Vec<u8>,
    pub(crate) number: Option<Vec<u8>>,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
    pub(crate) serials: Arc<ListedSerials>,
}

impl NewList {
    /// Sorts the entries of a list: with a million entries that takes its time.
    ///
    /// # Errors
    /// When an entry has a serial number that no certificate can have.
    pub fn new(list: &VerifiedCrl, ca: &Certificate) -> Result<Self, IdError> {
        Ok(Self {
            der: Arc::new(list.der().to_vec()),
            ca: ca.der().to_vec(),
            number: list.number().map(|number| number.as_bytes().to_vec()),
            this_update: list.this_update(),
            next_update: list.next_update(),
            serials: Arc::new(ListedSerials::new(list.entries())?),
        })
    }
}

/// What the server of a list called the version that it sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListVersion {
    pub etag: Option<String>,
    pub modified: Option<String>,
}

/// A revocation list as it is stored.
#[derive(Debug, Clone)]
pub struct RevocationListRecord {
    pub name: CertificateName,
    pub ca: Certificate,
    pub source: Option<store::ListSource>,
    pub stale: StalePolicy,
    /// `None` while no list was read.
    pub content: Option<store::ListContent>,
    /// The last look at the source.
    pub fetched: Option<Timestamp>,
    /// Why the last look brought no list.
    pub fault: Option<String>,
    pub etag: Etag,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl RevocationListRecord {
    /// Until when the list counts.
    #[must_use]
    pub fn age(&self) -> ListAge {
        match &self.content {
            None => ListAge::Absent,
            Some(content) => ListAge::of(content.next_update.map(Timestamp::from_ticks)),
        }
    }
}

/// Why a revocation list was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum RevocationListError {
    #[error("there is no revocation list {0}")]
    NotFound(CertificateName),
    #[error("there is no CA certificate {0}; upload it, or give the CA certificate of the list")]
    NoCaCertificate(CertificateName),
    #[error("there is a revocation list {0} already; it is changed with If-Match")]
    Exists(CertificateName),
    #[error("revocation list {0} has changed since the etag sent")]
    PreconditionFailed(CertificateName),
    #[error("the service has {limit} revocation lists already; delete one")]
    TooMany { limit: usize },
    #[error("the service's lists would have more than {limit} entries together")]
    TooLong { limit: u64 },
    #[error(
        "the list is older than the stored one, of {}; what that revokes would come back into \
         force",
        .stored.in_seconds()
    )]
    Older { stored: Timestamp },
    /// The list was verified with another CA certificate than is there by now.
    #[error("the CA certificate of revocation list {0} was changed meanwhile; send the list again")]
    CaChanged(CertificateName),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RevocationListError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// Whether a list may take the place of a stored one: it must not be older, by its number and the
/// time at which it was made.
pub(crate) fn is_older(new: (Option<&[u8]>, i64), stored: (Option<&[u8]>, i64)) -> bool {
    let by_number = new.0.zip(stored.0).map(|(new, stored)| {
        let key = |number: &[u8]| (number.len(), number.to_vec());
        key(new).cmp(&key(stored))
    });
    match by_number {
        Some(std::cmp::Ordering::Less) => true,
        Some(std::cmp::Ordering::Greater) => false,
        Some(std::cmp::Ordering::Equal) | None => new.1 < stored.1,
    }
}

#[cfg(test)]
mod tests {
    use pki::RevocationReason;

    use super::*;

    #[test]
    fn only_what_is_on_hold_comes_back() {
        use IssuedState::{Held, Revoked, Valid};
        use RevocationReason::{CertificateHold, KeyCompromise, Superseded};
        let compromised = Some("keyCompromise");
        for (before, known, reason, after) in [
            (Valid, None, CertificateHold, Ok(Some(Held))),
            (Valid, None, KeyCompromise, Ok(Some(Revoked))),
            (Held, Some("certificateHold"), CertificateHold, Ok(None)),
            (Held, Some("certificateHold"), Superseded, Ok(Some(Revoked))),
            (Revoked, compromised, KeyCompromise, Ok(None)),
            (Revoked, compromised, Superseded, Ok(Some(Revoked))),
            (
                Revoked,
                compromised,
                CertificateHold,
                Err("keyCompromise".to_owned()),
            ),
        ] {
            assert_eq!(
                revoked(before, known, reason),
                after,
                "{before:?} {reason:?}"
            );
        }
        assert_eq!(restored(Valid, None), Ok(false));
        assert_eq!(restored(Held, Some("certificateHold")), Ok(true));
        assert!(restored(Revoked, compromised).is_err());
    }

    #[test]
    fn a_list_is_older_by_its_number_before_its_time() {
        let number = |bytes: &'static [u8]| Some(bytes);
        for (new, stored, older) in [
            ((number(&[2]), 1), (number(&[1]), 9), false),
            ((number(&[1]), 9), (number(&[2]), 1), true),
            ((number(&[1, 0]), 1), (number(&[255]), 1), false),
            ((number(&[1]), 1), (number(&[1]), 1), false),
            ((number(&[1]), 1), (number(&[1]), 2), true),
            ((None, 1), (number(&[1]), 2), true),
            ((None, 2), (None, 2), false),
        ] {
            assert_eq!(is_older(new, stored), older, "{new:?} {stored:?}");
        }
    }
}
