//! How an issuer goes over to another CA: both are admitted until its devices have certificates of
//! the new one.

use ids::{CertificateName, IssuerName, Thumbprint};
use registry::StorageError;
use store::{CertificateSlot, EnrollmentKey};
use wire::certificate_info::CertificateInfo;

use crate::issuer::{IssuerGeneration, IssuerRecord};

/// A CA that an issuer is rolled to. Its key is kept by then.
#[derive(Debug, Clone, PartialEq)]
pub struct NextAuthority {
    pub generation: IssuerGeneration,
    pub der: Vec<u8>,
    /// Its subject in the form in which names are compared.
    pub subject: Vec<u8>,
    /// Its certificate as enrollment groups describe it.
    pub info: CertificateInfo,
}

/// How far an issuer has come.
#[derive(Debug, Clone, PartialEq)]
pub struct RollStatus {
    pub issuer: IssuerRecord,
    /// Of the CAs that are admitted, the newest first.
    pub authorities: Vec<AuthorityUse>,
    /// Individual enrollments with a secondary certificate of the issuer, which the device has not
    /// proved yet.
    pub awaited_successors: u64,
}

/// What a CA of an issuer is still needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityUse {
    /// SHA-256 of the CA certificate.
    pub ca_certificate: Thumbprint,
    /// Its certificates that are neither expired nor held nor revoked.
    pub valid_certificates: u64,
    /// Registered devices that use one of these: the certificate that their hub knows, else their
    /// newest one.
    pub devices: u64,
    /// Individual enrollments that pin one of its certificates as primary.
    pub pinned: u64,
}

/// Why an issuer is not rolled.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    #[error("device issuer {0} does not exist")]
    NotFound(IssuerName),
    #[error(
        "device issuer {0} is being rolled to another CA already; finish or abandon that first"
    )]
    Rolls(IssuerName),
    #[error("device issuer {0} is not being rolled; start it: muster dps issuer roll start")]
    DoesNotRoll(IssuerName),
    #[error("device issuer {0} has this CA certificate already; roll it to another one")]
    SameAuthority(IssuerName),
    /// The group or enrollment has no room for both CA certificates.
    #[error(
        "{enrollment} names the CA of the issuer and has another certificate beside it, so that \
         it could not admit devices of the new CA; free its other slot first"
    )]
    SlotTaken { enrollment: EnrollmentKey },
    /// One certificate in two enrollments.
    #[error("the new CA certificate belongs to {other} already; take it out there first")]
    CertificateTaken { other: EnrollmentKey },
    /// The new CA certificate is uploaded, and nobody has proved to have its key.
    #[error("CA certificate {0} is not verified, and is the new CA; verify or delete it first")]
    NotVerified(CertificateName),
    #[error(
        "the new CA certificate must be uploaded for enrollments that name the old one, and the \
         service has {0} CA certificates already; delete one"
    )]
    TooManyCaCertificates(usize),
    #[error(
        "{devices} registered devices still use the old CA; wait until they have renewed, or \
         finish with --force, after which they are refused"
    )]
    StillUsed { devices: u64 },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RollError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// What an enrollment has in its two slots: certificates, or references to uploaded ones.
pub(crate) type Slots<T> = Vec<(CertificateSlot, T)>;

/// The other slot holds something else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Occupied;

/// Slots that admit both CAs. `old` is in one of them.
pub(crate) fn with_both<T: Copy + PartialEq>(
    slots: &Slots<T>,
    old: T,
    new: T,
) -> Result<Slots<T>, Occupied> {
    if slots.iter().any(|(_, one)| *one == new) {
        return Ok(slots.clone());
    }
    let is_primary = |(slot, one): &(CertificateSlot, T)| {
        (*one == old).then_some(*slot == CertificateSlot::Primary)
    };
    match (slots.len(), slots.iter().find_map(is_primary)) {
        (1, Some(true)) => Ok(vec![
            (CertificateSlot::Primary, old),
            (CertificateSlot::Secondary, new),
        ]),
        (1, Some(false)) => Ok(vec![
            (CertificateSlot::Primary, new),
            (CertificateSlot::Secondary, old),
        ]),
        _ => Err(Occupied),
    }
}

/// Slots that admit `new` in place of `old`. A certificate beside them stays where it is.
pub(crate) fn with_new_only<T: Copy + PartialEq>(slots: &Slots<T>, old: T, new: T) -> Slots<T> {
    let mut others = slots.iter().filter(|(_, one)| *one != old && *one != new);
    match others.next() {
        None => vec![(CertificateSlot::Primary, new)],
        Some((CertificateSlot::Primary, other)) => vec![
            (CertificateSlot::Primary, *other),
            (CertificateSlot::Secondary, new),
        ],
        Some((CertificateSlot::Secondary, other)) => vec![
            (CertificateSlot::Primary, new),
            (CertificateSlot::Secondary, *other),
        ],
    }
}

/// Slots without `new`. What is left becomes the primary.
pub(crate) fn without<T: Copy + PartialEq>(slots: &Slots<T>, new: T) -> Slots<T> {
    let mut left: Slots<T> = slots
        .iter()
        .filter(|(_, one)| *one != new)
        .copied()
        .collect();
    if let [(slot, _)] = left.as_mut_slice() {
        *slot = CertificateSlot::Primary;
    }
    left
}

#[cfg(test)]
mod tests {
    use CertificateSlot::{Primary, Secondary};

    use super::*;

    #[test]
    fn both_cas_are_admitted_while_an_issuer_rolls() {
        let start = |slots: &[(CertificateSlot, u8)]| with_both(&slots.to_vec(), 1, 2);
        assert_eq!(
            start(&[(Primary, 1)]),
            Ok(vec![(Primary, 1), (Secondary, 2)])
        );
        assert_eq!(
            start(&[(Secondary, 1)]),
            Ok(vec![(Primary, 2), (Secondary, 1)])
        );
        let both = vec![(Primary, 1), (Secondary, 2)];
        assert_eq!(start(&both), Ok(both.clone()), "again");
        assert_eq!(start(&[(Primary, 1), (Secondary, 9)]), Err(Occupied));
        assert_eq!(start(&[(Primary, 9), (Secondary, 1)]), Err(Occupied));
    }

    #[test]
    fn the_new_ca_alone_is_admitted_after_a_roll() {
        let finish = |slots: &[(CertificateSlot, u8)]| with_new_only(&slots.to_vec(), 1, 2);
        assert_eq!(finish(&[(Primary, 1), (Secondary, 2)]), [(Primary, 2)]);
        assert_eq!(finish(&[(Primary, 2), (Secondary, 1)]), [(Primary, 2)]);
        assert_eq!(finish(&[(Primary, 1)]), [(Primary, 2)]);
        let beside = finish(&[(Primary, 9), (Secondary, 1)]);
        assert_eq!(beside, [(Primary, 9), (Secondary, 2)]);
        let beside = finish(&[(Primary, 1), (Secondary, 9)]);
        assert_eq!(beside, [(Primary, 2), (Secondary, 9)]);
    }

    #[test]
    fn the_old_ca_alone_is_admitted_after_a_roll_that_was_abandoned() {
        let abandon = |slots: &[(CertificateSlot, u8)]| without(&slots.to_vec(), 2);
        assert_eq!(abandon(&[(Primary, 1), (Secondary, 2)]), [(Primary, 1)]);
        assert_eq!(abandon(&[(Primary, 2), (Secondary, 1)]), [(Primary, 1)]);
        assert_eq!(abandon(&[(Primary, 1)]), [(Primary, 1)]);
    }
}
