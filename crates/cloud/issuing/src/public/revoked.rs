use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use ids::{CertificateSerial, IssuerName, Timestamp};
use pki::{RevocationReason, RevokedEntry};
use provisioning::{IssuedState, IssuerRecord, Provisioning, RevokedCertificateRow};
use registry::StorageError;

use super::generation::PublishedCa;

/// Parts of a list: one for each last byte of a serial number.
const PARTS: usize = 256;
/// Rows that are read at once.
const PAGE: usize = 10_000;
/// A certificate leaves the list this long after it expired: each has then been in a list that was
/// made after its end (RFC 5280, 5.1.2.6 and 3.3).
const AFTER_EXPIRY: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The part of a CA's list that covers a certificate. Serial numbers end with random bits.
pub(super) fn shard(serial: &[u8]) -> u8 {
    serial.last().copied().unwrap_or_default()
}

/// A certificate as lists name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Revoked {
    serial: CertificateSerial,
    when: Timestamp,
    reason: RevocationReason,
}

impl Revoked {
    fn entry(&self) -> RevokedEntry<'_> {
        RevokedEntry {
            serial: self.serial.as_bytes(),
            when: self.when,
            reason: self.reason,
        }
    }
}

/// The reason of a certificate that is held or revoked.
pub(super) fn reason(state: IssuedState, reason: Option<&str>) -> RevocationReason {
    match state {
        IssuedState::Held => RevocationReason::CertificateHold,
        _ => reason.and_then(RevocationReason::parse).unwrap_or_default(),
    }
}

/// What a CA has revoked.
pub(super) struct RevokedTable {
    rows: Vec<Revoked>,
    /// A hash of each part of the list: a part that stays the same needs no new list.
    parts: Vec<u64>,
}

impl Default for RevokedTable {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl RevokedTable {
    fn new(rows: Vec<Revoked>) -> Self {
        let mut hashers = vec![DefaultHasher::new(); PARTS];
        for row in &rows {
            let part = usize::from(shard(row.serial.as_bytes()));
            if let Some(hasher) = hashers.get_mut(part) {
                row.hash(hasher);
            }
        }
        let parts = hashers.iter().map(Hasher::finish).collect();
        Self { rows, parts }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The entries of the list, or of one part of it.
    pub(super) fn entries(&self, wanted: Option<u8>) -> impl Iterator<Item = RevokedEntry<'_>> {
        let is_in = move |one: &&Revoked| {
            wanted.is_none_or(|wanted| shard(one.serial.as_bytes()) == wanted)
        };
        self.rows.iter().filter(is_in).map(Revoked::entry)
    }

    /// Whether the list, or one part of it, says the same as another.
    pub(super) fn says_the_same(&self, other: &Self, part: Option<u8>) -> bool {
        match part {
            None => self.parts == other.parts,
            Some(part) => self.parts.get(usize::from(part)) == other.parts.get(usize::from(part)),
        }
    }

    /// Reads the certificates of a CA that are held or revoked, of all issuers that have the CA.
    pub(super) async fn read(
        service: &Provisioning,
        ca: &PublishedCa,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let has_ca = |issuer: &IssuerRecord| {
            let mut all = issuer.generations.all();
            all.any(|one| ca.authorities.contains(&one.thumbprint))
        };
        let mut rows = Vec::new();
        for issuer in service.issuers()?.iter().filter(|issuer| has_ca(issuer)) {
            read_issuer(service, &issuer.name, ca, now, &mut rows).await?;
        }
        Ok(Self::new(rows))
    }
}

/// Adds what an issuer has revoked, in the order in which it was issued.
async fn read_issuer(
    service: &Provisioning,
    issuer: &IssuerName,
    ca: &PublishedCa,
    now: Timestamp,
    rows: &mut Vec<Revoked>,
) -> Result<(), StorageError> {
    let expires_from = now.minus(AFTER_EXPIRY);
    let mut after = 0;
    loop {
        let page = service.revoked_certificates(issuer, expires_from, after, PAGE);
        let page = page.await?;
        let of_ca = |row: &&RevokedCertificateRow| ca.authorities.contains(&row.authority);
        rows.extend(page.iter().filter(of_ca).map(|row| Revoked {
            serial: row.serial,
            when: Timestamp::from_ticks(row.changed.unwrap_or_default()),
            reason: reason(row.state, row.reason.as_deref()),
        }));
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.id,
            _ => return Ok(()),
        }
    }
}
