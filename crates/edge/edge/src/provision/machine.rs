//! From a configuration to a session with a hub: every decision about it, without acting.
//!
//! The machine gets events and answers with effects; `connect` is the loop that carries them out.
//! It works in rounds. A round reads what the device can prove itself with, asks the provisioning
//! service if there is a reason, and tries hubs until one accepts the device. At most one piece of
//! work is in progress. A session goes on meanwhile, and ends only when a hub has accepted its
//! successor.
//!
//! ```text
//!            pause over, asked, woken                     a reason to register
//!  waiting ─────────────────────────► reading ──────────────────────────────► registering
//!    ▲  ▲                                │ none                                │       │ failed
//!    │  │  no target is left: back-off   ▼                           assigned  ▼       ▼
//!    │  └──────────────────────────── connecting ◄──── candidate first, then what is kept
//!    │                                   │ accepted: keep it on disk, replace the session
//!    └───────────────────────────────────┘
//! ```
//!
//! Three rules hold in every state, and the property tests in `tests` check them. The kept
//! assignment is replaced only by one whose hub has accepted the device, or when nothing is kept. A
//! network failure is never a reason to register. Something is always in progress or due.

mod event;
mod reason;
mod round;

use std::time::Duration;

use device::Backoff;
use ids::Timestamp;

pub use event::{Effect, Event, Failed, FailureKind, Offer, Target};
pub use reason::Reason;

use self::round::Round;
use super::assignment::KeptAssignment;
use crate::config::ReprovisioningMode;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A session that lasted this long makes the next pause short again.
const STABLE: Duration = Duration::from_secs(30);
/// How often the credentials are read during a session, because files may be replaced.
const RECHECK: Duration = Duration::from_secs(300);

/// What is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Waiting,
    Reading,
    Registering,
    Connecting,
}

/// The state of a device between a configuration and a session.
#[derive(Debug, Clone)]
pub struct Machine {
    mode: ReprovisioningMode,
    /// The assignment that is on disk. Its hub has accepted the device, unless it was the first.
    kept: Option<KeptAssignment>,
    /// An assignment whose hub has not accepted the device yet.
    candidate: Option<KeptAssignment>,
    /// What the session was opened with.
    session: Option<Target>,
    work: Work,
    round: Round,
    /// Why to register although the assignment fits the configuration.
    owed: Option<Reason>,
    /// Whether a hub has accepted the device since the start.
    accepted: bool,
    /// Whether to write the keys of all module identities again, because the hub refused one.
    renew_keys: bool,
    /// Whether somebody waits for the outcome of a registration.
    asked: bool,
    failures: u32,
    problem: Option<String>,
    backoff: Backoff,
}

impl Machine {
    /// A device that starts with what it has kept.
    #[must_use]
    pub fn new(mode: ReprovisioningMode, kept: Option<KeptAssignment>) -> Self {
        let at_start = kept.is_some() && mode == ReprovisioningMode::AlwaysOnStartup;
        Self {
            mode,
            kept,
            candidate: None,
            session: None,
            work: Work::Waiting,
            round: Round::default(),
            owed: at_start.then_some(Reason::Startup),
            accepted: false,
            renew_keys: false,
            asked: false,
            failures: 0,
            problem: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    pub fn kept(&self) -> Option<&KeptAssignment> {
        self.kept.as_ref()
    }

    pub fn session(&self) -> Option<&Target> {
        self.session.as_ref()
    }

    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }

    /// Attempts that have failed since the last session.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why the last attempt failed; `None` after one that succeeded.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What to do about an event. `chance` is a random number from 0 to 1.
    #[must_use]
    pub fn step(&mut self, event: Event, now: Timestamp, chance: f64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Begin | Event::PauseOver | Event::Woken => self.begin(&mut effects),
            Event::Asked => {
                self.owed = Some(Reason::Asked);
                self.asked = true;
                self.begin(&mut effects);
            }
            Event::Read(Ok(offers)) => {
                self.plan(offers, now);
                self.next(chance, &mut effects);
            }
            Event::Read(Err(problem)) => {
                self.round.note(Failed::unavailable(problem));
                self.end_round(chance, &mut effects);
            }
            Event::Registered(outcome) => {
                if self.registered(outcome, &mut effects) {
                    self.work = Work::Reading;
                    effects.push(Effect::Read);
                } else {
                    self.next(chance, &mut effects);
                }
            }
            Event::Connected => {
                self.connected(&mut effects);
                self.next(chance, &mut effects);
            }
            Event::Refused(failed) => {
                self.not_connected(failed);
                self.next(chance, &mut effects);
            }
            Event::SessionEnded { lasted, problem } => {
                self.session = None;
                self.problem = Some(problem);
                if lasted >= STABLE {
                    self.backoff.succeeded();
                }
                if self.work == Work::Waiting {
                    effects.push(Effect::Wait(self.backoff.failed(chance)));
                }
            }
        }
        effects
    }

    fn begin(&mut self, effects: &mut Vec<Effect>) {
        if self.work != Work::Waiting {
            // The round that runs may not have seen the reason; another one follows at once.
            self.round.repeat();
            return;
        }
        self.work = Work::Reading;
        effects.push(Effect::Read);
    }
}

#[cfg(test)]
mod tests;
