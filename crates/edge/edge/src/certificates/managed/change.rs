//! The writes by which a certificate is renewed.

use std::sync::atomic::Ordering;

use device::renewal::{Candidate, NotRequested};
use ids::{Thumbprint, Timestamp, error_chain};
use pki::{Certificate, make_request};

use super::super::check::CheckedChain;
use super::super::slots::{HeldKey, Kept, Slots};
use super::{Managed, ManagedError, key_of};

impl Managed {
    /// Makes the key of the next certificate, with its request, and writes it down.
    pub fn make_key(&self) -> Result<(), ManagedError> {
        let mut kept = self.lock();
        let slots = self.fitting(&kept.slots);
        if slots.candidate().is_some() {
            // Its certificate may be on its way.
            return Ok(());
        }
        let rotate = self.wanted.renewal.is_none_or(|renewal| renewal.rotate_key);
        let same = slots.active().filter(|_| !rotate);
        let (id, next_key) = match same {
            Some(active) => (active.key.id.clone(), kept.next_key),
            None => (
                format!("{}-{}", self.wanted.id, kept.next_key),
                kept.next_key + 1,
            ),
        };
        let signer = self.keys.open_or_make(&id, self.wanted.key_type)?;
        let request = make_request(&self.wanted.profile, &self.wanted.subject, &signer)?;
        let key = HeldKey {
            id,
            request: request.into(),
            made_for: self.made_for.clone(),
        };
        let replaced = kept.slots.candidate().map(key_of).cloned();
        let mut changed = kept.clone();
        changed.slots = slots.with_key(key);
        changed.next_key = next_key;
        retire(&mut changed, replaced);
        self.write(&mut kept, changed)?;
        self.destroy_retired(&mut kept)?;
        drop(kept);
        if self.wanted.bootstrap.is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Writes an issued certificate down. It may be used from then on.
    pub fn issued(&self, key: &HeldKey, chain: Vec<Certificate>) -> Result<(), ManagedError> {
        let signer = self.keys.open(&key.id)?.ok_or(NotRequested)?;
        let checked = CheckedChain::new(&self.wanted, &signer, chain)?;
        let mut kept = self.lock();
        let issued = checked.held(key.clone());
        let slots = self.fitting(&kept.slots).with_certificate(issued)?;
        let changed = Kept {
            slots,
            ..kept.clone()
        };
        self.write(&mut kept, changed)?;
        drop(kept);
        self.note_problem(None);
        self.hub_gives_none.store(false, Ordering::Relaxed);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The new certificate was accepted: it takes the place of the old one. Says whether it did.
    /// It is at least the time `passed`: a CA certificate that had expired by then is forgotten.
    pub fn proven(&self, leaf: &Thumbprint, passed: Timestamp) -> Result<bool, ManagedError> {
        let mut kept = self.lock();
        if !is_candidate(&kept.slots, leaf) {
            return Ok(false);
        }
        let mut changed = kept.clone();
        let replaced = kept.slots.active().cloned();
        changed.slots = kept.slots.clone().with_proven_candidate();
        if let Some(replaced) = replaced {
            changed.note_former(&replaced.certificate, passed);
            retire(&mut changed, Some(replaced.key));
        }
        self.write(&mut kept, changed)?;
        self.destroy_retired(&mut kept)?;
        drop(kept);
        self.changes.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// The new certificate was refused where the old one was accepted: another key is next. Says
    /// whether it was the new one.
    pub fn disproven(&self, leaf: &Thumbprint) -> Result<bool, ManagedError> {
        let mut kept = self.lock();
        if !is_candidate(&kept.slots, leaf) || kept.slots.active().is_none() {
            return Ok(false);
        }
        let mut changed = kept.clone();
        let refused = kept.slots.candidate().map(key_of).cloned();
        changed.slots = kept.slots.clone().without_refused_candidate();
        retire(&mut changed, refused);
        self.write(&mut kept, changed)?;
        self.was_refused.store(true, Ordering::Relaxed);
        self.destroy_retired(&mut kept)?;
        Ok(true)
    }

    /// Forgets certificates whose key is gone. A key that cannot be asked for is not gone.
    pub(super) fn drop_lost_keys(&self, kept: &mut Kept) -> Result<(), ManagedError> {
        let is_lost = |key: &HeldKey| self.keys.open(&key.id).map(|found| found.is_none());
        let mut slots = kept.slots.clone();
        if let Some(candidate) = slots.candidate()
            && is_lost(key_of(candidate))?
        {
            slots = slots.without_candidate();
        }
        if let Some(active) = slots.active()
            && is_lost(&active.key)?
        {
            tracing::error!(
                certificate = %self.wanted.id,
                key = %active.key.id,
                "the key of the certificate is gone; another certificate is requested"
            );
            slots = slots.without_active();
        }
        if slots != kept.slots {
            let changed = Kept {
                slots,
                ..kept.clone()
            };
            self.write(kept, changed)?;
        }
        Ok(())
    }

    /// Destroys keys that the slots on disk name no more. What fails is done at the next start.
    pub(super) fn destroy_retired(&self, kept: &mut Kept) -> Result<(), ManagedError> {
        if kept.retired_keys.is_empty() {
            return Ok(());
        }
        for id in &kept.retired_keys {
            if let Err(error) = self.keys.remove(id) {
                tracing::warn!(key = %id, error = %error_chain(&error), "an old key is still there");
                return Ok(());
            }
        }
        let changed = Kept {
            retired_keys: Vec::new(),
            ..kept.clone()
        };
        self.write(kept, changed)
    }

    /// What is in memory changes after what is on disk.
    fn write(&self, kept: &mut Kept, changed: Kept) -> Result<(), ManagedError> {
        changed.save(&self.file)?;
        *kept = changed;
        Ok(())
    }
}

fn is_candidate(slots: &Slots, leaf: &Thumbprint) -> bool {
    match slots.candidate() {
        Some(Candidate::Issued(issued)) => {
            let found = issued.certificate.0.first();
            found.is_some_and(|found| found.sha256() == *leaf)
        }
        Some(Candidate::Requested(_)) | None => false,
    }
}

/// Notes a key that is to be destroyed, unless a slot names it.
fn retire(kept: &mut Kept, key: Option<HeldKey>) {
    let Some(key) = key else { return };
    let slots = &kept.slots;
    let mut named = slots.active().map(|one| &one.key).into_iter();
    let in_use = named.any(|one| one.id == key.id)
        || slots
            .candidate()
            .is_some_and(|one| key_of(one).id == key.id);
    if !in_use && !kept.retired_keys.contains(&key.id) {
        kept.retired_keys.push(key.id);
    }
}
