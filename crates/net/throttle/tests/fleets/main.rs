//! Fleets of clients against the admission, in simulated time.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod simulation;

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use throttle::{Call, Limit};

use simulation::{Behaviour, START, Server, Work, seconds, simulate};

#[test]
fn t13_a_client_over_its_quota_gets_a_time_and_is_admitted_then() {
    let server = Server::new(Some(60));
    let mut slots = Vec::new();
    for number in 0..10 {
        slots.push(server.start(number, START).ok().unwrap());
    }
    let refused = server.start(10, START).err().unwrap();
    assert_eq!(
        (refused.limit, refused.retry_after_seconds()),
        (Limit::Quota, 1)
    );
    let last = server.start(11, START).err().unwrap();
    assert!(
        last.retry_after_seconds() >= 2,
        "it comes after the other: {last}"
    );
    let later = START.plus(seconds(refused.retry_after_seconds().into()));
    assert!(
        server.start(12, later).is_err(),
        "a newcomer does not overtake it"
    );
    assert!(server.start(10, later).is_ok());
}

#[test]
fn t13_scopes_have_quotas_of_their_own() {
    let server = Server::new(None);
    let admitted = |(scope, quota): (&str, Option<u32>)| {
        let is_admitted = |number: &usize| {
            let slot = server.start_in(scope, *number, quota, None, START);
            slot.is_ok()
        };
        (0..100).filter(is_admitted).count()
    };
    let scopes = [
        ("0neA", Some(6)),
        ("0nea", Some(6)),
        ("0neB", None),
        ("0NEC", Some(12)),
    ];
    assert_eq!(scopes.map(admitted), [1, 0, 100, 2]);
}

#[test]
fn t13_a_client_that_polls_too_often_gets_a_time() {
    let server = Server::new(None);
    let polls = (0..50).map(|_| server.poll(1, START).err());
    let refused: Vec<_> = polls.flatten().collect();
    assert_eq!(
        refused.len(),
        40,
        "twice the rate of five is admitted at once"
    );
    assert_eq!(
        (refused[0].limit, refused[0].retry_after_seconds()),
        (Limit::ClientPolls, 2)
    );
    assert!(
        server.poll(2, START).is_ok(),
        "another client is not concerned"
    );
    assert!(server.poll(1, START.plus(seconds(2))).is_ok());
}

#[test]
fn t13_a_client_that_starts_in_a_loop_is_limited() {
    let server = Server::new(None);
    let admitted = (0..1000).filter(|_| server.start(1, START).is_ok());
    assert_eq!(admitted.count(), 60);
    let refused = server.start(1, START).err().unwrap();
    assert_eq!(refused.limit, Limit::ClientStarts);
    assert!(server.start(2, START).is_ok());
}

#[test]
fn a_fleet_that_obeys_is_served_at_the_quota_with_few_attempts() {
    let server = Server::new(Some(6_000));
    let comes = |number: usize| Duration::from_micros(number as u64 * 10);
    let outcome = simulate(
        &server,
        Work::Serial(Duration::from_micros(100)),
        comes,
        &[Behaviour::ObeysRetryAfter; 10_000],
        seconds(150),
    );
    assert_eq!(outcome.admitted.len(), 10_000, "all are served");
    let in_minute_from = |from: u64| {
        let minute = seconds(from)..seconds(from + 60);
        let times = outcome.admitted.values().map(|(at, _)| at.since(START));
        times.filter(|at| minute.contains(at)).count()
    };
    assert!(
        in_minute_from(0) <= 7_000,
        "a minute's and ten seconds' worth: {}",
        in_minute_from(0)
    );
    assert!(in_minute_from(20) <= 6_100, "{}", in_minute_from(20));
    let attempts = outcome.total_attempts();
    assert!(attempts < 30_000, "{attempts} attempts of 10,000 clients");
}

#[test]
fn ten_times_too_many_that_obey_are_all_served_soon() {
    let server = Server::new(None);
    let comes = |number: usize| Duration::from_micros(number as u64 * 100);
    let outcome = simulate(
        &server,
        Work::Serial(Duration::from_millis(1)),
        comes,
        &[Behaviour::ObeysRetryAfter; 20_000],
        seconds(120),
    );
    assert_eq!(outcome.admitted.len(), 20_000);
    let last = outcome.last_admission();
    assert!(last < seconds(60), "20 s of work took {last:?}");
    assert!(outcome.p99() < seconds(1), "{:?}", outcome.p99());
    let attempts = outcome.total_attempts();
    assert!(attempts < 100_000, "{attempts} attempts of 20,000 clients");
}

