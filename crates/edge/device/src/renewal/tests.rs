//! A device and a small model of its world: an issuer, and a hub that knows two certificates.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const POLICY: RenewalPolicy = RenewalPolicy {
    threshold: Threshold::Percent(60),
    spread_percent: 10,
};

type Held = Credential<u32, u32>;

fn issued(key: u32, number: u32, from: Timestamp) -> Held {
    Credential {
        key,
        certificate: number,
        not_before: from,
        not_after: from.plus(LIFE),
    }
}

#[test]
fn a_certificate_is_due_before_its_threshold_by_chance() {
    let slots = Slots::first(issued(1, 1, START));
    let due_by = |policy: RenewalPolicy, chance| policy.due_at(slots.active().unwrap(), chance);
    assert_eq!(due_by(POLICY, 0.0), START.plus(18 * DAY));
    assert_eq!(due_by(POLICY, 1.0), START.plus(15 * DAY));
    let due = due_by(POLICY, 0.5);
    assert_eq!(slots.next_step(POLICY, 0.5, START), NextStep::Wait(due));
    assert_eq!(slots.next_step(POLICY, 0.5, due), NextStep::MakeKey);
    assert_eq!(shortest_grace(POLICY, LIFE), 12 * DAY);
    for (threshold, earliest, latest) in [
        (Threshold::Percent(99), 26.7, 29.7),
        // Half of it at least, so that a new certificate is not due at once.
        (Threshold::Percent(1), 0.15, 0.3),
        (Threshold::Before(DAY), 26.0, 29.0),
        (Threshold::Before(LIFE * 2), 1.5, 3.0),
    ] {
        let policy = RenewalPolicy {
            threshold,
            ..POLICY
        };
        let days = |chance| due_by(policy, chance).since(START).as_secs_f64() / DAY.as_secs_f64();
        assert!(
            (days(1.0) - earliest).abs() < 0.01,
            "{threshold:?}: {}",
            days(1.0)
        );
        assert!(
            (days(0.0) - latest).abs() < 0.01,
            "{threshold:?}: {}",
            days(0.0)
        );
    }
}

#[test]
fn a_device_without_a_credential_begins_with_a_key() {
    let slots = Slots::<u32, u32>::empty();
    assert_eq!(slots.next_step(POLICY, 0.0, START), NextStep::MakeKey);
    let slots = slots.with_key(7);
    assert_eq!(slots.next_step(POLICY, 0.0, START), NextStep::Request(&7));
    let slots = slots.with_certificate(issued(7, 1, START)).unwrap();
    assert_eq!(slots.to_open_with(START).count(), 1);
    let slots = slots.with_proven_candidate();
    assert_eq!(slots, Slots::first(issued(7, 1, START)));
    assert_eq!(
        slots.with_key(8).without_candidate().active().unwrap().key,
        7
    );
}

/// The clock of the device may be behind that of the issuer.
#[test]
fn a_certificate_whose_time_has_not_come_is_tried() {
    let slots = Slots::empty().with_key(2);
    let slots = slots.with_certificate(issued(2, 2, START)).unwrap();
    let behind = START.minus(DAY);
    assert!(matches!(
        slots.next_step(POLICY, 0.0, behind),
        NextStep::Prove(_)
    ));
    assert_eq!(slots.to_open_with(behind).count(), 1);
}

#[test]
fn a_renewal_keeps_the_old_one_until_the_new_one_has_opened_the_hub() {
    let due = START.plus(20 * DAY);
    let slots = Slots::first(issued(1, 1, START)).with_key(2);
    assert_eq!(slots.next_step(POLICY, 0.0, due), NextStep::Request(&2));
    assert_eq!(slots.with_certificate(issued(3, 9, due)), Err(NotRequested));
    let slots = slots.with_certificate(issued(2, 2, due)).unwrap();
    assert!(matches!(slots.next_step(POLICY, 0.0, due), NextStep::Prove(new) if new.key == 2));
    let opening: Vec<u32> = slots.to_open_with(due).map(|one| one.certificate).collect();
    assert_eq!(opening, [2, 1]);
    let back = slots.clone().without_refused_candidate();
    assert_eq!(back.next_step(POLICY, 0.0, due), NextStep::MakeKey);
    let renewed = slots.with_proven_candidate();
    assert_eq!(
        (renewed.active().unwrap().certificate, renewed.candidate()),
        (2, None)
    );
}

