//! From what is wanted and what is there to what is to be done. Pure: the loop in `reconcile` acts on it.

pub mod restart_policy;

use std::collections::{BTreeMap, BTreeSet};

use ids::{ModuleId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::edge_api::manifest::{DesiredStatus, ModuleSettings, PullPolicy, RuntimeStatus};

use crate::plan::restart_policy::{Decision, End, Restarts, decide, pause, proven};
use crate::runtime::{ContainerSpec, ContainerState, Observed};

/// A module as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What the deployment says.
    pub settings: ModuleSettings,
    /// Its container; `None` as long as the hub has not been asked for its identity.
    pub spec: Option<ContainerSpec>,
    /// Fingerprint of all that bringing it about depends on: a change of any is a reason to try again at once.
    pub attempt: String,
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
    /// What was attempted: [`Wanted::attempt`], or [`REMOVAL`].
    pub attempt: String,
    /// How often in a row.
    pub count: u32,
    /// When to try again.
    pub next: Timestamp,
    /// What went wrong.
    pub problem: String,
}

/// [`Failure::attempt`] of a module that is to go.
pub const REMOVAL: &str = "removal";

impl Failure {
    /// One more failure of `attempt`.
    #[must_use]
    pub fn after(earlier: Option<&Self>, attempt: &str, problem: String, now: Timestamp) -> Self {
        let count = earlier
            .filter(|e| e.attempt == attempt)
            .map_or(0, |e| e.count);
        let next = now.plus(pause(count));
        Self {
            attempt: attempt.to_owned(),
            count: count.saturating_add(1),
            next,
            problem,
        }
    }
}

/// What was said about a container when it was created, and has no effect or another one than its deployment asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// [`ContainerSpec::digest`] of the container.
    pub digest: String,
    /// In words.
    pub texts: Vec<String>,
}

/// What the agent remembers of its modules between rounds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Restarts by policy.
    pub restarts: BTreeMap<ModuleId, Restarts>,
    /// Modules that were to be stopped when last looked at: when they are to run, their restart policy has no say.
    #[serde(default)]
    pub resting: BTreeSet<ModuleId>,
    /// Remarks on containers.
    #[serde(default)]
    pub remarks: BTreeMap<ModuleId, Remarks>,
    /// What could not be done.
    #[serde(skip)]
    pub failures: BTreeMap<ModuleId, Failure>,
    /// Modules whose image is being pulled.
    #[serde(skip)]
    pub pulling: BTreeSet<ModuleId>,
    /// Id and end of containers whose program chose to end, since runtime and engine are there.
    #[serde(skip)]
    pub ended_by_themselves: BTreeMap<ModuleId, (String, Timestamp)>,
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
    /// Modules that are to be stopped, or have not been started since.
    pub resting: BTreeSet<ModuleId>,
    /// Modules whose failure stands: what failed is still to be done.
    pub failing: BTreeSet<ModuleId>,
}

