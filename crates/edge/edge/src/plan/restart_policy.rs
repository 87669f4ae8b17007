//! When a module that exited is started again.
//!
//! Unless the agent's variables say otherwise, the pause is 10 s · 2ⁿ, at most 300 s, counted from
//! the exit. After 20 restarts the module is given up. Ten minutes of running reset the count.
//!
//! `on-failure` and `on-unhealthy` do not restart a program that exited with 0, but only when it
//! exited by itself. When the machine, the engine or a person stopped it, it starts again.
//!
//! `on-unhealthy` and `always` also restart a module whose health check fails. Then the pause counts
//! from its start.

use std::time::Duration;

use ids::Timestamp;
use serde::{Deserialize, Serialize};
use wire::edge_api::manifest::RestartPolicy;

pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often and how soon modules are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimits {
    /// `CoolOffTimeUnitInSeconds`: the first pause.
    pub first_pause: Duration,
    /// `MaxRestartCount`: restarts before a module is given up until its deployment changes.
    pub most: u32,
    /// `IntensiveCareTimeInMinutes`: how long a module has to run for its restart count to be
    /// reset.
    pub recovered_after: Duration,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(10),
            most: 20,
            recovered_after: Duration::from_secs(600),
        }
    }
}

impl RestartLimits {
    /// The pause between the exit and restart number `count + 1`.
    #[must_use]
    pub fn pause(&self, count: u32) -> Duration {
        let factor = 2_u32.checked_pow(count).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(LONGEST_PAUSE)
    }

    /// Whether a module that runs since `started` has run long enough to reset its restart count.
    #[must_use]
    pub fn has_recovered(&self, started: Timestamp, now: Timestamp) -> bool {
        now.since(started) >= self.recovered_after
    }
}

/// The restarts of a module by its restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Restarts {
    /// Since it last recovered.
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

impl RestartLimits {
    /// Decides about a module that exited.
    #[must_use]
    pub fn after_exit(
        &self,
        policy: RestartPolicy,
        exit: Exit,
        restarts: Restarts,
        now: Timestamp,
    ) -> Decision {
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
        self.restart_after(exit.at, restarts, now)
    }

    /// Decides about a module that runs since `started` and whose health check fails.
    #[must_use]
    pub fn while_unhealthy(
        &self,
        policy: RestartPolicy,
        started: Timestamp,
        restarts: Restarts,
        now: Timestamp,
    ) -> Decision {
        match policy {
            RestartPolicy::Never | RestartPolicy::OnFailure => Decision::Leave,
            RestartPolicy::OnUnhealthy | RestartPolicy::Always => {
                self.restart_after(started, restarts, now)
            }
        }
    }

    fn restart_after(&self, begin: Timestamp, restarts: Restarts, now: Timestamp) -> Decision {
        if restarts.count >= self.most {
            return Decision::GiveUp;
        }
        let due = begin.plus(self.pause(restarts.count));
        // A time in the future means that the clock was set back. Waiting for it might take years.
        if now >= due || begin > now {
            Decision::Restart
        } else {
            Decision::Wait(due)
        }
    }
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
        let limits = RestartLimits::default();
        let mut now = at(1_000_000);
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        loop {
            match limits.after_exit(RestartPolicy::Always, failed(now), restarts, now) {
                Decision::Wait(due) => {
                    pauses.push(due.since(now).as_secs());
                    let ended = now;
                    now = due;
                    assert_eq!(
                        limits.after_exit(RestartPolicy::Always, failed(ended), restarts, now),
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
            RestartLimits::default().after_exit(policy, exit, Restarts::default(), at(1000))
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

    /// D16: only `on-unhealthy` and `always` act on a health check that fails.
    #[test]
    fn policies_differ_about_unhealthy_modules() {
        let limits = RestartLimits::default();
        let decide = |policy, count, now| {
            let restarts = Restarts { count, last: None };
            limits.while_unhealthy(policy, at(1000), restarts, at(now))
        };
        for policy in [RestartPolicy::Never, RestartPolicy::OnFailure] {
            assert_eq!(decide(policy, 0, 5000), Decision::Leave);
        }
        for policy in [RestartPolicy::OnUnhealthy, RestartPolicy::Always] {
            assert_eq!(decide(policy, 0, 1009), Decision::Wait(at(1010)));
            assert_eq!(decide(policy, 0, 1010), Decision::Restart);
            assert_eq!(decide(policy, 3, 1079), Decision::Wait(at(1080)));
            assert_eq!(decide(policy, 20, 5000), Decision::GiveUp);
            // The clock was set back.
            assert_eq!(decide(policy, 0, 500), Decision::Restart);
        }
    }

    /// D14.
    #[test]
    fn limits_are_those_that_were_set() {
        let limits = RestartLimits {
            first_pause: Duration::from_secs(1),
            most: 2,
            recovered_after: Duration::from_secs(60),
        };
        let decide = |count, now| {
            let restarts = Restarts { count, last: None };
            limits.after_exit(RestartPolicy::Always, failed(at(0)), restarts, at(now))
        };
        assert_eq!(decide(0, 1), Decision::Restart);
        assert_eq!(decide(1, 1), Decision::Wait(at(2)));
        assert_eq!(decide(2, 1000), Decision::GiveUp);
        assert!(limits.has_recovered(at(0), at(60)) && !limits.has_recovered(at(0), at(59)));
    }

    fn limits() -> impl Strategy<Value = RestartLimits> {
        (0_u64..300, 0_u32..30, 0_u64..10_000).prop_map(|(pause, most, recovered)| RestartLimits {
            first_pause: Duration::from_secs(pause),
            most,
            recovered_after: Duration::from_secs(recovered),
        })
    }

    proptest! {
        #[test]
        fn no_pause_is_longer_than_five_minutes(
            limits in limits(),
            count in 0_u32..30,
            ended in -1_000_000_i64..1_000_000,
            after in -1_000_000_i64..1_000_000,
        ) {
            let now = at(ended.saturating_add(after));
            let restarts = Restarts { count, last: None };
            let exit = failed(at(ended));
            let decide_at = |now| limits.after_exit(RestartPolicy::Always, exit, restarts, now);
            match decide_at(now) {
                Decision::Wait(due) => {
                    prop_assert!(due > now && due.since(now) <= LONGEST_PAUSE);
                    prop_assert_eq!(decide_at(due), Decision::Restart);
                }
                Decision::GiveUp => prop_assert!(count >= limits.most),
                Decision::Restart => prop_assert!(count < limits.most),
                Decision::Leave | Decision::Resume => {
                    prop_assert!(false, "`always` restarts after every exit");
                }
            }
        }

        #[test]
        fn pauses_never_shrink(limits in limits(), count in 0_u32..1000) {
            prop_assert!(limits.pause(count) <= limits.pause(count + 1));
        }
    }
}
