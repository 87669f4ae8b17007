//! The limit against simulated servers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

/// A server that works on one start after the other, `per_second` of them.
struct Server {
    each: Duration,
    free_at: Timestamp,
    /// Ends and beginnings of what is in progress, the next to end first.
    in_progress: BinaryHeap<Reverse<(Timestamp, Timestamp)>>,
}

impl Server {
    fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second,
            free_at: START,
            in_progress: BinaryHeap::new(),
        }
    }

    fn begin(&mut self, now: Timestamp) {
        self.free_at = self.free_at.max(now).plus(self.each);
        self.in_progress.push(Reverse((self.free_at, now)));
    }

    fn finish(&mut self, capacity: &mut ConcurrencyLimit, now: Timestamp) -> Vec<Duration> {
        let mut took = Vec::new();
        while let Some(&Reverse((end, begun))) = self.in_progress.peek() {
            if end > now {
                break;
            }
            self.in_progress.pop();
            capacity.finish(end.since(begun), end);
            took.push(end.since(begun));
        }
        took
    }
}

/// Offers `factor` times what the server can do for `seconds`; returns the durations
/// of the second half.
fn overload(per_second: u32, factor: u32, seconds: u32) -> (ConcurrencyLimit, Vec<Duration>) {
    let (mut capacity, mut server) = (ConcurrencyLimit::new(4096), Server::new(per_second));
    let gap = Duration::from_secs(1) / (per_second * factor);
    let mut took = Vec::new();
    for call in 0..per_second * factor * seconds {
        let now = START.plus(gap * call);
        let done = server.finish(&mut capacity, now);
        if call > per_second * factor * seconds / 2 {
            took.extend(done);
        }
        if capacity.headroom() == Headroom::Exhausted {
            capacity.record_refusal(now);
        } else {
            capacity.enter(now);
            server.begin(now);
        }
    }
    took.sort();
    (capacity, took)
}

#[test]
fn ten_times_too_much_keeps_admitted_starts_under_a_second() {
    for per_second in [150, 1_000, 5_000] {
        let (capacity, took) = overload(per_second, 10, 20);
        let p99 = took[took.len() * 99 / 100];
        assert!(p99 < Duration::from_secs(1), "{per_second}/s: {p99:?}");
        let wanted = f64::from(per_second) * 10.0;
        let done = took.len() as f64;
        assert!(done > wanted * 0.95, "{per_second}/s: {done} of {wanted}");
        let turn = capacity.pace().interval.as_secs_f64() * f64::from(per_second) * PROMISED;
        assert!((0.7..1.4).contains(&turn), "{per_second}/s: {turn}");
    }
}

#[test]
fn a_quick_server_is_not_limited() {
    // 64 at once, each in 10 ms: the limit is never reached.
    let mut capacity = ConcurrencyLimit::new(4096);
    for round in 0..1000_u32 {
        let now = START.plus(Duration::from_millis(10) * round);
        for _ in 0..64 {
            assert_eq!(capacity.headroom(), Headroom::Ample);
            capacity.enter(now);
        }
        for _ in 0..64 {
            let took = Duration::from_millis(10);
            capacity.finish(took, now.plus(took));
        }
    }
}

#[test]
fn an_abandoned_start_frees_its_slot() {
    let mut capacity = ConcurrencyLimit::new(1);
    capacity.enter(START);
    assert_eq!(capacity.headroom(), Headroom::Exhausted);
    capacity.abandon();
    assert_eq!(capacity.headroom(), Headroom::Ample);
    assert_eq!((capacity.running(), capacity.limit()), (0, 1));
}

proptest! {
    /// Whatever is measured, the limit stays within its bounds, and an idle server has headroom.
    #[test]
    fn the_limit_is_bounded_and_an_idle_server_has_headroom(
        max in 1u32..5000,
        steps in prop::collection::vec((0u64..5_000, 0u64..60_000, any::<bool>()), 1..300),
    ) {
        let mut capacity = ConcurrencyLimit::new(max);
        let mut now = START;
        for (gap, took, broken) in steps {
            now = now.plus(Duration::from_millis(gap));
            if capacity.headroom() == Headroom::Exhausted {
                capacity.record_refusal(now);
            } else {
                capacity.enter(now);
            }
            if gap % 3 != 0 {
                match broken {
                    true => capacity.abandon(),
                    false => capacity.finish(Duration::from_millis(took), now),
                }
            }
            let (running, limit) = (capacity.running(), capacity.limit());
            prop_assert!(limit >= MIN_LIMIT.min(max) && limit <= max.max(1));
            prop_assert!(running <= max);
            let interval = capacity.pace().interval;
            prop_assert!(!interval.is_zero() && interval <= Duration::from_secs(1));
        }
        while capacity.running() > 0 {
            capacity.abandon();
        }
        prop_assert_ne!(capacity.headroom(), Headroom::Exhausted);
    }
}