#[test]
fn a_candidate_that_expired_is_requested_again_for_its_key() {
    let due = START.plus(20 * DAY);
    let slots = Slots::first(issued(1, 1, START)).with_key(2);
    let slots = slots.with_certificate(issued(2, 2, due)).unwrap();
    let later = due.plus(LIFE + DAY);
    assert_eq!(slots.next_step(POLICY, 0.0, later), NextStep::Request(&2));
    assert_eq!(slots.to_open_with(later).count(), 0);
    let again = slots.with_certificate(issued(2, 3, later)).unwrap();
    assert_eq!(again.to_open_with(later).next().unwrap().certificate, 3);
}

/// What happens to one attempt.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Works,
    ServerIsDown,
    /// The server did it, and its answer is lost.
    AnswerIsLost,
    /// The server answered, and the device loses power before it writes.
    KilledBeforeTheWrite,
    KilledAfterTheWrite,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => Just(Luck::Works),
        2 => Just(Luck::ServerIsDown),
        1 => Just(Luck::AnswerIsLost),
        1 => Just(Luck::KilledBeforeTheWrite),
        1 => Just(Luck::KilledAfterTheWrite),
    ]
}

/// The certificates that open the hub: the one that did last, and the newest that it was shown or
/// issued itself.
struct World {
    opens: Vec<u32>,
    certificates: u32,
    /// Written slots: all that is left when the device loses power.
    disk: Slots<u32, u32>,
    keys: u32,
}

impl World {
    fn new() -> Self {
        Self {
            opens: vec![1],
            certificates: 1,
            disk: Slots::first(issued(1, 1, START)),
            keys: 1,
        }
    }

    /// One attempt of whatever is next. With `by_hub`, the hub issues; otherwise somebody else
    /// does, and the candidate registers before it opens the hub.
    fn attempt(&mut self, luck: Luck, by_hub: bool, now: Timestamp) {
        let written = match self.disk.next_step(POLICY, 0.5, now) {
            NextStep::Wait(_) => return,
            NextStep::MakeKey => {
                self.keys += 1;
                Some(self.disk.clone().with_key(self.keys))
            }
            NextStep::Request(key) => {
                let key = *key;
                self.request(key, luck, by_hub, now)
            }
            NextStep::Prove(candidate) => {
                let certificate = candidate.certificate;
                self.prove(certificate, luck)
            }
        };
        if let Some(written) = written.filter(|_| !matches!(luck, Luck::KilledBeforeTheWrite)) {
            self.disk = written;
        }
    }

    fn request(
        &mut self,
        key: u32,
        luck: Luck,
        by_hub: bool,
        now: Timestamp,
    ) -> Option<Slots<u32, u32>> {
        if matches!(luck, Luck::ServerIsDown) {
            return None;
        }
        self.certificates += 1;
        let session = self
            .disk
            .to_open_with(now)
            .find(|one| self.opens.contains(&one.certificate));
        if let Some(session) = session.filter(|_| by_hub) {
            self.opens = vec![session.certificate, self.certificates];
        }
        let answer = issued(key, self.certificates, now);
        let arrives = !matches!(luck, Luck::AnswerIsLost);
        arrives.then(|| self.disk.with_certificate(answer).unwrap())
    }

    fn prove(&mut self, certificate: u32, luck: Luck) -> Option<Slots<u32, u32>> {
        if matches!(luck, Luck::ServerIsDown) {
            return None;
        }
        if !self.opens.contains(&certificate) {
            // It registers, and the hub knows it alone.
            self.opens = vec![certificate];
        }
        let accepted = !matches!(luck, Luck::AnswerIsLost);
        accepted.then(|| self.disk.clone().with_proven_candidate())
    }

    fn has_one_that_works(&self, now: Timestamp) -> bool {
        let mut all = self.disk.to_open_with(now);
        all.any(|one| self.opens.contains(&one.certificate))
    }
}

proptest! {
    /// Whatever fails, and wherever the device loses power, one of the written credentials opens
    /// the hub, as long as failures do not last longer than the grace.
    #[test]
    fn a_device_is_never_without_a_credential_that_works(
        attempts in prop::collection::vec((luck(), any::<bool>()), 300)
    ) {
        let (mut world, mut now) = (World::new(), START);
        let mut last_success = now;
        for (luck, by_hub) in attempts {
            let before = world.disk.active().unwrap().certificate;
            world.attempt(luck, by_hub, now);
            if world.disk.active().unwrap().certificate != before {
                last_success = now;
            }
            prop_assert!(world.has_one_that_works(now), "{luck:?} at {now:?}");
            now = now.plus(6 * HOUR);
            if world.disk.candidate().is_some()
                && now.since(last_success) > shortest_grace(POLICY, LIFE)
            {
                // Its luck changes before its certificate expires.
                for _ in 0..3 {
                    world.attempt(Luck::Works, by_hub, now);
                }
                last_success = now;
            }
        }
    }
}
