//! From what is wanted and what is there to what is to be done. Pure: the loop in `reconcile` acts on it.

use std::collections::BTreeMap;

use ids::{ModuleId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::manifest::{DesiredStatus, ModuleSettings, PullPolicy, RuntimeStatus};

use crate::restart_policy::{Decision, Restarts, decide, pause, proven};
use crate::runtime::{ContainerSpec, ContainerState, Observed};

/// A module as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What the deployment says.
    pub settings: ModuleSettings,
    /// Its container; `None` as long as the hub has not been asked for its identity.
    pub spec: Option<ContainerSpec>,
}

/// Everything that should be.
pub type Desired = BTreeMap<ModuleId, Wanted>;

/// One thing to do to a module's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Have the image on the device.
    Fetch,
    /// Stop the container.
    Stop,
    /// Remove it, not its volumes.
    Remove,
    /// Create it.
    Create,
    /// Start it.
    Start,
}

/// What to do to one module, in this order; a step that fails ends the module's turn and nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The module.
    pub module: ModuleId,
    /// What to do.
    pub steps: Vec<Step>,
    /// Why, for the log.
    pub why: &'static str,
}

/// How a module is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub status: RuntimeStatus,
    /// In words.
    pub description: String,
}

impl Verdict {
    fn new(status: RuntimeStatus, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
        }
    }
}

/// Something that could not be done, and when to try it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was attempted: a changed deployment is tried at once.
    pub digest: String,
    /// How often in a row.
    pub count: u32,
    /// When to try again.
    pub next: Timestamp,
    /// What went wrong.
    pub problem: String,
}

impl Failure {
    /// One more failure to bring about `digest`.
    #[must_use]
    pub fn after(earlier: Option<&Self>, digest: &str, problem: String, now: Timestamp) -> Self {
        let count = earlier
            .filter(|e| e.digest == digest)
            .map_or(0, |e| e.count);
        let next = now.plus(pause(count));
        Self {
            digest: digest.to_owned(),
            count: count.saturating_add(1),
            next,
            problem,
        }
    }
}

/// What the agent remembers of its modules between rounds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Restarts by policy.
    pub restarts: BTreeMap<ModuleId, Restarts>,
    /// What could not be done.
    #[serde(skip)]
    pub failures: BTreeMap<ModuleId, Failure>,
}

/// What to do now, and how everything is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In this order: removals, then modules by `startupOrder`.
    pub actions: Vec<Action>,
    /// How each wanted module is doing before the actions.
    pub verdicts: BTreeMap<ModuleId, Verdict>,
    /// Restarts, as they stand when the actions succeed.
    pub restarts: BTreeMap<ModuleId, Restarts>,
}

/// Compares and decides.
#[must_use]
pub fn plan(desired: &Desired, observed: &[Observed], memory: &Memory, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for found in observed
        .iter()
        .filter(|found| !desired.contains_key(&found.module))
    {
        let running = matches!(found.state, ContainerState::Running | ContainerState::Other);
        let steps = if running {
            vec![Step::Stop, Step::Remove]
        } else {
            vec![Step::Remove]
        };
        plan.actions.push(Action {
            module: found.module.clone(),
            steps,
            why: "it is not in the deployment",
        });
    }
    let mut in_order: Vec<_> = desired.iter().collect();
    in_order.sort_by_key(|(module, wanted)| (wanted.settings.startup_order, (*module).clone()));
    for (module, wanted) in in_order {
        let found = observed.iter().find(|found| found.module == *module);
        let restarts = memory.restarts.get(module).copied().unwrap_or_default();
        let turn = Turn {
            wanted,
            found,
            restarts,
            failure: memory.failures.get(module),
            now,
        };
        let outcome = turn.decide();
        if !outcome.steps.is_empty() {
            plan.actions.push(Action {
                module: module.clone(),
                steps: outcome.steps,
                why: outcome.why,
            });
        }
        plan.verdicts.insert(module.clone(), outcome.verdict);
        plan.restarts.insert(module.clone(), outcome.restarts);
    }
    plan
}

struct Turn<'a> {
    wanted: &'a Wanted,
    found: Option<&'a Observed>,
    restarts: Restarts,
    failure: Option<&'a Failure>,
    now: Timestamp,
}

struct Outcome {
    steps: Vec<Step>,
    why: &'static str,
    verdict: Verdict,
    restarts: Restarts,
}

