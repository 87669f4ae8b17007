//! One certificate of the device with its two slots on disk: what is next about it, and the writes
//! that each step makes.
//!
//! The order of the writes makes every step resumable. A key exists before the slots name it, the
//! slots name it before anything is requested for it, a certificate is written before it is used,
//! and a key is destroyed after the slots name it no more.

mod change;
mod on_device;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device::renewal::{Candidate, NextStep, NotRequested, RenewalPolicy, Threshold};
use ids::{Thumbprint, Timestamp, error_chain};
use pki::{Certificate, IssueError, KeyType, Profile, Signer, Subject};
use tokio::sync::watch;

pub use on_device::has_begun;

use super::check::CertificateFault;
use super::identity_files::IdentityFiles;
use super::keys::{KeyPairError, KeyPairs};
use super::slots::{Held, HeldKey, Kept, Slots};
use crate::files::durable::DurableError;

/// What a certificate of the device is.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Azure's name of it, such as `device-id`.
    pub id: String,
    pub profile: Profile,
    pub subject: Subject,
    pub key_type: KeyType,
    /// What issues it, for the digest of [`made_for`](Self::made_for).
    pub issuer: String,
    /// `None`: it is not renewed.
    pub renewal: Option<Renewal>,
    /// With what the device registers, if the provisioning service issues the certificate.
    pub bootstrap: Option<IdentityFiles>,
}

#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    pub policy: RenewalPolicy,
    /// Whether the next certificate gets another key.
    pub rotate_key: bool,
}