/// Compares and decides.
#[must_use]
pub fn plan(desired: &Desired, observed: &[Observed], memory: &Memory, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for found in observed
        .iter()
        .filter(|found| !desired.contains_key(&found.module))
    {
        plan.remove(found, memory, now);
    }
    let mut in_order: Vec<_> = desired.iter().collect();
    in_order.sort_by_key(|(module, wanted)| (wanted.settings.startup_order, (*module).clone()));
    for (module, wanted) in in_order {
        let found = observed.iter().find(|found| found.module == *module);
        let turn = Turn {
            wanted,
            found,
            restarts: memory.restarts.get(module).copied().unwrap_or_default(),
            rested: memory.resting.contains(module),
            pulling: memory.pulling.contains(module),
            ended_by_itself: memory.ended_by_themselves.get(module),
            now,
        };
        let failure = memory.failures.get(module);
        let failure = failure.filter(|failure| failure.attempt == wanted.attempt);
        let mut outcome = turn.decide();
        if let Some(failure) = failure.filter(|_| !outcome.steps.is_empty()) {
            plan.failing.insert(module.clone());
            if failure.next > now {
                outcome = turn.wait_after(failure, &outcome);
            }
        }
        if turn.still_rests() {
            plan.resting.insert(module.clone());
        }
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

impl Plan {
    fn remove(&mut self, found: &Observed, memory: &Memory, now: Timestamp) {
        let module = &found.module;
        let failure = memory.failures.get(module);
        if let Some(failure) = failure.filter(|failure| failure.attempt == REMOVAL) {
            self.failing.insert(module.clone());
            if failure.next > now {
                return;
            }
        }
        let running = matches!(found.state, ContainerState::Running | ContainerState::Other);
        let steps = if running {
            vec![Step::Stop, Step::Remove]
        } else {
            vec![Step::Remove]
        };
        self.actions.push(Action {
            module: module.clone(),
            steps,
            why: "it is not in the deployment",
        });
    }
}

#[derive(Clone, Copy)]
struct Turn<'a> {
    wanted: &'a Wanted,
    found: Option<&'a Observed>,
    restarts: Restarts,
    rested: bool,
    pulling: bool,
    ended_by_itself: Option<&'a (String, Timestamp)>,
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
        match self.found {
            None => self.create(
                &[],
                "it is new",
                Verdict::new(
                    RuntimeStatus::Unknown,
                    if self.pulling {
                        "its image is being pulled"
                    } else {
                        "about to be created"
                    },
                ),
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

    /// What `outcome` would do failed not long ago.
    fn wait_after(self, failure: &Failure, outcome: &Outcome) -> Outcome {
        let Failure { problem, next, .. } = failure;
        let next = next.in_seconds();
        let runs = outcome.verdict.status == RuntimeStatus::Running;
        let image = &self.wanted.settings.image;
        let verdict = match self.found.filter(|_| runs) {
            Some(found) if found.image != *image => Verdict::new(
                RuntimeStatus::Running,
                format!(
                    "runs {} as before, while {image} is wanted: {problem}; next attempt at {next}",
                    found.image
                ),
            ),
            Some(_) => Verdict::new(
                RuntimeStatus::Running,
                format!(
                    "runs as before, while it is wanted otherwise: {problem}; next attempt at {next}"
                ),
            ),
            None => Verdict::new(
                RuntimeStatus::Failed,
                format!("{problem}; next attempt at {next}"),
            ),
        };
        self.rest(verdict)
    }

    fn wants_to_run(&self) -> bool {
        self.wanted.settings.status == DesiredStatus::Running
    }

    fn still_rests(&self) -> bool {
        let runs = self
            .found
            .is_some_and(|found| found.state == ContainerState::Running);
        !self.wants_to_run() || (self.rested && self.found.is_some() && !runs)
    }

    /// Without an identity nothing can be created, but what runs goes on running.
    fn without_identity(self) -> Outcome {
        let verdict = match self.found {
            Some(found) => self.observed_verdict(found),
            None => Verdict::new(
                RuntimeStatus::Unknown,
                "waits for its identity, which the hub issues",
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
        let wants_to_run = self.wants_to_run();
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
            ContainerState::Exited { .. } if wants_to_run && self.rested => {
                act(Step::Start, "it should run again", Restarts::default())
            }
            ContainerState::Exited { code, at } if wants_to_run => {
                let again = Restarts {
                    count: restarts.count + 1,
                    last: Some(self.now),
                };
                match self.after_end(found, code, at) {
                    Decision::Restart => {
                        act(Step::Start, "its restart policy wants it to run", again)
                    }
                    Decision::Resume => act(Step::Start, "it was stopped from outside", restarts),
                    Decision::Leave | Decision::Wait(_) | Decision::GiveUp => self.rest(verdict),
                }
            }
            _ => self.rest(verdict),
        }
    }

    fn after_end(&self, found: &Observed, code: i64, at: Timestamp) -> Decision {
        let by_itself = self
            .ended_by_itself
            .is_some_and(|(id, end)| *id == found.id && *end == at);
        let end = End {
            code,
            at,
            by_itself,
        };
        let policy = self.wanted.settings.restart_policy;
        decide(policy, end, self.restarts, self.now)
    }

    fn observed_verdict(&self, found: &Observed) -> Verdict {
        let wants_to_run = self.wants_to_run();
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
                match self.after_end(found, code, at) {
                    Decision::Resume if wants_to_run => Verdict::new(
                        plain,
                        format!("ended with code {code}, stopped from outside; starts again"),
                    ),
                    Decision::Restart | Decision::Wait(_) if wants_to_run => {
                        let due = at.plus(pause(self.restarts.count)).in_seconds();
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
