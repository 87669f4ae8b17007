//! When a device renews its certificate, and what it keeps until the new one has proved itself.
//!
//! Two slots. `active` has opened the hub. `candidate` is on its way: first a key, written before a
//! certificate is requested for it, then the certificate, written before it is used anywhere. Only
//! when the hub has accepted the candidate does it take the place of the active one. Slots are
//! written as a whole; a device that loses power keeps the old ones or the new ones.
//!
//! ```text
//!  active            active + key            active + certificate          active
//!    │   due: new key  │   an issuer answers   │  the hub accepts it         ▲
//!    └────────────────►└──────────────────────►└─────────────────────────────┘
//!    ▲                                         │  the hub refuses it and     │
//!    └─────────────────────────────────────────┘  accepts the active one
//! ```
//!
//! Everything here is a pure function of the slots and the time. Who issues the certificate (EST,
//! the hub, the provisioning service) is the caller's choice.

use std::time::Duration;

use ids::Timestamp;

/// A key and a certificate for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential<K, C> {
    pub key: K,
    pub certificate: C,
    /// The certificate's validity.
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What is on its way to become the active credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate<K, C> {
    /// A key for which a certificate is requested.
    Requested(K),
    /// It was issued, and has not opened the hub yet.
    Issued(Credential<K, C>),
}

/// What a device keeps, durable as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots<K, C> {
    active: Option<Credential<K, C>>,
    candidate: Option<Candidate<K, C>>,
}

/// When a certificate is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalPolicy {
    /// The latest moment.
    pub threshold: Threshold,
    /// Percent of a certificate's life, before the threshold, over which the devices of a batch are
    /// spread.
    pub spread_percent: u8,
}

/// A moment in a certificate's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// When this percentage of its life is over, 1 to 99.
    Percent(u8),
    /// This long before it expires.
    Before(Duration),
}

/// The next thing to do about renewal.
#[derive(Debug, PartialEq, Eq)]
pub enum NextStep<'a, K, C> {
    /// Nothing before this time.
    Wait(Timestamp),
    /// Make a key and write the slots of [`Slots::with_key`].
    MakeKey,
    /// Request a certificate for this key, and write the slots of [`Slots::with_certificate`].
    Request(&'a K),
    /// Open the hub with the candidate, then write the slots of [`Slots::with_proven_candidate`].
    Prove(&'a Credential<K, C>),
}

/// A certificate arrived for a key that the device does not wait for: an answer to an earlier
/// request. It is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is not for the key that a certificate was requested for")]
pub struct NotRequested;

impl<K, C> Credential<K, C> {
    /// Whether it has expired. A certificate whose time has not come has not expired: the clock of
    /// the device may be wrong, and the hub knows the time.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.not_after < now
    }
}

impl RenewalPolicy {
    /// When a certificate is due. `chance`, from 0 to 1, is the device's own: it stays the same
    /// over restarts, so that one that restarts often is not due earlier.
    #[must_use]
    pub fn due_at<K, C>(self, credential: &Credential<K, C>, chance: f64) -> Timestamp {
        let life = credential.not_after.since(credential.not_before);
        let latest = self.threshold.after(life);
        let spread = life.mul_f64(f64::from(self.spread_percent.min(99)) / 100.0);
        let spread = spread.min(latest / 2);
        let due = latest.saturating_sub(spread.mul_f64(chance.clamp(0.0, 1.0)));
        credential.not_before.plus(due)
    }
}

impl Threshold {
    /// How much of `life` passes before it. Of a life that is shorter than the time before its end,
    /// a tenth passes all the same, because a renewal would be due for ever.
    fn after(self, life: Duration) -> Duration {
        match self {
            Self::Percent(percent) => life.mul_f64(f64::from(percent.clamp(1, 99)) / 100.0),
            Self::Before(time) => life.saturating_sub(time).max(life / 10),
        }
    }
}

