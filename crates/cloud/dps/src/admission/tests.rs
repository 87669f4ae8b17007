//! Fleets against the admission, in simulated time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn id(number: usize) -> RegistrationId {
    RegistrationId::parse(&format!("dev-{number}")).unwrap()
}

/// Asked from no address that is known.
fn anywhere(admission: &Admission) -> MayAsk {
    admission
        .ask(None, START)
        .unwrap_or_else(|_| unreachable!("nobody is counted"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How a device takes being sent away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manners {
    /// Comes when it was told to.
    Obeys,
    /// Comes every so often.
    Comes(Duration),
}

/// How a server works.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// On one after the other, each for so long.
    InTurn(Duration),
    /// On all at once, each for so long: what takes time is the disk.
    Together(Duration),
}

/// What happens next to whom.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done,
    Comes(usize),
}

/// What a fleet lived through.
struct Story {
    attempts: Vec<u32>,
    /// When each device was let in, and how long it then took.
    admitted: BTreeMap<usize, (Timestamp, Duration)>,
}

impl Story {
    fn p99(&self) -> Duration {
        let mut took: Vec<_> = self.admitted.values().map(|(_, took)| *took).collect();
        took.sort();
        took[took.len() * 99 / 100]
    }
}

/// Lets devices come at `comes` and behave by `manners`, at a server that works like `work`, until `end` or until all are through.
fn live(
    admission: &Admission,
    work: Work,
    comes: impl Fn(usize) -> Duration,
    manners: &[Manners],
    end: Duration,
) -> Story {
    let mut events = BinaryHeap::new();
    for number in 0..manners.len() {
        events.push(Reverse((START.plus(comes(number)), Event::Comes(number))));
    }
    let mut story = Story {
        attempts: vec![0; manners.len()],
        admitted: BTreeMap::new(),
    };
    let (mut free_at, mut places) = (START, BTreeMap::new());
    let mut tickets = 0_usize..;
    while let Some(Reverse((now, event))) = events.pop() {
        if now > START.plus(end) {
            break;
        }
        let number = match event {
            Event::Done => {
                let (_, place): ((Timestamp, usize), Place) = places.pop_first().unwrap();
                place.done(now);
                continue;
            }
            Event::Comes(number) => number,
        };
        story.attempts[number] += 1;
        match admission.register("0ne", &id(number), anywhere(admission), now) {
            Ok(place) => {
                let done = match work {
                    Work::InTurn(each) => {
                        free_at = free_at.max(now).plus(each);
                        free_at
                    }
                    Work::Together(each) => now.plus(each),
                };
                places.insert((done, tickets.next().unwrap()), place);
                story.admitted.insert(number, (now, done.since(now)));
                events.push(Reverse((done, Event::Done)));
            }
            Err(throttled) => {
                let told = seconds(throttled.seconds().into());
                let wait = match manners[number] {
                    Manners::Obeys => told,
                    Manners::Comes(every) => every,
                };
                events.push(Reverse((now.plus(wait), Event::Comes(number))));
            }
        }
    }
    story
}

fn admission(quota: Option<u32>) -> Admission {
    let limits = AdmissionLimits {
        registrations_per_minute: quota,
        ..AdmissionLimits::default()
    };
    Admission::new(limits, 7)
}

#[test]
fn t13_a_device_over_its_quota_gets_a_time_and_is_let_in_then() {
    let admission = admission(Some(60));
    let mut now = START;
    for number in 0..10 {
        assert!(
            admission
                .register("0ne", &id(number), anywhere(&admission), now)
                .is_ok(),
            "{number}"
        );
    }
    let refused = admission
        .register("0ne", &id(10), anywhere(&admission), now)
        .err()
        .unwrap();
    assert_eq!((refused.cause, refused.seconds()), (Cause::Quota, 1));
    let last = admission
        .register("0ne", &id(11), anywhere(&admission), now)
        .err()
        .unwrap();
    assert!(last.seconds() >= 2, "it comes after the other: {last}");
    now = now.plus(seconds(refused.seconds().into()));
    assert!(
        admission
            .register("0ne", &id(12), anywhere(&admission), now)
            .is_err(),
        "a newcomer does not jump the line"
    );
    assert!(
        admission
            .register("0ne", &id(10), anywhere(&admission), now)
            .is_ok()
    );
}

#[test]
fn t13_services_have_quotas_of_their_own() {
    let limits = AdmissionLimits {
        registrations_per_minute: Some(6),
        registrations_per_minute_of: vec![("0neB".into(), None), ("0neC".into(), Some(12))],
        ..AdmissionLimits::default()
    };
    let admission = Admission::new(limits, 7);
    let admitted = |scope: &str| {
        let let_in = |number: &usize| {
            admission
                .register(scope, &id(*number), anywhere(&admission), START)
                .is_ok()
        };
        (0..100).filter(let_in).count()
    };
    assert_eq!(
        ["0neA", "0nea", "0neB", "0NEC"].map(admitted),
        [1, 0, 100, 2]
    );
}

#[test]
fn t13_a_device_that_polls_too_often_is_told_when_to() {
    let admission = admission(None);
    let polls = (0..50).map(|_| {
        admission
            .poll("0ne", &id(1), anywhere(&admission), START)
            .err()
    });
    let refused: Vec<_> = polls.flatten().collect();
    assert_eq!(
        refused.len(),
        40,
        "twice the documented five are let in at once"
    );
    assert_eq!(
        (refused[0].cause, refused[0].seconds()),
        (Cause::DevicePolls, 2)
    );
    assert!(
        admission
            .poll("0ne", &id(2), anywhere(&admission), START)
            .is_ok(),
        "another device is not concerned"
    );
    assert!(
        admission
            .poll("0ne", &id(1), anywhere(&admission), START.plus(seconds(2)))
            .is_ok()
    );
}

#[test]
fn t13_a_device_that_registers_in_a_loop_is_stopped() {
    let admission = admission(None);
    let let_in = (0..1000).filter(|_| {
        admission
            .register("0ne", &id(1), anywhere(&admission), START)
            .is_ok()
    });
    assert_eq!(let_in.count(), 60);
    let refused = admission
        .register("0ne", &id(1), anywhere(&admission), START)
        .err()
        .unwrap();
    assert_eq!(refused.cause, Cause::DeviceRegistrations);
    assert!(
        admission
            .register("0ne", &id(2), anywhere(&admission), START)
            .is_ok()
    );
}

#[test]
fn a_herd_that_obeys_is_served_at_the_quota_and_asks_only_a_few_times() {
    let admission = admission(Some(6_000));
    let comes = |number: usize| Duration::from_micros(number as u64 * 10);
    let story = live(
        &admission,
        Work::InTurn(Duration::from_micros(100)),
        comes,
        &[Manners::Obeys; 10_000],
        seconds(150),
    );
    assert_eq!(story.admitted.len(), 10_000, "all are served");
    let per_minute = |from: u64| {
        let times = story.admitted.values().map(|(at, _)| at.since(START));
        times
            .filter(|at| *at >= seconds(from) && *at < seconds(from + 60))
            .count()
    };
    assert!(
        per_minute(0) <= 7_000,
        "a minute's and ten seconds' worth: {}",
        per_minute(0)
    );
    assert!(per_minute(20) <= 6_100, "{}", per_minute(20));
    let attempts: u32 = story.attempts.iter().sum();
    assert!(attempts < 30_000, "{attempts} attempts of 10,000 devices");
}

#[test]
fn ten_times_too_many_that_obey_are_all_served_soon() {
    let admission = admission(None);
    let comes = |number: usize| Duration::from_micros(number as u64 * 100);
    let story = live(
        &admission,
        Work::InTurn(Duration::from_millis(1)),
        comes,
        &[Manners::Obeys; 20_000],
        seconds(120),
    );
    assert_eq!(story.admitted.len(), 20_000);
    let last = story.admitted.values().map(|(at, _)| *at).max().unwrap();
    assert!(
        last.since(START) < seconds(60),
        "20 s of work took {:?}",
        last.since(START)
    );
    assert!(story.p99() < seconds(1), "{:?}", story.p99());
    let attempts: u32 = story.attempts.iter().sum();
    assert!(attempts < 100_000, "{attempts} attempts of 20,000 devices");
}

/// Turns are kept by those who come; that not more come than were promised a turn is no measurement of what the server can do.
#[test]
fn a_server_that_promised_little_does_not_promise_less_and_less() {
    let limits = AdmissionLimits {
        registrations_at_once: 16,
        ..AdmissionLimits::default()
    };
    let admission = Admission::new(limits, 7);
    // 1600 a second; ten times as many come, for ten seconds, and do as they are told.
    let comes = |number: usize| Duration::from_micros(number as u64 * 625 / 10);
    let story = live(
        &admission,
        Work::Together(Duration::from_millis(10)),
        comes,
        &[Manners::Obeys; 160_000],
        seconds(400),
    );
    assert_eq!(story.admitted.len(), 160_000);
    let last = story.admitted.values().map(|(at, _)| *at).max().unwrap();
    assert!(
        last.since(START) < seconds(150),
        "100 s of work took {:?}",
        last.since(START)
    );
}

#[test]
fn ten_times_too_many_that_do_not_obey_do_not_starve_those_who_do() {
    let admission = admission(None);
    let mut manners = vec![Manners::Comes(Duration::from_millis(900)); 10_000];
    manners.extend([Manners::Obeys; 1_000]);
    let comes = |number: usize| Duration::from_micros(number as u64 * 7_919 % 1_000_000);
    // In 30 s there is work for more than half of them.
    let story = live(
        &admission,
        Work::InTurn(Duration::from_millis(5)),
        comes,
        &manners,
        seconds(30),
    );
    assert!(story.p99() < seconds(1), "{:?}", story.p99());
    let obeying = story.admitted.range(10_000..).count();
    let rude = story.admitted.len() - obeying;
    assert!(
        obeying + rude > 5_500,
        "the server is not idle: {obeying} and {rude}"
    );
    assert!(
        obeying > 350,
        "{obeying} of 1,000 that obey, {rude} of 10,000 that do not"
    );
}

proptest! {
    /// Whoever does as it is told is let in in the end, whatever the others do, and places that are given back are free.
    #[test]
    fn whoever_obeys_is_let_in(
        quota in prop::option::of(60u32..6_000), each_ms in 1u64..50, crowd in 1usize..300, rude_ms in 200u64..2_000,
    ) {
        let admission = admission(quota);
        let mut manners = vec![Manners::Comes(Duration::from_millis(rude_ms)); crowd];
        manners.push(Manners::Obeys);
        let comes = |number: usize| Duration::from_millis(number as u64);
        let story = live(&admission, Work::InTurn(Duration::from_millis(each_ms)), comes, &manners, seconds(900));
        prop_assert!(story.admitted.contains_key(&crowd));
        prop_assert!(story.attempts[crowd] <= 20, "{} attempts", story.attempts[crowd]);
        prop_assert_eq!(admission.server().capacity.running().0, 0);
    }
}

#[test]
fn strangers_with_invented_ids_do_not_hold_up_devices_that_registered_before() {
    // C6: turns, and the line that they make longer, were given to whoever named an id.
    let admission = admission(None);
    let (stranger, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    let register = |number, from, now| {
        let may = admission.ask(Some(from), now)?;
        admission.register("0ne", &id(number), may, now)
    };
    let place = register(1, home, START).ok().unwrap();
    place.proved(START);
    place.done(START);
    // Every place is taken, and strangers come from many addresses.
    let later = START.plus(seconds(3600));
    let mut places = Vec::new();
    let mut number = 100;
    while let Ok(place) = register(number, home, later) {
        places.push(place);
        number += 1;
    }
    for third in 0..200 {
        for _ in 0..100 {
            number += 1;
            let from = IpAddr::from([198, 51, third, 1]);
            assert!(register(number, from, later).is_err());
        }
    }
    assert!(admission.state(later).waiting > seconds(50));
    let told = register(1, home, later).err().unwrap();
    assert!(told.seconds() <= 10, "{told:?}");
    // One address alone is not heard for long.
    let heard = (0..1000).filter(|_| admission.ask(Some(stranger), later).is_ok());
    assert_eq!(heard.count(), 400);
}
