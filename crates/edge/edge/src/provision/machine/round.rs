//! One round: what is tried, in which order, and what an outcome means.

use std::collections::VecDeque;
use std::time::Duration;

use ids::Timestamp;

use super::event::{Effect, Failed, FailureKind, Offer, Target};
use super::{KeptAssignment, Machine, RECHECK, Reason, Work};
use crate::config::ReprovisioningMode;
use crate::provision::assignment::DeviceLocation;
use crate::provision::basis::{Basis, Origin};

/// One thing to try.
#[derive(Debug, Clone)]
enum Attempt {
    Register(String),
    /// `is_candidate` is false for the kept assignment.
    Connect {
        target: Box<Target>,
        is_candidate: bool,
    },
}

/// What is known and planned between one wait and the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    offers: Vec<Offer>,
    agenda: VecDeque<Attempt>,
    current: Option<Attempt>,
    /// Whether the provisioning service has been asked.
    asked_service: bool,
    /// How a hub refused the newest of several credentials, unless it may know it by now.
    newest_refused: Option<FailureKind>,
    retry_after: Option<Duration>,
    problem: Option<String>,
    /// Whether another round follows at once.
    again: bool,
}

impl Round {
    pub(super) fn repeat(&mut self) {
        self.again = true;
    }
}

impl Machine {
    /// The credentials are read: decides what to try.
    pub(super) fn plan(&mut self, offers: Vec<Offer>, now: Timestamp) {
        let reason = match self.round.asked_service {
            true => None,
            false => self.why_register(&offers),
        };
        self.round.offers = offers;
        if let Some(reason) = reason {
            self.round.agenda.push_back(Attempt::Register(reason));
            return;
        }
        self.take_configured_hub(now);
        self.aim();
    }

    /// A configuration may name the hub itself: then that is the assignment.
    fn take_configured_hub(&mut self, now: Timestamp) {
        let Some(newest) = self.round.offers.first() else {
            return;
        };
        let Origin::Manual { hub, device_id } = &newest.basis.origin else {
            return;
        };
        self.owed = None;
        let known = self.kept.as_ref().or(self.candidate.as_ref());
        let is_known = |known: &KeptAssignment| {
            known
                .basis
                .origin
                .differences(&newest.basis.origin)
                .is_empty()
                && self.is_usable(known, 0)
        };
        if known.is_some_and(is_known) {
            return;
        }
        self.candidate = Some(KeptAssignment {
            location: DeviceLocation {
                hub: hub.clone(),
                device_id: device_id.clone(),
            },
            basis: newest.basis.clone(),
            since: now,
            tpm_key: None,
        });
    }

    /// Whether an assignment can be used with an offer: it was made with that credential, or the
    /// offer renews that credential.
    fn is_usable(&self, assignment: &KeptAssignment, offer: usize) -> bool {
        let offers = &self.round.offers;
        let same = |one: &Offer| assignment.basis.has_credential_of(&one.basis);
        offers.get(offer).is_some_and(same) || (offer == 0 && offers.iter().any(same))
    }

    /// Plans the hubs to try: the candidate's, then the kept one; the newest credential first. What
    /// comes after the running session is no improvement.
    fn aim(&mut self) {
        let mut attempts = Vec::new();
        for (assignment, is_candidate) in [(&self.candidate, true), (&self.kept, false)] {
            let Some(assignment) = assignment else {
                continue;
            };
            for (offer, one) in self.round.offers.iter().enumerate() {
                let Some(hub_credential) = &one.hub_credential else {
                    continue;
                };
                let target = Target {
                    assignment: assignment.clone(),
                    offer,
                    hub_credential: hub_credential.clone(),
                };
                let is_planned = attempts.iter().any(|(planned, _)| target.opens_as(planned));
                if self.is_usable(assignment, offer) && !is_planned {
                    attempts.push((target, is_candidate));
                }
            }
        }
        if let Some(session) = &self.session {
            let running = attempts
                .iter()
                .position(|(target, _)| target.opens_as(session));
            attempts.truncate(running.unwrap_or(attempts.len()));
        }
        let attempts = attempts
            .into_iter()
            .map(|(target, is_candidate)| Attempt::Connect {
                target: Box::new(target),
                is_candidate,
            });
        self.round.agenda.extend(attempts);
    }

