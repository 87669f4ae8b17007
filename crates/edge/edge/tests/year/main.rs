//! A simulated year of 1,000 runtimes. The decisions are the product's: the machine from the
//! configuration to a session, the slots of renewed certificates, the clock guard, and the plan of
//! modules. The world around them is simulated, on a simulated clock, from one seed: services and
//! networks fail, hubs are renamed and devices move between them, clocks are wrong and jump, and
//! power fails at every write to disk.
//!
//! Nobody helps. At the end every device has a session and a certificate that is valid, and in the
//! whole year the runtime has stopped no module that its deployment wants.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod counts;
mod disk;
mod modules;
mod outages;
mod runtime;
mod world;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use counts::Counts;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use runtime::Runtime;
use world::World;

const RUNTIMES: usize = 1000;
const SEED: u64 = 20_270_101;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;
/// Nothing fails any more in the last days.
const PEACE: u64 = 4 * DAY;

#[test]
fn after_a_year_every_device_works_and_the_runtime_has_stopped_no_module() {
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut world = World::new(RUNTIMES, YEAR - PEACE, &mut random);
    let mut fleet: Vec<Runtime> = (0..RUNTIMES)
        .map(|number| Runtime::new(number, random.random()))
        .collect();
    // The next wakes: when, which runtime, and whether it planned it. It plans one at a time.
    let mut due = BinaryHeap::new();
    let mut planned = Vec::new();
    for number in 0..RUNTIMES {
        // They are switched on in the first hour, not all at once.
        planned.push(random.random_range(0..HOUR));
        due.push(Reverse((planned[number], number, true)));
    }
    for at in world.changes() {
        due.extend((0..RUNTIMES).map(|number| Reverse((at, number, false))));
    }
    while let Some(Reverse((now, number, is_own))) = due.pop() {
        if now > YEAR {
            break;
        }
        if is_own && planned[number] != now {
            continue;
        }
        world.advance(now);
        if let Some(next) = fleet[number].run(&mut world, now) {
            planned[number] = next.max(now + 1);
            due.push(Reverse((planned[number], number, true)));
        }
    }
    for runtime in &fleet {
        runtime.require_health(&world, YEAR);
    }
    let counts: Counts = fleet.iter().map(|runtime| runtime.counts).sum();
    let took = began.elapsed();
    println!(
        "{RUNTIMES} runtimes, {} outages, {took:?}: {counts:?}",
        world.outages()
    );
    assert_eq!(counts.stopped_by_runtime, 0);
    assert!(counts.power_cuts > 5_000, "{counts:?}");
    assert!(
        counts.wrong_clocks > 2_000 && counts.corrected > 500,
        "{counts:?}"
    );
    assert!(counts.renewals > 12 * RUNTIMES as u64, "{counts:?}");
    assert!(counts.moves > 500 && counts.renamed > 300, "{counts:?}");
    assert!(counts.offline_starts > 500, "{counts:?}");
    assert!(took < Duration::from_secs(240), "{took:?}");
}