impl<K: PartialEq + Clone, C: Clone> Slots<K, C> {
    /// The slots of a device that has no credential yet. Its first one is a candidate like those
    /// that follow.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            active: None,
            candidate: None,
        }
    }

    /// The slots with a credential that opens the hub, or registers.
    #[must_use]
    pub fn first(active: Credential<K, C>) -> Self {
        Self {
            active: Some(active),
            candidate: None,
        }
    }

    /// `None` before the first candidate has opened the hub.
    pub fn active(&self) -> Option<&Credential<K, C>> {
        self.active.as_ref()
    }

    pub fn candidate(&self) -> Option<&Candidate<K, C>> {
        self.candidate.as_ref()
    }

    /// What is to be done now.
    #[must_use]
    pub fn next_step(
        &self,
        policy: RenewalPolicy,
        chance: f64,
        now: Timestamp,
    ) -> NextStep<'_, K, C> {
        let due = self.active.as_ref().map(|one| policy.due_at(one, chance));
        match (&self.candidate, due) {
            (Some(Candidate::Issued(issued)), _) if !issued.has_expired(now) => {
                NextStep::Prove(issued)
            }
            // It expired while the hub could not be reached; its key may get another one.
            (Some(Candidate::Issued(expired)), _) => NextStep::Request(&expired.key),
            (Some(Candidate::Requested(key)), _) => NextStep::Request(key),
            (None, Some(due)) if due > now => NextStep::Wait(due),
            (None, _) => NextStep::MakeKey,
        }
    }

    /// The credentials that may open the hub now, in the order in which they are tried: the newest
    /// first. One that has expired is not among them.
    pub fn to_open_with(&self, now: Timestamp) -> impl Iterator<Item = &Credential<K, C>> {
        let issued = match &self.candidate {
            Some(Candidate::Issued(issued)) => Some(issued),
            Some(Candidate::Requested(_)) | None => None,
        };
        let both = issued.into_iter().chain(&self.active);
        both.filter(move |credential| !credential.has_expired(now))
    }

    /// With a new key, for which no certificate is requested before these slots are written. A
    /// candidate that is there stays: its certificate may be on its way.
    #[must_use]
    pub fn with_key(self, key: K) -> Self {
        Self {
            candidate: self.candidate.or(Some(Candidate::Requested(key))),
            ..self
        }
    }

    /// With the certificate that was requested. It is not used before these slots are written.
    ///
    /// # Errors
    /// When it is for another key than the candidate's.
    pub fn with_certificate(&self, issued: Credential<K, C>) -> Result<Self, NotRequested> {
        let requested = match &self.candidate {
            Some(Candidate::Requested(key)) => key,
            Some(Candidate::Issued(earlier)) => &earlier.key,
            None => return Err(NotRequested),
        };
        if *requested != issued.key {
            return Err(NotRequested);
        }
        Ok(Self {
            active: self.active.clone(),
            candidate: Some(Candidate::Issued(issued)),
        })
    }

    /// After the hub accepted the candidate: it is the active one. Without an issued candidate
    /// nothing changes.
    #[must_use]
    pub fn with_proven_candidate(self) -> Self {
        match self.candidate {
            Some(Candidate::Issued(issued)) => Self::first(issued),
            candidate => Self { candidate, ..self },
        }
    }

    /// After the hub refused the candidate **and accepted the active one**: the renewal begins
    /// again with another key. A refusal alone proves nothing, because the hub may know the
    /// candidate only.
    #[must_use]
    pub fn without_refused_candidate(self) -> Self {
        self.without_candidate()
    }

    /// Without the active one, because its key is lost.
    #[must_use]
    pub fn without_active(self) -> Self {
        Self {
            active: None,
            candidate: self.candidate,
        }
    }

    /// Without the candidate, because what it was made for is not wanted any more.
    #[must_use]
    pub fn without_candidate(self) -> Self {
        Self {
            active: self.active,
            candidate: None,
        }
    }
}

/// How long a device may be unable to renew before its certificate expires, whatever its chance.
#[must_use]
pub fn shortest_grace(policy: RenewalPolicy, life: Duration) -> Duration {
    life.saturating_sub(policy.threshold.after(life))
}

#[cfg(test)]
mod tests;
