//! Carries out what the machine decides, as the product's loop does.

use std::collections::VecDeque;
use std::time::Duration;

use edge::provision::assignment::{DeviceLocation, KeptAssignment};
use edge::provision::basis::{Basis, Method, Origin};
use edge::provision::machine::{Effect, Event, Failed, FailureKind, Offer, Target};
use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};
use rand::Rng;

use super::{InMemory, Runtime, Session};
use crate::disk::PowerCut;
use crate::modules::Deployed;
use crate::world::{Certificate, Refusal, World, at};

impl Runtime {
    /// Steps the machine until it waits.
    pub(super) fn step(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
        event: Event,
    ) -> Result<(), PowerCut> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let effects = memory
                .machine
                .step(event, memory.time(now), self.random.random());
            for effect in effects {
                let next = self.perform(memory, world, now, effect)?;
                events.extend(next);
            }
        }
        Ok(())
    }

    fn perform(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
        effect: Effect,
    ) -> Result<Option<Event>, PowerCut> {
        Ok(match effect {
            Effect::Read => Some(self.read(memory, now)),
            Effect::Register { offer, .. } => {
                let certificate = memory.offers[offer].clone();
                self.counts.registrations += 1;
                let number = self.number;
                let host = self.ask(memory, world, now, |world, clock| {
                    world.register(number, &certificate, clock, now)
                });
                let assigned = host.map(|host| self.assignment(&host, &certificate, now));
                Some(Event::Registered(assigned))
            }
            Effect::Connect { target, .. } => Some(self.connect(memory, world, now, &target)?),
            Effect::Keep(assignment) => {
                let keep = |disk: &mut crate::disk::Disk| disk.set_assignment(&assignment);
                self.disk.write(&mut self.power, keep)?;
                None
            }
            Effect::StartSession => {
                self.start_session(memory, now)?;
                None
            }
            // What a hub has accepted is noted with the attempt.
            Effect::Proven(_) | Effect::Answer(_) => None,
            Effect::Disproven(_) => {
                let slots = self.disk.slots.clone().without_refused_candidate();
                self.disk
                    .write(&mut self.power, |disk| disk.slots = slots)?;
                None
            }
            Effect::Wait(pause) => {
                memory.wait_until = now + pause.as_secs().max(1);
                None
            }
        })
    }

    /// The newest first; one that has expired by the device's clock comes last and alone.
    fn read(&self, memory: &mut InMemory, now: u64) -> Event {
        let slots = &self.disk.slots;
        let mut held: Vec<_> = slots.to_open_with(memory.time(now)).collect();
        if held.is_empty() {
            held.extend(slots.active());
        }
        memory.offers = held.iter().map(|one| one.certificate.clone()).collect();
        if memory.offers.is_empty() {
            return Event::Read(Err("the certificate is not issued yet".to_owned()));
        }
        let offer = |certificate: &Certificate| Offer {
            basis: self.basis(certificate),
            hub_credential: Some(certificate.serial.to_string()),
        };
        Event::Read(Ok(memory.offers.iter().map(offer).collect()))
    }

    fn basis(&self, certificate: &Certificate) -> Basis {
        Basis {
            origin: Origin::Dps {
                endpoint: HubHost::parse("dps.example").unwrap(),
                id_scope: IdScope::parse("0ne1").unwrap(),
                registration_id: RegistrationId::parse(&format!("d{}", self.number)).unwrap(),
            },
            method: Method::X509,
            key_digest: certificate.serial.to_string(),
            certificate_digest: Some(certificate.serial.to_string()),
        }
    }

    fn assignment(&self, host: &str, certificate: &Certificate, now: u64) -> KeptAssignment {
        KeptAssignment {
            location: DeviceLocation {
                hub: HubHost::parse(host).unwrap(),
                device_id: DeviceId::parse(&format!("d{}", self.number)).unwrap(),
            },
            basis: self.basis(certificate),
            since: at(now),
            tpm_key: None,
        }
    }

    fn connect(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
        target: &Target,
    ) -> Result<Event, PowerCut> {
        let certificate = memory.offers[target.offer].clone();
        let host = target.assignment.location.hub.as_str();
        let number = self.number;
        let opened = self.ask(memory, world, now, |world, clock| {
            world.connect(number, host, &certificate, (clock, now))
        });
        Ok(match opened {
            Ok(()) => {
                self.proven(&target.hub_credential)?;
                if self
                    .disk
                    .deployed
                    .as_ref()
                    .is_none_or(|d| d.location.hub.as_str() != host)
                {
                    self.counts.moves += u64::from(self.disk.deployed.is_some());
                }
                memory.session = Some(Session {
                    host: host.to_owned(),
                    certificate,
                    since: now,
                });
                Event::Connected
            }
            Err(failed) => Event::Refused(failed),
        })
    }

    /// Asks a server, and once more if it taught the device what time it is.
    pub(super) fn ask<T>(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
        mut attempt: impl FnMut(&mut World, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, Failed> {
        let mut outcome = attempt(world, memory.time(now));
        if matches!(outcome, Err(Refusal::Clock)) {
            memory.guard.hear(at(now), memory.moment(now));
            self.counts.corrected += 1;
            outcome = attempt(world, memory.time(now));
        }
        if matches!(outcome, Ok(_) | Err(Refusal::Kind(FailureKind::Device))) {
            // The answer has a Date.
            memory.guard.hear(at(now), memory.moment(now));
        }
        outcome.map_err(|refusal| {
            self.counts.failures += 1;
            let kind = match refusal {
                Refusal::Away(until) => {
                    let soonest = memory.away_until.map_or(until, |other| other.min(until));
                    memory.away_until = Some(soonest);
                    FailureKind::Unavailable
                }
                Refusal::Clock => FailureKind::Unavailable,
                Refusal::Kind(kind) => kind,
            };
            self.counts.renamed += u64::from(kind == FailureKind::OtherName);
            Failed {
                kind,
                problem: format!("{refusal:?}"),
                retry_after: None,
            }
        })
    }

    /// The hub publishes the deployment. On another hub than before it is another one.
    fn start_session(&mut self, memory: &mut InMemory, now: u64) -> Result<(), PowerCut> {
        self.counts.sessions += 1;
        let location = memory.machine.kept().unwrap().location.clone();
        let fits = |deployed: &Deployed| deployed.location == location;
        if !self.disk.deployed.as_ref().is_some_and(fits) {
            let deployed = Deployed {
                location,
                generation: self.random.random_range(1..1_000_000_000),
            };
            self.disk
                .write(&mut self.power, |disk| disk.deployed = Some(deployed))?;
        }
        let clock = memory.moment(now).wall;
        let deployed = self.disk.deployed.as_ref();
        let round = self.engine.round(deployed, &mut memory.restarts, clock);
        self.counts.stopped_by_runtime += round.stopped;
        assert_eq!(round.running, 2, "{}", self.number);
        Ok(())
    }

    fn proven(&mut self, serial: &str) -> Result<(), PowerCut> {
        let slots = &self.disk.slots;
        let is_candidate = match slots.candidate() {
            Some(device::renewal::Candidate::Issued(issued)) => {
                issued.certificate.serial.to_string() == serial
            }
            _ => false,
        };
        if !is_candidate {
            return Ok(());
        }
        self.counts.renewals += u64::from(slots.active().is_some());
        let slots = slots.clone().with_proven_candidate();
        self.disk.write(&mut self.power, |disk| disk.slots = slots)
    }

    pub(super) fn notice_lost_session(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
    ) -> Result<(), PowerCut> {
        let Some(session) = &memory.session else {
            return Ok(());
        };
        let (host, certificate) = (&session.host, &session.certificate);
        let alive = world.connect(self.number, host, certificate, (at(now), now));
        let Err(why) = alive else {
            return Ok(());
        };
        let lasted = Duration::from_secs(now - session.since);
        memory.session = None;
        let problem = format!("{why:?}");
        self.step(memory, world, now, Event::SessionEnded { lasted, problem })
    }

    /// A certificate of the hub while there is a session, or of the issuer.
    pub(super) fn request(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
    ) -> Result<Certificate, Failed> {
        let number = self.number;
        let session = memory
            .session
            .as_ref()
            .filter(|_| self.number.is_multiple_of(2));
        if let Some(session) = session {
            let (host, certificate) = (session.host.clone(), session.certificate.clone());
            return self.ask(memory, world, now, |world, clock| {
                world.renew_at_hub(number, &host, &certificate, (clock, now))
            });
        }
        self.ask(memory, world, now, |world, _| world.issue(number, now))
    }
}
