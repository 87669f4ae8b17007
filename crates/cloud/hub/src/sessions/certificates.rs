//! The certificates that live sessions were opened with, so that those that are revoked end.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::Identity;
use registry::revocation::{CertificateKey, NotInForce};

/// Looking through one of them does not hold up those that connect into the others.
const SHARDS: usize = 16;

/// The certificates of one session, and the session's number.
type Entry = (u64, Box<[CertificateKey]>);

/// Clones share the entries.
#[derive(Clone, Default)]
pub(crate) struct SessionCertificates(Arc<Shared>);

#[derive(Default)]
struct Shared {
    hasher: RandomState,
    next: AtomicU64,
    shards: [Mutex<HashMap<Identity, Entry>>; SHARDS],
}

impl Shared {
    fn shard(&self, identity: &Identity) -> MutexGuard<'_, HashMap<Identity, Entry>> {
        let at = self.hasher.hash_one(identity) % SHARDS as u64;
        let at = usize::try_from(at).unwrap_or_default();
        locked(&self.shards[at])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a session that was opened with certificates.
pub(crate) struct CertificateEntry {
    all: SessionCertificates,
    identity: Identity,
    number: u64,
}

impl Drop for CertificateEntry {
    fn drop(&mut self) {
        let mut shard = self.all.0.shard(&self.identity);
        // A newer session may have taken its place.
        let is_own = |(number, _): &Entry| *number == self.number;
        if shard.get(&self.identity).is_some_and(is_own) {
            shard.remove(&self.identity);
        }
    }
}

impl SessionCertificates {
    /// Enters what a session was opened with; `None` when that was no certificate.
    pub(crate) fn enter(
        &self,
        identity: &Identity,
        certificates: &[CertificateKey],
    ) -> Option<CertificateEntry> {
        if certificates.is_empty() {
            return None;
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let entry = (number, certificates.into());
        self.0.shard(identity).insert(identity.clone(), entry);
        Some(CertificateEntry {
            all: self.clone(),
            identity: identity.clone(),
            number,
        })
    }

    /// The sessions for which `revoked` finds a reason to end.
    pub(crate) fn find(
        &self,
        revoked: impl Fn(&Identity, &[CertificateKey]) -> Option<NotInForce>,
    ) -> Vec<(Identity, NotInForce)> {
        let mut found = Vec::new();
        for shard in &self.0.shards {
            for (identity, (_, certificates)) in &*locked(shard) {
                let reason = revoked(identity, certificates);
                found.extend(reason.map(|reason| (identity.clone(), reason)));
            }
        }
        found
    }
}
