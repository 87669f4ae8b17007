//! When a module that ended is started again: after 10 s · 2ⁿ, at most 300 s, counted from its
//! end; after 20 restarts not any more; ten minutes of running forgive everything.
//!
//! `on-failure` and `on-unhealthy` leave alone what ended well, but only when its program chose to end: what ended well
//! because the machine, the engine or somebody else stopped it was not done.

use std::time::Duration;

use ids::Timestamp;
use serde::{Deserialize, Serialize};
use wire::edge_api::manifest::RestartPolicy;

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Restarts before the module is given up until its deployment changes.
pub const MOST_RESTARTS: u32 = 20;
/// How long a module has to run for its restarts to be forgotten.
pub const PROVEN_AFTER: Duration = Duration::from_secs(600);

/// How often a module was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restarts {
    /// Since it last ran for ten minutes.
    pub count: u32,
    /// When that was last.
    pub last: Option<Timestamp>,
}

/// The end of a module's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Exit code.
    pub code: i64,
    /// When.
    pub at: Timestamp,
    /// Whether its program chose to end while the runtime and the engine were there.
    pub by_itself: bool,
}

/// What to do with a module that ended although it should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Its policy wants it left as it is.
    Leave,
    /// Start it now; it did not fail, and nothing is counted.
    Resume,
    /// Start it now.
    Restart,
    /// Start it then.
    Wait(Timestamp),
    /// It has been started again too often.
    GiveUp,
}

/// How long a module rests after its end before restart number `count + 1`.
#[must_use]
pub fn pause(count: u32) -> Duration {
    let factor = 2_u32.checked_pow(count).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// Decides about a module that ended.
#[must_use]
pub fn decide(policy: RestartPolicy, end: End, restarts: Restarts, now: Timestamp) -> Decision {
    match policy {
        RestartPolicy::Never => return Decision::Leave,
        RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy if end.code == 0 => {
            return if end.by_itself {
                Decision::Leave
            } else {
                Decision::Resume
            };
        }
        RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy | RestartPolicy::Always => {}
    }
    if restarts.count >= MOST_RESTARTS {
        return Decision::GiveUp;
    }
    let due = end.at.plus(pause(restarts.count));
    // An end in the future means that the clock was set back; waiting for it might take years.
    if now >= due || end.at > now {
        Decision::Restart
    } else {
        Decision::Wait(due)
    }
}

/// Whether a module that runs since `started` has proven itself.
#[must_use]
pub fn proven(started: Timestamp, now: Timestamp) -> bool {
    now.since(started) >= PROVEN_AFTER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn failed(at: Timestamp) -> End {
        End {
            code: 1,
            at,
            by_itself: true,
        }
    }

    /// T17 of the conformance scenarios.
    #[test]
    fn a_crash_loop_slows_down_and_ends() {
        let mut now = at(1_000_000);
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        loop {
            match decide(RestartPolicy::Always, failed(now), restarts, now) {
                Decision::Wait(due) => {
                    pauses.push(due.since(now).as_secs());
                    let ended = now;
                    now = due;
                    assert_eq!(
                        decide(RestartPolicy::Always, failed(ended), restarts, now),
                        Decision::Restart
                    );
                    restarts = Restarts {
                        count: restarts.count + 1,
                        last: Some(now),
                    };
                }
                Decision::GiveUp => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses.len(), 20);
        assert_eq!(pauses[..6], [10, 20, 40, 80, 160, 300]);
        assert!(pauses[6..].iter().all(|pause| *pause == 300));
    }

    #[test]
    fn policies_differ() {
        let decide = |policy, code, by_itself| {
            let end = End {
                code,
                at: at(0),
                by_itself,
            };
            decide(policy, end, Restarts::default(), at(1000))
        };
        for policy in [RestartPolicy::OnFailure, RestartPolicy::OnUnhealthy] {
            assert_eq!(decide(policy, 0, true), Decision::Leave);
            // D1: stopped by a reboot, the engine or `docker stop`.
            assert_eq!(decide(policy, 0, false), Decision::Resume);
            assert_eq!(decide(policy, 137, false), Decision::Restart);
        }
        for by_itself in [true, false] {
            assert_eq!(decide(RestartPolicy::Never, 1, by_itself), Decision::Leave);
            assert_eq!(decide(RestartPolicy::Never, 0, by_itself), Decision::Leave);
            assert_eq!(
                decide(RestartPolicy::Always, 0, by_itself),
                Decision::Restart
            );
        }
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_five_minutes(count in 0_u32..30, ended in -1_000_000_i64..1_000_000, after in -1_000_000_i64..1_000_000) {
            let now = at(ended.saturating_add(after));
            let restarts = Restarts { count, last: None };
            match decide(RestartPolicy::Always, failed(at(ended)), restarts, now) {
                Decision::Wait(due) => {
                    prop_assert!(due > now && due.since(now) <= LONGEST_PAUSE);
                    prop_assert_eq!(decide(RestartPolicy::Always, failed(at(ended)), restarts, due), Decision::Restart);
                }
                Decision::GiveUp => prop_assert!(count >= MOST_RESTARTS),
                Decision::Restart => prop_assert!(count < MOST_RESTARTS),
                Decision::Leave | Decision::Resume => prop_assert!(false, "always means always, after a pause"),
            }
        }

        #[test]
        fn pauses_never_shrink(count in 0_u32..1000) {
            prop_assert!(pause(count) <= pause(count + 1));
        }
    }
}
