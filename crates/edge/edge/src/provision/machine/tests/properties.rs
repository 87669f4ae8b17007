//! Random worlds: whatever happens in whatever order, the rules of the machine hold, and when the
//! world is well again, the device gets its session.

use proptest::prelude::*;

use super::*;

/// What is in progress for the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Due {
    Wait,
    Read,
    Register,
    Connect,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    /// What is in progress ends: well, or by a failure.
    End(Option<FailureKind>, Option<u64>),
    Ask,
    Wake,
    LoseSession(bool),
    /// The configuration or the files change.
    Scope(bool),
    Renew,
    DropOld,
    Unreadable,
}

struct World {
    machine: Machine,
    mode: ReprovisioningMode,
    due: Due,
    scope: bool,
    certificates: Vec<u32>,
    /// What the machine has read last.
    read: Vec<Offer>,
    hub: u32,
    has_session: bool,
    /// What would excuse a registration, apart from changes and a missing assignment.
    asked: bool,
    refused: bool,
    at_start: bool,
    accepted: bool,
    waiting_for_answer: u32,
}

impl World {
    fn start(mode: ReprovisioningMode, has_kept: bool) -> Self {
        let kept = has_kept.then(kept);
        let mut world = Self {
            machine: Machine::new(mode, kept),
            mode,
            due: Due::Wait,
            scope: false,
            certificates: vec![1],
            read: Vec::new(),
            hub: 0,
            has_session: false,
            asked: false,
            refused: false,
            at_start: mode == ReprovisioningMode::AlwaysOnStartup,
            accepted: false,
            waiting_for_answer: 0,
        };
        world.feed(Event::Begin, 0.5);
        world
    }

    fn offers(&self) -> Vec<Offer> {
        let origin = || service(if self.scope { "0ne2" } else { "0ne1" });
        let names = self.certificates.iter().map(|n| format!("c{n}"));
        names.map(|name| offer(basis(origin(), &name))).collect()
    }

    fn act(&mut self, act: Act, chance: f64) {
        match act {
            Act::Ask => {
                self.asked = true;
                self.waiting_for_answer += 1;
                self.feed(Event::Asked, chance);
            }
            Act::Wake => self.feed(Event::Woken, chance),
            Act::LoseSession(long) if self.has_session => {
                self.has_session = false;
                let lasted = Duration::from_secs(if long { 600 } else { 1 });
                let problem = "lost".to_owned();
                self.feed(Event::SessionEnded { lasted, problem }, chance);
            }
            Act::LoseSession(_) => {}
            Act::Scope(scope) => self.scope = scope,
            Act::Renew if self.certificates.len() == 1 => {
                self.certificates.insert(0, self.certificates[0] + 1);
            }
            Act::Renew => {}
            Act::DropOld => self.certificates.truncate(1),
            Act::Unreadable if self.due == Due::Read => {
                self.feed(Event::Read(Err("no such file".to_owned())), chance);
            }
            Act::Unreadable => {}
            Act::End(failure, retry_after) => self.end(failure, retry_after, chance),
        }
    }

    fn end(&mut self, failure: Option<FailureKind>, retry_after: Option<u64>, chance: f64) {
        let failure = failure.map(|kind| Failed {
            kind,
            problem: "a problem".to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        });
        let event = match (self.due, failure) {
            (Due::Wait, _) => Event::PauseOver,
            (Due::Read, _) => {
                self.read = self.offers();
                Event::Read(Ok(self.read.clone()))
            }
            (Due::Register, Some(failed)) => Event::Registered(Err(failed)),
            (Due::Register, None) => {
                self.hub += 1;
                let hub = format!("hub-{}.example", self.hub % 3);
                Event::Registered(Ok(assigned(&hub, &self.read[0])))
            }
            (Due::Connect, Some(failed)) => {
                self.refused |= failed.kind != FailureKind::Unavailable;
                Event::Refused(failed)
            }
            (Due::Connect, None) => Event::Connected,
        };
        self.feed(event, chance);
    }

