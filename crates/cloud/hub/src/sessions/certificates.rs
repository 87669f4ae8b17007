//! The certificates that live sessions were opened with, so that those that are revoked end.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ids::Identity;
use registry::revocation::{CertificateKey, NotInForce, ProvenPath};

/// Looking through one of them does not hold up those that connect into the others.
const SHARDS: usize = 16;

/// The number of a session, and its certificates.
type Entry = (u64, Arc<[CertificateKey]>);

/// Clones share the entries.
#[derive(Clone, Default)]
pub(crate) struct SessionCertificates(Arc<Shared>);

#[derive(Default)]
struct Shared {
    hasher: RandomState,
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
    path: ProvenPath,
}

impl CertificateEntry {
    /// The certificates that the session was opened with.
    pub(crate) fn path(&self) -> &ProvenPath {
        &self.path
    }
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
    /// Enters what session `number` was opened with. Of two sessions of an identity the one that
    /// was opened later counts, whichever is entered first.
    pub(crate) fn enter(
        &self,
        (identity, number): (&Identity, u64),
        path: ProvenPath,
    ) -> CertificateEntry {
        let mut shard = self.0.shard(identity);
        let is_newer = |(entered, _): &Entry| *entered > number;
        if !shard.get(identity).is_some_and(is_newer) {
            shard.insert(identity.clone(), (number, path.keys.clone()));
        }
        drop(shard);
        CertificateEntry {
            all: self.clone(),
            identity: identity.clone(),
            number,
            path,
        }
    }

    /// The sessions for which `revoked` finds a reason to end, with their numbers.
    pub(crate) fn find(
        &self,
        revoked: impl Fn(&Identity, &[CertificateKey]) -> Option<NotInForce>,
    ) -> Vec<(Identity, u64, NotInForce)> {
        let mut found = Vec::new();
        for shard in &self.0.shards {
            for (identity, (number, certificates)) in &*locked(shard) {
                let reason = revoked(identity, certificates);
                found.extend(reason.map(|reason| (identity.clone(), *number, reason)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            hub: ids::HubName::parse("hub").unwrap(),
            device: ids::DeviceId::parse("d1").unwrap(),
            module: None,
        }
    }

    fn path() -> ProvenPath {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let seen = pki::SeenIssuers::default();
        let chain = pki::PresentedChain::new(&[leaf.der()], &seen).unwrap();
        ProvenPath::of(chain.leaf(), chain.issuers())
    }

    /// The numbers of the sessions that are entered.
    fn entered(all: &SessionCertificates) -> Vec<u64> {
        let mut numbers = Vec::new();
        for shard in &all.0.shards {
            numbers.extend(locked(shard).values().map(|(number, _)| *number));
        }
        numbers
    }

    #[test]
    fn of_two_sessions_that_open_at_once_the_newer_one_stays_entered() {
        let (all, identity, path) = (SessionCertificates::default(), identity(), path());
        // The older one was opened first, and is entered last.
        let newer = all.enter((&identity, 2), path.clone());
        let older = all.enter((&identity, 1), path.clone());
        assert_eq!(entered(&all), [2]);
        drop(older);
        assert_eq!(entered(&all), [2]);
        let newest = all.enter((&identity, 3), path.clone());
        drop(newer);
        assert_eq!(entered(&all), [3]);
        drop(newest);
        assert!(entered(&all).is_empty());
    }
}
