//! Compares what should run with what runs, and decides what to do. Pure: `reconcile` acts on it.

mod health;
mod memory;
mod module;
pub mod restart_policy;

use std::collections::{BTreeMap, BTreeSet};

use ids::{ModuleId, Timestamp};

use self::module::ModuleInput;
use crate::desired::modules::{DesiredModules, NoSpec};
use crate::plan::restart_policy::{RestartLimits, Restarts};
use crate::runtime::{ContainerState, Observed};
pub use health::ModuleHealth;
pub use memory::{CreationWarnings, Failure, KnownExit, Memory, REMOVAL};

/// One operation on a module's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Fetch,
    /// Fail unless the image is on the device.
    CheckImage,
    Stop,
    /// Remove the container, not its volumes.
    Remove,
    Create,
    Start,
}

/// The steps for one module, in order. A step that fails ends the action of this module only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    pub module: ModuleId,
    pub steps: Vec<Step>,
    /// The reason, for the log.
    pub why: &'static str,
}

/// What to do now, and the state of every module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Removals first, then modules by `startupOrder`.
    pub actions: Vec<Action>,
    /// The health of every desired module before the actions.
    pub health: BTreeMap<ModuleId, ModuleHealth>,
    /// Restart counts after the actions, if they succeed.
    pub restarts: BTreeMap<ModuleId, Restarts>,
    /// Modules that should be stopped, or that have not been started since.
    pub stopped: BTreeSet<ModuleId>,
    /// Modules with a failed action that is still to be done.
    pub failing: BTreeSet<ModuleId>,
    /// Modules whose settings cannot be used, with the reason.
    pub faulty: BTreeMap<ModuleId, String>,
}

/// Decides for all modules of the device.
#[must_use]
pub fn plan(
    desired: &DesiredModules,
    observed: &[Observed],
    memory: &Memory,
    limits: &RestartLimits,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    for found in observed
        .iter()
        .filter(|found| !desired.contains_key(&found.module))
    {
        plan.remove(found, memory, now);
    }
    let mut in_order: Vec<_> = desired.iter().collect();
    in_order.sort_by_key(|(module, desired)| (desired.settings.startup_order, (*module).clone()));
    for (module, desired) in in_order {
        let found = observed.iter().find(|found| found.module == *module);
        let input = ModuleInput {
            desired,
            found,
            restarts: memory.restarts.get(module).copied().unwrap_or_default(),
            limits,
            was_stopped: memory.stopped.contains(module),
            pulling: memory.pulling.get(module).map(String::as_str),
            exit: memory.exits.get(module),
            now,
        };
        plan.bring_about(module, input, memory.failures.get(module));
    }
    plan
}

impl Plan {
    /// A container without a module in the deployment.
    fn remove(&mut self, found: &Observed, memory: &Memory, now: Timestamp) {
        let module = &found.module;
        let failure = memory.failures.get(module);
        if let Some(failure) = failure.filter(|failure| failure.attempt == REMOVAL) {
            self.failing.insert(module.clone());
            if failure.waits(now) {
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

    /// A module of the deployment, with its container if it has one.
    fn bring_about(&mut self, module: &ModuleId, input: ModuleInput<'_>, last: Option<&Failure>) {
        let failure = last.filter(|failure| failure.attempt == input.desired.attempt);
        if let Err(NoSpec::Faulty(problem)) = &input.desired.spec {
            self.faulty.insert(module.clone(), problem.clone());
        }
        let mut decided = input.decide();
        if let Some(failure) = failure.filter(|_| !decided.steps.is_empty()) {
            self.failing.insert(module.clone());
            if failure.waits(input.now) {
                decided = input.wait_after(failure, &decided);
            }
        }
        if input.stays_stopped() {
            self.stopped.insert(module.clone());
        }
        if !decided.steps.is_empty() {
            self.actions.push(Action {
                module: module.clone(),
                steps: decided.steps,
                why: decided.why,
            });
        }
        self.health.insert(module.clone(), decided.health);
        self.restarts.insert(module.clone(), decided.restarts);
    }
}

#[cfg(test)]
mod tests;
