use std::cmp::Reverse;
use std::sync::Arc;

use ids::{CertificateName, CertificateSerial, IdError, IdScope, Timestamp};
use pki::{Certificate, RevocationReason, RevokedEntry};
use store::StalePolicy;

use super::{NotInForce, Revocation, RevokedBy, StaleList};

/// What is kept of a revoked certificate beside its serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Seconds since 1970; enough until 2106.
    since: u32,
    reason: RevocationReason,
}

impl Entry {
    pub(super) fn new(since: Timestamp, reason: RevocationReason) -> Self {
        let since = u32::try_from(since.unix_seconds()).unwrap_or(u32::MAX);
        Self { since, reason }
    }

    pub(super) fn not_in_force(self, serial: CertificateSerial, by: RevokedBy) -> NotInForce {
        NotInForce::Revoked(Box::new(Revocation {
            serial,
            reason: self.reason,
            since: Timestamp::from_unix_seconds(self.since.into()),
            by,
        }))
    }
}

/// The entries of a revocation list: 32 bytes each, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedSerials(Box<[(CertificateSerial, Entry)]>);

const _: () = assert!(size_of::<(CertificateSerial, Entry)>() == 32);

impl ListedSerials {
    /// Sorts the entries of a list. Of two for one serial number the later one counts.
    ///
    /// # Errors
    /// When a serial number is longer than any of a certificate: it could not be found.
    pub fn new<'e>(entries: impl Iterator<Item = RevokedEntry<'e>>) -> Result<Self, IdError> {
        let entry = |entry: RevokedEntry<'_>| {
            let serial = CertificateSerial::from_bytes(entry.serial)?;
            Ok((serial, Entry::new(entry.when, entry.reason)))
        };
        let mut all = entries.map(entry).collect::<Result<Vec<_>, IdError>>()?;
        all.sort_unstable_by_key(|(serial, entry)| (*serial, Reverse(entry.since)));
        all.dedup_by_key(|(serial, _)| *serial);
        Ok(Self(all.into()))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, serial: &CertificateSerial) -> Option<Entry> {
        let found = self.0.binary_search_by_key(serial, |(serial, _)| *serial);
        let (_, entry) = found.ok().and_then(|at| self.0.get(at))?;
        Some(*entry)
    }
}

/// Until when a list counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListAge {
    /// None was read yet.
    Absent,
    /// Its nextUpdate.
    Until(Timestamp),
    /// It does not say.
    Unlimited,
}

impl ListAge {
    /// Of a list that was read.
    #[must_use]
    pub fn of(next_update: Option<Timestamp>) -> Self {
        next_update.map_or(Self::Unlimited, Self::Until)
    }

    /// Whether there is no list that counts at `now`.
    #[must_use]
    pub fn is_stale(self, now: Timestamp) -> bool {
        match self {
            Self::Absent => true,
            Self::Until(at) => at < now,
            Self::Unlimited => false,
        }
    }
}

/// Whose list one is, and what becomes of certificates while it is too old.
#[derive(Debug, Clone)]
pub struct ListSettings {
    pub id_scope: IdScope,
    pub name: CertificateName,
    pub ca: Certificate,
    pub stale: StalePolicy,
}

/// The revocation list of another CA, as certificates are compared with it.
#[derive(Debug, Clone)]
pub struct RevocationList {
    pub settings: ListSettings,
    pub serials: Arc<ListedSerials>,
    pub age: ListAge,
}

impl RevocationList {
    /// The same list under other settings. Of another CA there is none yet.
    pub(super) fn under(settings: ListSettings, before: Option<&Self>) -> Self {
        let same_ca = before.filter(|list| list.settings.ca == settings.ca);
        Self {
            settings,
            serials: same_ca.map(|list| list.serials.clone()).unwrap_or_default(),
            age: same_ca.map_or(ListAge::Absent, |list| list.age),
        }
    }

    pub(super) fn is(&self, id_scope: &IdScope, name: &CertificateName) -> bool {
        let settings = &self.settings;
        settings.id_scope == *id_scope && settings.name.folded() == name.folded()
    }

    pub(super) fn find(
        &self,
        serial: Option<&CertificateSerial>,
        now: Timestamp,
    ) -> Option<NotInForce> {
        let ListSettings { name, stale, .. } = &self.settings;
        let listed = serial.and_then(|serial| Some((*serial, self.serials.find(serial)?)));
        if let Some((serial, entry)) = listed {
            return Some(entry.not_in_force(serial, RevokedBy::List(name.clone())));
        }
        let refuses = *stale == StalePolicy::Refuse && self.age.is_stale(now);
        refuses.then(|| {
            NotInForce::Stale(Box::new(StaleList {
                list: name.clone(),
                next_update: match self.age {
                    ListAge::Until(at) => Some(at),
                    ListAge::Absent | ListAge::Unlimited => None,
                },
            }))
        })
    }
}
