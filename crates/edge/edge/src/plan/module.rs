//! The decision for one module.

use ids::Timestamp;
use wire::edge_api::manifest::{DesiredStatus, PullPolicy, RuntimeStatus};

use super::memory::KnownExit;
use super::{Failure, ModuleHealth, Step};
use crate::desired::modules::{DesiredModule, NoSpec};
use crate::plan::restart_policy::{Decision, Exit, RestartLimits, Restarts};
use crate::runtime::{ContainerState, EndedBy, Observed};

/// Everything that the decision depends on.
#[derive(Clone, Copy)]
pub(super) struct ModuleInput<'a> {
    pub(super) desired: &'a DesiredModule,
    pub(super) found: Option<&'a Observed>,
    pub(super) restarts: Restarts,
    pub(super) limits: &'a RestartLimits,
    pub(super) was_stopped: bool,
    pub(super) pulling: Option<&'a str>,
    pub(super) exit: Option<&'a KnownExit>,
    pub(super) now: Timestamp,
}

/// What to do to one module.
pub(super) struct ModulePlan {
    pub(super) steps: Vec<Step>,
    pub(super) why: &'static str,
    pub(super) health: ModuleHealth,
    pub(super) restarts: Restarts,
}

impl ModuleInput<'_> {
    pub(super) fn decide(self) -> ModulePlan {
        let spec = match &self.desired.spec {
            Ok(spec) => spec,
            Err(NoSpec::Identity) => return self.wait_for_identity(),
            Err(NoSpec::Faulty(problem)) => return self.without_options(problem),
        };
        match self.found {
            None => self.create(&[], "it is new", self.health_before_creation()),
            Some(found) if found.state == ContainerState::Dead => self.create(
                &[Step::Remove],
                "it is dead",
                ModuleHealth::new(RuntimeStatus::Dead, "dead"),
            ),
            Some(found) if found.digest.as_deref() != Some(&spec.digest) => {
                let away: &[Step] = match found.state {
                    ContainerState::Running | ContainerState::Other => &[Step::Stop, Step::Remove],
                    _ => &[Step::Remove],
                };
                self.create(
                    away,
                    "its settings changed",
                    self.health_before_update(found),
                )
            }
            Some(found) => self.keep(found),
        }
    }

    /// The plan while the last failure of `decided` has not reached its next attempt.
    pub(super) fn wait_after(self, failure: &Failure, decided: &ModulePlan) -> ModulePlan {
        let Failure { problem, next, .. } = failure;
        let next = next.in_seconds();
        let problem = format!("{problem}; next attempt at {next}");
        self.no_steps(self.health_despite(&problem, &decided.health))
    }

    /// Whether the module counts as stopped in the next round too.
    pub(super) fn stays_stopped(&self) -> bool {
        let runs = self
            .found
            .is_some_and(|found| found.state == ContainerState::Running);
        !self.should_run() || (self.was_stopped && self.found.is_some() && !runs)
    }

    pub(super) fn should_run(&self) -> bool {
        self.desired.settings.status == DesiredStatus::Running
    }

    /// Without an identity no container can be created. A container that runs goes on.
    fn wait_for_identity(self) -> ModulePlan {
        let health = match self.found {
            Some(found) => self.observed_health(found),
            None => ModuleHealth::new(
                RuntimeStatus::Unknown,
                "waits for its identity, which the hub issues",
            ),
        };
        self.no_steps(health)
    }

    /// createOptions that cannot be used. A container that is there goes on with its own.
    fn without_options(self, problem: &str) -> ModulePlan {
        match self.found {
            None => self.no_steps(ModuleHealth::new(RuntimeStatus::Failed, problem)),
            Some(found) => {
                let plan = self.keep(found);
                ModulePlan {
                    health: self.health_despite(problem, &plan.health),
                    ..plan
                }
            }
        }
    }

    fn no_steps(self, health: ModuleHealth) -> ModulePlan {
        ModulePlan {
            steps: Vec::new(),
            why: "",
            health,
            restarts: self.restarts,
        }
    }

    /// The image comes first, so that the old container runs until the new one can be created.
    fn create(self, away: &[Step], why: &'static str, health: ModuleHealth) -> ModulePlan {
        let mut steps = Vec::new();
        match self.desired.settings.pull_policy {
            PullPolicy::OnCreate => steps.push(Step::Fetch),
            PullPolicy::Never if !away.is_empty() => steps.push(Step::CheckImage),
            PullPolicy::Never => {}
        }
        steps.extend(away);
        steps.push(Step::Create);
        if self.should_run() {
            steps.push(Step::Start);
        }
        ModulePlan {
            steps,
            why,
            health,
            // A new container has no failures yet.
            restarts: Restarts::default(),
        }
    }

    fn keep(self, found: &Observed) -> ModulePlan {
        let should_run = self.should_run();
        let health = self.observed_health(found);
        let restarts = self.restarts;
        let recovered = found
            .started
            .is_some_and(|started| self.limits.has_recovered(started, self.now));
        let act = |step, why, restarts| ModulePlan {
            steps: vec![step],
            why,
            health: health.clone(),
            restarts,
        };
        let once_more = Restarts {
            count: restarts.count.saturating_add(1),
            last: Some(self.now),
        };
        match found.state {
            ContainerState::Running if !should_run => {
                act(Step::Stop, "it should be stopped", restarts)
            }
            ContainerState::Running if found.unhealthy => match self.while_unhealthy(found) {
                Decision::Restart => ModulePlan {
                    steps: vec![Step::Stop, Step::Start],
                    ..act(Step::Stop, "its health check fails", once_more)
                },
                _ => self.no_steps(health),
            },
            ContainerState::Running if recovered => ModulePlan {
                restarts: Restarts {
                    count: 0,
                    ..restarts
                },
                ..self.no_steps(health)
            },
            ContainerState::Created if should_run => {
                act(Step::Start, "it was never started", restarts)
            }
            ContainerState::Exited { .. } if should_run && self.was_stopped => {
                act(Step::Start, "it should run again", Restarts::default())
            }
            ContainerState::Exited { code, at } if should_run => {
                match self.after_exit(found, code, at) {
                    Decision::Restart => {
                        let why = "its restart policy wants it to run";
                        act(Step::Start, why, once_more)
                    }
                    Decision::Resume => act(Step::Start, "it was stopped from outside", restarts),
                    Decision::Leave | Decision::Wait(_) | Decision::GiveUp => self.no_steps(health),
                }
            }
            _ => self.no_steps(health),
        }
    }

    pub(super) fn after_exit(&self, found: &Observed, code: i64, at: Timestamp) -> Decision {
        let by_itself = self
            .exit
            .is_some_and(|exit| exit.is_of(&found.id, at) && exit.ended_by != EndedBy::Request);
        let exit = Exit {
            code,
            at,
            by_itself,
        };
        let policy = self.desired.settings.restart_policy;
        self.limits
            .after_exit(policy, exit, self.restarts, self.now)
    }

    pub(super) fn while_unhealthy(&self, found: &Observed) -> Decision {
        let policy = self.desired.settings.restart_policy;
        let started = found.started.unwrap_or(Timestamp::NEVER);
        self.limits
            .while_unhealthy(policy, started, self.restarts, self.now)
    }
}
