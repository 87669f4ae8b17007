//! The bound against simulated servers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// A server that finishes `per_second`, one after the other, in the order in which they came.
struct Server {
    each: Duration,
    free_at: Timestamp,
    /// Ends and beginnings of what is under way, the next to end first.
    under_way: BinaryHeap<Reverse<(Timestamp, Timestamp)>>,
}

impl Server {
    fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second,
            free_at: START,
            under_way: BinaryHeap::new(),
        }
    }

    fn begin(&mut self, now: Timestamp) {
        self.free_at = self.free_at.max(now).plus(self.each);
        self.under_way.push(Reverse((self.free_at, now)));
    }

    fn finish(&mut self, capacity: &mut Capacity, now: Timestamp) -> Vec<Duration> {
        let mut took = Vec::new();
        while let Some(&Reverse((end, begun))) = self.under_way.peek() {
            if end > now {
                break;
            }
            self.under_way.pop();
            capacity.leave(end.since(begun), end);
            took.push(end.since(begun));
        }
        took
    }
}

/// Offers more than the server can do for `seconds`; durations of what was let in in the second half.
fn overload(per_second: u32, factor: u32, seconds: u32) -> (Capacity, Vec<Duration>) {
    let (mut capacity, mut server) = (Capacity::new(4096), Server::new(per_second));
    let gap = Duration::from_secs(1) / (per_second * factor);
    let mut took = Vec::new();
    for call in 0..per_second * factor * seconds {
        let now = START.plus(gap * call);
        let done = server.finish(&mut capacity, now);
        if call > per_second * factor * seconds / 2 {
            took.extend(done);
        }
        if capacity.room() == Room::Full {
            capacity.found_full(now);
        } else {
            capacity.enter(now);
            server.begin(now);
        }
    }
    took.sort();
    (capacity, took)
}

#[test]
fn ten_times_too_much_keeps_the_admitted_under_a_second() {
    for per_second in [150, 1_000, 5_000] {
        let (capacity, took) = overload(per_second, 10, 20);
        let p99 = took[took.len() * 99 / 100];
        assert!(p99 < Duration::from_secs(1), "{per_second}/s: {p99:?}");
        let wanted = f64::from(per_second) * 10.0;
        let done = took.len() as f64;
        assert!(done > wanted * 0.95, "{per_second}/s: {done} of {wanted}");
        let turn = capacity.turn().as_secs_f64() * f64::from(per_second) * PROMISED;
        assert!((0.7..1.4).contains(&turn), "{per_second}/s: {turn}");
    }
}

#[test]
fn a_quick_server_is_not_held_back() {
    // 64 at once, each in 10 ms: nobody ever finds it full.
    let mut capacity = Capacity::new(4096);
    for round in 0..1000_u32 {
        let now = START.plus(Duration::from_millis(10) * round);
        for _ in 0..64 {
            assert_eq!(capacity.room(), Room::Plenty);
            capacity.enter(now);
        }
        for _ in 0..64 {
            let took = Duration::from_millis(10);
            capacity.leave(took, now.plus(took));
        }
    }
}

#[test]
fn what_is_broken_off_leaves_its_place() {
    let mut capacity = Capacity::new(1);
    capacity.enter(START);
    assert_eq!(capacity.room(), Room::Full);
    capacity.break_off();
    assert_eq!(capacity.room(), Room::Plenty);
    assert_eq!(capacity.running(), (0, 1));
}

proptest! {
    /// Whatever is measured, the bound stays within its own bounds, and an idle server lets somebody in.
    #[test]
    fn the_bound_is_bounded_and_an_idle_server_has_room(
        most in 1u32..5000,
        steps in prop::collection::vec((0u64..5_000, 0u64..60_000, any::<bool>()), 1..300),
    ) {
        let mut capacity = Capacity::new(most);
        let mut now = START;
        for (gap, took, broken) in steps {
            now = now.plus(Duration::from_millis(gap));
            if capacity.room() == Room::Full {
                capacity.found_full(now);
            } else {
                capacity.enter(now);
            }
            if gap % 3 != 0 {
                match broken {
                    true => capacity.break_off(),
                    false => capacity.leave(Duration::from_millis(took), now),
                }
            }
            let (running, limit) = capacity.running();
            prop_assert!(limit >= LEAST.min(most) && limit <= most.max(1));
            prop_assert!(running <= most);
            prop_assert!(!capacity.turn().is_zero() && capacity.turn() <= Duration::from_secs(1));
        }
        while capacity.running().0 > 0 {
            capacity.break_off();
        }
        prop_assert_ne!(capacity.room(), Room::Full);
    }
}
