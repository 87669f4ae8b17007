//! When a module that exited is started again.
//!
//! The pause is 10 s · 2ⁿ, at most 300 s, counted from the exit. After 20 restarts the module is
//! given up. Ten minutes of running reset the count.
//!
//! `on-failure` and `on-unhealthy` do not restart a program that exited with 0, but only when it
//! exited by itself. When the machine, the engine or a person stopped it, it starts again.

use std::time::Duration;

use ids::Timestamp;
use serde::{Deserialize, Serialize};
use wire::edge_api::manifest::RestartPolicy;

const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Restarts before the module is given up until its deployment changes.
pub const MOST_RESTARTS: u32 = 20;
/// How long a module has to run for its restart count to be reset.
pub const RECOVERED_AFTER: Duration = Duration::from_secs(600);

/// The restarts of a module by its restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restarts {
    /// Since it last ran for ten minutes.
    pub count: u32,
    /// The time of the last one.
    pub last: Option<Timestamp>,
}

/// The exit of a module's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: i64,
    pub at: Timestamp,
    /// Whether the program exited by itself while the daemon and the engine ran.
    pub by_itself: bool,
}

/// What to do with a module that exited although it should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do not start it; its policy says so.
    Leave,
    /// Start it now. It did not fail, so the restart is not counted.
    Resume,
    /// Start it now, and count the restart.
    Restart,
    /// Start it at this time.
    Wait(Timestamp),
    /// Do not start it; it was restarted too often.
    GiveUp,
}

/// The pause between the exit and restart number `count + 1`.
#[must_use]
pub fn pause(count: u32) -> Duration {
    let factor = 2_u32.checked_pow(count).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// Decides about a module that exited.
#[must_use]
pub fn decide(policy: RestartPolicy, exit: Exit, restarts: Restarts, now: Timestamp) -> Decision {
    match policy {
        RestartPolicy::Never => return Decision::Leave,
        RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy if exit.code == 0 => {
            return if exit.by_itself {
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
    let due = exit.at.plus(pause(restarts.count));
    // An exit in the future means that the clock was set back. Waiting for it might take years.
    if now >= due || exit.at > now {
        Decision::Restart
    } else {
        Decision::Wait(due)
    }
}

/// Whether a module that runs since `started` has run long enough to reset its restart count.
#[must_use]
pub fn has_recovered(started: Timestamp, now: Timestamp) -> bool {
    now.since(started) >= RECOVERED_AFTER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn failed(at: Timestamp) -> Exit {
        Exit {
            code: 1,
            at,
            by_itself: true,
        }
    }

    #[test]
    fn t17_a_crash_loop_slows_down_and_ends() {
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
            let exit = Exit {
                code,
                at: at(0),
                by_itself,
            };
            decide(policy, exit, Restarts::default(), at(1000))
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
        fn no_pause_is_longer_than_five_minutes(
            count in 0_u32..30,
            ended in -1_000_000_i64..1_000_000,
            after in -1_000_000_i64..1_000_000,
        ) {
            let now = at(ended.saturating_add(after));
            let restarts = Restarts { count, last: None };
            let decide_at = |now| decide(RestartPolicy::Always, failed(at(ended)), restarts, now);
            match decide_at(now) {
                Decision::Wait(due) => {
                    prop_assert!(due > now && due.since(now) <= LONGEST_PAUSE);
                    prop_assert_eq!(decide_at(due), Decision::Restart);
                }
                Decision::GiveUp => prop_assert!(count >= MOST_RESTARTS),
                Decision::Restart => prop_assert!(count < MOST_RESTARTS),
                Decision::Leave | Decision::Resume => {
                    prop_assert!(false, "`always` restarts after every exit");
                }
            }
        }

        #[test]
        fn pauses_never_shrink(count in 0_u32..1000) {
            prop_assert!(pause(count) <= pause(count + 1));
        }
    }
}