    /// Starts the next attempt of the round, or ends the round.
    pub(super) fn next(&mut self, chance: f64, effects: &mut Vec<Effect>) {
        self.round.current = self.round.agenda.pop_front();
        match &self.round.current {
            Some(Attempt::Register(reason)) => {
                self.work = Work::Registering;
                self.round.asked_service = true;
                effects.push(Effect::Register {
                    offer: 0,
                    reason: reason.clone(),
                });
            }
            Some(Attempt::Connect { target, .. }) => {
                self.work = Work::Connecting;
                effects.push(Effect::Connect {
                    target: (**target).clone(),
                    renew_keys: self.renew_keys,
                });
            }
            None => self.end_round(chance, effects),
        }
    }

    /// Returns whether the credentials have to be read again before the next attempt.
    pub(super) fn registered(
        &mut self,
        outcome: Result<KeptAssignment, Failed>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        match outcome {
            Ok(assignment) => self.assigned(assignment, effects),
            Err(failed) => {
                // Without an answer of the service the reason stands.
                if failed.kind != FailureKind::Unavailable || self.owed == Some(Reason::Asked) {
                    self.owed = None;
                }
                if failed.kind != FailureKind::Device {
                    // The hub may not know the newest one only because the service did not answer.
                    self.round.newest_refused = None;
                }
                self.round.note(failed);
                if self.session.is_none() && self.round.agenda.is_empty() {
                    self.aim();
                }
                false
            }
        }
    }

    fn assigned(&mut self, assignment: KeptAssignment, effects: &mut Vec<Effect>) -> bool {
        self.owed = None;
        self.round.newest_refused = None;
        if self.kept.is_none() {
            // There is nothing to lose, and it saves another registration.
            self.keep(assignment, effects);
            self.candidate = None;
        } else {
            self.candidate = Some(assignment);
        }
        let issued = self
            .round
            .offers
            .first()
            .map(|o| o.hub_credential.is_some());
        if issued != Some(true) {
            return true;
        }
        self.round.agenda.clear();
        self.aim();
        let session = self
            .session
            .as_ref()
            .map(|session| &session.assignment.location);
        if self.round.agenda.is_empty()
            && let Some(candidate) = self.candidate.take_if(|one| Some(&one.location) == session)
        {
            // The same hub and credential as those of the session, which has proved them.
            self.keep(candidate, effects);
        }
        false
    }

    fn keep(&mut self, assignment: KeptAssignment, effects: &mut Vec<Effect>) {
        if self.kept.as_ref() != Some(&assignment) {
            effects.push(Effect::Keep(assignment.clone()));
            self.kept = Some(assignment);
        }
    }

    /// The hub has accepted the device: now, and not before, it takes the place of what there was.
    pub(super) fn connected(&mut self, effects: &mut Vec<Effect>) {
        let Some(Attempt::Connect {
            mut target,
            is_candidate,
        }) = self.round.current.take()
        else {
            return;
        };
        let offers = &self.round.offers;
        if let Some(offer) = offers.get(target.offer) {
            // The origin stays that of the assignment: another one has not assigned anything yet.
            target.assignment.basis = Basis {
                origin: target.assignment.basis.origin.clone(),
                ..offer.basis.clone()
            };
        }
        let newest = offers
            .first()
            .and_then(|offer| offer.hub_credential.clone());
        if let Some(newest) = newest.filter(|_| offers.len() > 1) {
            if target.offer == 0 {
                effects.push(Effect::Proven(newest));
            } else if self.round.newest_refused.is_some() {
                effects.push(Effect::Disproven(newest));
            }
        }
        self.keep(target.assignment.clone(), effects);
        if is_candidate {
            self.candidate = None;
        }
        if matches!(
            self.owed,
            Some(Reason::Refused | Reason::Renamed | Reason::KeyLost)
        ) {
            self.owed = None;
        }
        self.session = Some(*target);
        self.accepted = true;
        self.renew_keys = false;
        self.failures = 0;
        self.round.agenda.clear();
        effects.push(Effect::StartSession);
    }