/// Scheduled clients alone do not show what the server can do, so their number must not
/// lower the measured rate.
#[test]
fn a_low_rate_of_scheduled_clients_does_not_lower_the_measured_rate() {
    let server = Server::with_max_concurrent(16, None);
    // The server can do 1600 a second; ten times as many come for ten seconds, and obey.
    let comes = |number: usize| Duration::from_micros(number as u64 * 625 / 10);
    let outcome = simulate(
        &server,
        Work::Parallel(Duration::from_millis(10)),
        comes,
        &[Behaviour::ObeysRetryAfter; 160_000],
        seconds(400),
    );
    assert_eq!(outcome.admitted.len(), 160_000);
    let last = outcome.last_admission();
    assert!(last < seconds(150), "100 s of work took {last:?}");
}

#[test]
fn ten_times_too_many_that_do_not_obey_do_not_starve_those_that_do() {
    let server = Server::new(None);
    let mut fleet = vec![Behaviour::RetriesEvery(Duration::from_millis(900)); 10_000];
    fleet.extend([Behaviour::ObeysRetryAfter; 1_000]);
    let comes = |number: usize| Duration::from_micros(number as u64 * 7_919 % 1_000_000);
    // In 30 s there is work for more than half of them.
    let work = Work::Serial(Duration::from_millis(5));
    let outcome = simulate(&server, work, comes, &fleet, seconds(30));
    assert!(outcome.p99() < seconds(1), "{:?}", outcome.p99());
    let obeying = outcome.admitted.range(10_000..).count();
    let others = outcome.admitted.len() - obeying;
    assert!(
        obeying + others > 5_500,
        "the server is not idle: {obeying} and {others}"
    );
    assert!(
        obeying > 350,
        "{obeying} of 1,000 that obey, {others} of 10,000 that do not"
    );
}

proptest! {
    /// A client that obeys is admitted in the end, whatever the others do, and slots that were
    /// given back are free.
    #[test]
    fn a_client_that_obeys_is_admitted(
        quota in prop::option::of(60u32..6_000), each_ms in 1u64..50,
        crowd in 1usize..300, retry_ms in 200u64..2_000,
    ) {
        let server = Server::new(quota);
        let mut fleet = vec![Behaviour::RetriesEvery(Duration::from_millis(retry_ms)); crowd];
        fleet.push(Behaviour::ObeysRetryAfter);
        let comes = |number: usize| Duration::from_millis(number as u64);
        let work = Work::Serial(Duration::from_millis(each_ms));
        let outcome = simulate(&server, work, comes, &fleet, seconds(900));
        prop_assert!(outcome.admitted.contains_key(&crowd));
        prop_assert!(outcome.attempts[crowd] <= 20, "{} attempts", outcome.attempts[crowd]);
        prop_assert_eq!(server.admission.load(START.plus(seconds(900))).running, 0);
    }
}

#[test]
fn strangers_with_invented_ids_do_not_delay_clients_that_started_before() {
    let server = Server::new(None);
    let [stranger, home] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
    let slot = server.start_from(home, 1, START).ok().unwrap();
    slot.mark_proven(START);
    slot.finish(START);
    // Every slot is taken, and strangers come from many addresses.
    let later = START.plus(seconds(3600));
    let mut slots = Vec::new();
    let mut number = 100;
    while let Ok(slot) = server.start_from(home, number, later) {
        slots.push(slot);
        number += 1;
    }
    for third in 0..200 {
        for _ in 0..100 {
            number += 1;
            let address = IpAddr::from([198, 51, third, 1]);
            assert!(server.start_from(address, number, later).is_err());
        }
    }
    assert!(server.admission.load(later).backlog > seconds(50));
    let refused = server.start_from(home, 1, later).err().unwrap();
    assert!(refused.retry_after_seconds() <= 10, "{refused:?}");
    // One address alone is soon limited.
    let admit = |_: &usize| {
        let permit = server
            .admission
            .admit_address(Some(stranger), Call::Start, later);
        permit.is_ok()
    };
    assert_eq!((0..1000).filter(admit).count(), 400);
}