impl Wanted {
    /// A digest that changes when another certificate has to be issued.
    fn made_for(&self) -> String {
        let Self {
            profile,
            subject,
            issuer,
            ..
        } = self;
        crate::config::digest_of(&format!("{profile:?} {subject:?} {issuer}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    #[error(transparent)]
    File(#[from] DurableError),
    #[error(transparent)]
    Key(#[from] KeyPairError),
    #[error("the certificate request cannot be made")]
    Request(#[from] IssueError),
    #[error(transparent)]
    Issued(#[from] CertificateFault),
    #[error(transparent)]
    NotRequested(#[from] NotRequested),
}

/// What is next about a certificate.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing before this time; `None` for one that is not renewed.
    Wait(Option<Timestamp>),
    MakeKey,
    /// Request a certificate for this key.
    Request(HeldKey),
    /// The new certificate waits until it is [proven](Managed::proven).
    Prove(Thumbprint),
}

/// A certificate with its key, ready to be presented.
#[derive(Debug, Clone)]
pub struct Presentable {
    pub identity: device::Identity,
    pub signer: Signer,
    /// The certificate and its issuers.
    pub chain: Vec<Certificate>,
}

impl Presentable {
    pub fn leaf(&self) -> &Certificate {
        self.identity.leaf()
    }
}

/// A certificate of the device that is issued and renewed.
#[derive(Debug)]
pub struct Managed {
    wanted: Wanted,
    made_for: String,
    file: PathBuf,
    keys: Arc<dyn KeyPairs>,
    kept: Mutex<Kept>,
    /// Counts changes of what can be presented.
    changes: watch::Sender<u64>,
    /// Why the last attempt to issue it failed.
    problem: Mutex<Option<String>>,
    /// Whether the hub gives no other certificate, so that registering has to.
    hub_gives_none: AtomicBool,
    /// Whether the last new certificate was refused, so that another one has to wait.
    was_refused: AtomicBool,
}

impl Managed {
    /// Reads what is kept, and finishes what a loss of power interrupted.
    pub fn open(
        wanted: Wanted,
        file: PathBuf,
        keys: Arc<dyn KeyPairs>,
    ) -> Result<Self, ManagedError> {
        let kept = Kept::load(&file)?;
        let managed = Self {
            made_for: wanted.made_for(),
            wanted,
            file,
            keys,
            kept: Mutex::new(kept),
            changes: watch::Sender::default(),
            problem: Mutex::default(),
            hub_gives_none: AtomicBool::new(false),
            was_refused: AtomicBool::new(false),
        };
        {
            let mut kept = managed.lock();
            // Keys may be held by a process that is not there yet.
            if let Err(error) = managed.finish_renewal(&mut kept) {
                tracing::warn!(
                    certificate = %managed.wanted.id,
                    error = %error_chain(&error),
                    "the keys of a certificate cannot be looked at"
                );
            }
        }
        Ok(managed)
    }

    fn finish_renewal(&self, kept: &mut Kept) -> Result<(), ManagedError> {
        self.drop_lost_keys(kept)?;
        self.destroy_retired(kept)
    }

    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// What is next. Slots that were made for another certificate than the wanted one are replaced
    /// at once, and used until then.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Step {
        let kept = self.lock();
        let slots = self.fitting(&kept.slots);
        let is_stale = |active: &Held| active.key.made_for != self.made_for;
        if slots.candidate().is_none() && slots.active().is_some_and(is_stale) {
            return Step::MakeKey;
        }
        let (policy, is_renewed) = match self.wanted.renewal {
            Some(renewal) => (renewal.policy, true),
            None => (NEVER, false),
        };
        let chance = slots
            .active()
            .map_or(0.0, |active| chance(active, &self.wanted.id));
        match slots.next_step(policy, chance, now) {
            NextStep::Wait(due) => Step::Wait(is_renewed.then_some(due)),
            NextStep::MakeKey if !is_renewed && slots.active().is_some() => Step::Wait(None),
            NextStep::MakeKey => Step::MakeKey,
            NextStep::Request(key) => Step::Request(key.clone()),
            NextStep::Prove(candidate) => match candidate.certificate.0.first() {
                Some(leaf) => Step::Prove(leaf.sha256()),
                None => Step::Request(candidate.key.clone()),
            },
        }
    }

    /// The key of a request, to issue a certificate for it; `None` when it was lost, and then
    /// another one is next.
    pub fn signer(&self, key: &HeldKey) -> Result<Option<Signer>, ManagedError> {
        let found = self.keys.open(&key.id)?;
        if found.is_none() {
            let mut kept = self.lock();
            self.drop_lost_keys(&mut kept)?;
        }
        Ok(found)
    }

    /// What the device can present, the newest first. One that has expired by this device's clock,
    /// which may be wrong, comes last and alone.
    pub fn presentable(&self, now: Timestamp) -> Result<Vec<Presentable>, ManagedError> {
        let slots = self.lock().slots.clone();
        let mut all: Vec<&Held> = slots.to_open_with(now).collect();
        if all.is_empty() {
            all.extend(slots.active());
        }
        let mut found = Vec::new();
        for one in all {
            let Some(signer) = self.keys.open(&one.key.id)? else {
                continue;
            };
            let chain = one.certificate.0.clone();
            if let Ok(identity) = device::Identity::new(&chain, &signer) {
                found.push(Presentable {
                    identity,
                    signer,
                    chain,
                });
            }
        }
        Ok(found)
    }

    /// The certificate that was accepted last, with its issuers. Empty before the first.
    #[must_use]
    pub fn active_chain(&self) -> Vec<Certificate> {
        let kept = self.lock();
        let active = kept.slots.active();
        active
            .map(|one| one.certificate.0.clone())
            .unwrap_or_default()
    }

    /// The request for the key that waits.
    #[must_use]
    pub fn pending(&self, now: Timestamp) -> Option<HeldKey> {
        match self.next(now) {
            Step::Request(key) => Some(key),
            _ => None,
        }
    }

    /// The request that the next registration has to carry: for the first certificate, for one
    /// after the last has expired, and when the hub gives none.
    #[must_use]
    pub fn request_for_registration(&self, now: Timestamp) -> Option<Vec<u8>> {
        let is_valid = |leaf: &Certificate| leaf.not_after() >= now;
        let has_valid = self.active_chain().first().is_some_and(is_valid);
        let is_needed = !has_valid || self.hub_gives_none.load(Ordering::Relaxed);
        let key = self
            .pending(now)
            .filter(|_| self.wanted.bootstrap.is_some() && is_needed)?;
        Some(key.request.as_bytes().to_vec())
    }

    /// Notes that the hub gives no other certificate.
    pub fn register_for_the_next(&self) {
        if !self.hub_gives_none.swap(true, Ordering::Relaxed) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Whether a new certificate was refused since the last call.
    #[must_use]
    pub fn take_refusal(&self) -> bool {
        self.was_refused.swap(false, Ordering::Relaxed)
    }

    /// CA certificates that are no longer used to issue, and that are still valid.
    #[must_use]
    pub fn former(&self, now: Timestamp) -> Vec<Certificate> {
        let former = self.lock().former.clone();
        let valid = former.into_iter().filter(|one| one.not_after() >= now);
        valid.collect()
    }

    /// Counts changes of what can be presented.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn note_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problem = self.problem.lock();
        problem.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The slots without a candidate that was made for another certificate.
    fn fitting(&self, slots: &Slots) -> Slots {
        let fits = |candidate: &Candidate<HeldKey, _>| key_of(candidate).made_for == self.made_for;
        match slots.candidate().is_none_or(fits) {
            true => slots.clone(),
            false => slots.clone().without_candidate(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change replaces the whole value.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The policy of a certificate that is not renewed, which is never asked.
const NEVER: RenewalPolicy = RenewalPolicy {
    threshold: Threshold::Percent(99),
    spread_percent: 0,
};

fn key_of<C>(candidate: &Candidate<HeldKey, C>) -> &HeldKey {
    match candidate {
        Candidate::Requested(key) => key,
        Candidate::Issued(issued) => &issued.key,
    }
}

/// A number from 0 to 1 that differs between devices and certificates, and stays the same for one.
fn chance(active: &Held, id: &str) -> f64 {
    let leaf = active.certificate.0.first().map(Certificate::sha256);
    let digest = crate::config::digest_of(&format!("{id} {leaf:?}"));
    let start = digest.get(..8).unwrap_or_default();
    let number = u32::from_str_radix(start, 16).unwrap_or_default();
    f64::from(number) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