    pub(super) fn not_connected(&mut self, failed: Failed) {
        let Some(Attempt::Connect {
            target,
            is_candidate,
        }) = self.round.current.take()
        else {
            return;
        };
        let kind = failed.kind;
        self.round.note(failed);
        if kind == FailureKind::Unavailable {
            return;
        }
        if kind == FailureKind::Agent && !self.renew_keys {
            self.renew_keys = true;
            return;
        }
        if is_candidate {
            // The next round asks the service again, if there is a reason.
            self.candidate = None;
        }
        let newest_of_several = target.offer == 0 && self.round.offers.len() > 1;
        if newest_of_several {
            self.round.newest_refused = Some(kind);
        }
        let by_service = matches!(target.assignment.basis.origin, Origin::Dps { .. });
        if newest_of_several && by_service && !self.round.asked_service {
            let reason = "the hub does not know the new certificate yet".to_owned();
            self.round.agenda.push_front(Attempt::Register(reason));
            return;
        }
        if self.session.is_none() && self.round.agenda.is_empty() {
            self.refused(kind);
        }
    }

    /// The hub accepts none of what the device has.
    fn refused(&mut self, kind: FailureKind) {
        let by_service = |o: &Offer| matches!(o.basis.origin, Origin::Dps { .. });
        if !self.round.offers.first().is_some_and(by_service) {
            return;
        }
        match Reason::after(kind, self.mode, self.accepted) {
            Some(reason) => self.owed = self.owed.or(Some(reason)),
            None => {
                debug_assert_eq!(self.mode, ReprovisioningMode::OnErrorOnly);
                if let Some(problem) = &mut self.round.problem {
                    problem.push_str(
                        "; auto_reprovisioning_mode is OnErrorOnly: the device registers again \
                         at its next start, or when it is asked to",
                    );
                }
            }
        }
    }

    /// Answers those who asked for a registration, unless it comes in the next round only.
    fn answer(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        if self.owed == Some(Reason::Asked) {
            if round.again {
                return;
            }
            self.owed = None;
        }
        if std::mem::take(&mut self.asked) {
            effects.push(Effect::Answer(match &round.problem {
                Some(problem) => Err(problem.clone()),
                None => Ok(()),
            }));
        }
    }

    /// The newest credential is of no use when the hub does not know it, and the service has been
    /// asked, while the session goes on with another one.
    fn disproven(&self, round: &Round) -> Option<Effect> {
        let is_refused = round.newest_refused == Some(FailureKind::Device) && round.asked_service;
        let newest = round.offers.first()?.hub_credential.clone()?;
        let session = self.session.as_ref()?;
        let is_other = session.hub_credential != newest;
        (is_refused && is_other).then_some(Effect::Disproven(newest))
    }

    pub(super) fn end_round(&mut self, chance: f64, effects: &mut Vec<Effect>) {
        let round = std::mem::take(&mut self.round);
        effects.extend(self.disproven(&round));
        self.work = Work::Waiting;
        let failed = round.problem.is_some();
        self.answer(&round, effects);
        if failed || self.session.is_some() {
            self.problem = round.problem;
        }
        if self.session.is_none() {
            self.failures = self.failures.saturating_add(u32::from(failed));
        }
        if round.again {
            self.begin(effects);
            return;
        }
        let is_settled = self.session.is_some() && !failed && self.owed.is_none();
        let pause = match is_settled {
            true => RECHECK.mul_f64(0.9 + chance.clamp(0.0, 1.0) / 5.0),
            false => self.backoff.failed_with(round.retry_after, chance),
        };
        effects.push(Effect::Wait(pause));
    }
}

impl Round {
    pub(super) fn note(&mut self, failed: Failed) {
        let Failed {
            problem,
            retry_after,
            ..
        } = failed;
        self.retry_after = self.retry_after.max(retry_after);
        self.problem = Some(match self.problem.take() {
            Some(earlier) => format!("{earlier}; {problem}"),
            None => problem,
        });
    }
}