impl Turn<'_> {
    fn decide(self) -> Outcome {
        let Some(spec) = &self.wanted.spec else {
            return self.without_identity();
        };
        if let Some(failure) = self
            .failure
            .filter(|f| f.digest == spec.digest && f.next > self.now)
        {
            let current = self.found.map(|found| self.observed_verdict(found).status);
            let status = current
                .filter(|s| *s == RuntimeStatus::Running)
                .unwrap_or(RuntimeStatus::Failed);
            let description = format!("{}; next attempt at {}", failure.problem, failure.next);
            return self.rest(Verdict::new(status, description));
        }
        match self.found {
            None => self.create(
                &[],
                "it is new",
                Verdict::new(RuntimeStatus::Unknown, "about to be created"),
            ),
            Some(found) if found.state == ContainerState::Dead => self.create(
                &[Step::Remove],
                "it is dead",
                Verdict::new(RuntimeStatus::Dead, "dead"),
            ),
            Some(found) if found.digest.as_deref() != Some(&spec.digest) => {
                let away: &[Step] = match found.state {
                    ContainerState::Running | ContainerState::Other => &[Step::Stop, Step::Remove],
                    _ => &[Step::Remove],
                };
                let verdict = self.observed_verdict(found);
                self.create(away, "its settings changed", verdict)
            }
            Some(found) => self.keep(found),
        }
    }

    /// Without an identity nothing can be created, but what runs goes on running.
    fn without_identity(self) -> Outcome {
        let verdict = match self.found {
            Some(found) => self.observed_verdict(found),
            None => Verdict::new(
                RuntimeStatus::Unknown,
                "waits for the hub to be reached, which issues its identity",
            ),
        };
        self.rest(verdict)
    }

    fn rest(self, verdict: Verdict) -> Outcome {
        Outcome {
            steps: Vec::new(),
            why: "",
            verdict,
            restarts: self.restarts,
        }
    }

    /// The image comes first, so that an old container runs until there is something to replace it.
    fn create(self, away: &[Step], why: &'static str, verdict: Verdict) -> Outcome {
        let mut steps = Vec::new();
        if self.wanted.settings.pull_policy == PullPolicy::OnCreate {
            steps.push(Step::Fetch);
        }
        steps.extend(away);
        steps.push(Step::Create);
        if self.wanted.settings.status == DesiredStatus::Running {
            steps.push(Step::Start);
        }
        // What is new has not failed yet.
        Outcome {
            steps,
            why,
            verdict,
            restarts: Restarts::default(),
        }
    }

    fn keep(self, found: &Observed) -> Outcome {
        let wants_to_run = self.wanted.settings.status == DesiredStatus::Running;
        let verdict = self.observed_verdict(found);
        let restarts = self.restarts;
        let act = |step, why, restarts| Outcome {
            steps: vec![step],
            why,
            verdict: verdict.clone(),
            restarts,
        };
        match found.state {
            ContainerState::Running if !wants_to_run => {
                act(Step::Stop, "it should be stopped", restarts)
            }
            ContainerState::Running
                if found
                    .started
                    .is_some_and(|started| proven(started, self.now)) =>
            {
                Outcome {
                    steps: Vec::new(),
                    why: "",
                    verdict,
                    restarts: Restarts {
                        count: 0,
                        ..restarts
                    },
                }
            }
            ContainerState::Created if wants_to_run => {
                act(Step::Start, "it was never started", restarts)
            }
            ContainerState::Exited { code, at } if wants_to_run => {
                let policy = self.wanted.settings.restart_policy;
                let again = Restarts {
                    count: restarts.count + 1,
                    last: Some(self.now),
                };
                match decide(policy, code, at, restarts, self.now) {
                    Decision::Restart => {
                        act(Step::Start, "its restart policy wants it to run", again)
                    }
                    Decision::Leave | Decision::Wait(_) | Decision::GiveUp => self.rest(verdict),
                }
            }
            _ => self.rest(verdict),
        }
    }

    fn observed_verdict(&self, found: &Observed) -> Verdict {
        let wants_to_run = self.wanted.settings.status == DesiredStatus::Running;
        match found.state {
            ContainerState::Running => Verdict::new(RuntimeStatus::Running, "running"),
            ContainerState::Created => Verdict::new(RuntimeStatus::Stopped, "created"),
            ContainerState::Dead => Verdict::new(RuntimeStatus::Dead, "dead"),
            ContainerState::Other => {
                Verdict::new(RuntimeStatus::Unknown, "paused or in transition")
            }
            ContainerState::Exited { code, at } => {
                let plain = if code == 0 || !wants_to_run {
                    RuntimeStatus::Stopped
                } else {
                    RuntimeStatus::Failed
                };
                let policy = self.wanted.settings.restart_policy;
                match decide(policy, code, at, self.restarts, self.now) {
                    Decision::Restart | Decision::Wait(_) if wants_to_run => {
                        let due = at.plus(pause(self.restarts.count));
                        Verdict::new(
                            RuntimeStatus::Backoff,
                            format!("ended with code {code}; starts again at {due}"),
                        )
                    }
                    Decision::GiveUp if wants_to_run => Verdict::new(
                        RuntimeStatus::Failed,
                        format!(
                            "ended with code {code} after {} restarts; given up until its deployment changes",
                            self.restarts.count
                        ),
                    ),
                    _ => Verdict::new(plain, format!("ended with code {code}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