    fn feed(&mut self, event: Event, chance: f64) {
        let before = self.machine.kept().cloned();
        let (due, had_session) = (self.due, self.has_session);
        let effects = self.machine.step(event.clone(), NOW, chance);
        let mut begun = Vec::new();
        for effect in effects {
            match effect {
                Effect::Read => begun.push(Due::Read),
                Effect::Register { .. } => {
                    self.require_reason();
                    begun.push(Due::Register);
                }
                Effect::Connect { .. } => begun.push(Due::Connect),
                Effect::Wait(pause) => {
                    assert!(pause >= Duration::from_millis(500), "{pause:?}");
                    assert!(pause < Duration::from_secs(4000), "{pause:?}");
                    begun.push(Due::Wait);
                }
                Effect::Keep(new) => {
                    let first = before.is_none();
                    let proven = due == Due::Connect && event == Event::Connected;
                    let session = had_session
                        && before
                            .as_ref()
                            .is_some_and(|old| old.location == new.location);
                    assert!(first || proven || session, "{new:?} replaced {before:?}");
                }
                Effect::StartSession => {
                    assert_eq!(event, Event::Connected);
                    (self.has_session, self.accepted, self.refused) = (true, true, false);
                }
                Effect::Proven(_) => assert_eq!(event, Event::Connected),
                Effect::Disproven(newest) => {
                    let session = self.machine.session().expect("another one is accepted");
                    assert_ne!(session.hub_credential, newest);
                }
                Effect::Answer(_) => {
                    assert!(self.waiting_for_answer > 0, "nobody asked");
                    self.waiting_for_answer = 0;
                }
            }
        }
        if let Event::Registered(_) = event {
            self.asked &= self.waiting_for_answer > 0;
            self.at_start &= !matches!(event, Event::Registered(Ok(_)));
        }
        assert!(begun.len() <= 1, "{begun:?}");
        self.due = begun.pop().unwrap_or_else(|| match due {
            // Only what has nothing to do with the work leaves it as it is.
            due if is_beside(&event) => due,
            due => panic!("nothing is in progress after {event:?} at {due:?}"),
        });
        let waits = self.machine.work() == Work::Waiting;
        assert_eq!(waits, self.due == Due::Wait, "{:?}", self.due);
        assert_eq!(self.machine.session().is_some(), self.has_session);
    }

    fn require_reason(&self) {
        let offers = self.offers();
        let fits = self.machine.kept().is_some_and(|kept| {
            kept.basis.origin == offers[0].basis.origin
                && offers
                    .iter()
                    .any(|o| kept.basis.has_credential_of(&o.basis))
        });
        let running = self.accepted && self.mode == ReprovisioningMode::OnErrorOnly;
        let refused = self.refused && (!running || offers.len() > 1);
        // What was read may be older than what there is now.
        let excused = !fits || self.asked || refused || self.at_start || self.has_changed();
        assert!(excused, "a registration without a reason");
    }

    fn has_changed(&self) -> bool {
        self.scope || self.certificates != [1]
    }

    /// Everything works from now on.
    fn heal(&mut self) {
        for _ in 0..40 {
            self.end(None, None, 0.5);
        }
        let session = self.machine.session().expect("a session");
        let kept = self.machine.kept().expect("an assignment");
        let newest = &self.offers()[0];
        assert_eq!(kept.basis, newest.basis);
        assert_eq!(
            Some(&session.hub_credential),
            newest.hub_credential.as_ref()
        );
        assert_eq!(session.assignment.location, kept.location);
        assert_eq!(self.waiting_for_answer, 0);
    }
}

fn is_beside(event: &Event) -> bool {
    matches!(
        event,
        Event::Asked | Event::Woken | Event::PauseOver | Event::SessionEnded { .. }
    )
}

fn kind() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        3 => Just(FailureKind::Unavailable),
        2 => Just(FailureKind::Device),
        1 => Just(FailureKind::Agent),
        1 => Just(FailureKind::OtherName),
        1 => Just(FailureKind::KeyLost),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let failure = prop_oneof![2 => Just(None), 1 => kind().prop_map(Some)];
    let retry_after = prop_oneof![4 => Just(None), 1 => (0..100_000_u64).prop_map(Some)];
    prop_oneof![
        12 => (failure, retry_after).prop_map(|(failure, after)| Act::End(failure, after)),
        1 => Just(Act::Ask),
        1 => Just(Act::Wake),
        1 => any::<bool>().prop_map(Act::LoseSession),
        1 => any::<bool>().prop_map(Act::Scope),
        1 => Just(Act::Renew),
        1 => Just(Act::DropOld),
        1 => Just(Act::Unreadable),
    ]
}

fn mode() -> impl Strategy<Value = ReprovisioningMode> {
    prop_oneof![
        Just(ReprovisioningMode::Dynamic),
        Just(ReprovisioningMode::AlwaysOnStartup),
        Just(ReprovisioningMode::OnErrorOnly),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_the_rules_hold_and_a_well_world_connects_the_device(
        mode in mode(),
        has_kept in any::<bool>(),
        acts in prop::collection::vec((act(), 0.0..1.0_f64), 0..60),
    ) {
        let mut world = World::start(mode, has_kept);
        for (act, chance) in acts {
            world.act(act, chance);
        }
        world.heal();
    }

    /// Failures of the network alone never make a device register that has an assignment.
    #[test]
    fn a_network_failure_is_never_a_reason_to_register(
        mode in prop_oneof![
            Just(ReprovisioningMode::Dynamic),
            Just(ReprovisioningMode::OnErrorOnly),
        ],
        outcomes in prop::collection::vec((any::<bool>(), any::<bool>(), 0.0..1.0_f64), 0..80),
    ) {
        let mut world = World::start(mode, true);
        for (works, loses, chance) in outcomes {
            let failure = (!works).then_some(FailureKind::Unavailable);
            world.act(Act::End(failure, None), chance);
            prop_assert_ne!(&world.due, &Due::Register);
            if loses {
                world.act(Act::LoseSession(works), chance);
            }
        }
        prop_assert_eq!(world.machine.kept(), Some(&kept()));
    }
}
