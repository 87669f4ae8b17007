//! Reports on the modules of the device: reported properties for the hub, and the status that the
//! owner sees. Pure, but for [`Report::publish`].

mod details;
mod reported;

use std::collections::BTreeMap;

use ids::{ModuleId, Timestamp};
use serde_json::{Map, Value};
use wire::edge_api::local::ModuleDetails;
use wire::edge_api::manifest::{AgentDesired, AgentReported, LastDesired, RuntimeStatus};

use crate::desired::Rejected;
use crate::desired::modules::{DesiredModule, Target};
use crate::plan::{Memory, ModuleHealth, Plan};
use crate::runtime::Observed;
use crate::state::{SharedState, send_if_changed};
use reported::within_twin_limit;

pub(crate) use details::agent_name;

pub(crate) struct Report {
    /// Reported properties; `None` leaves them as they are.
    reported: Option<Map<String, Value>>,
    modules: Vec<ModuleDetails>,
    version: Option<u64>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    /// Hands the report to the connection and to the local APIs.
    pub(crate) fn publish(self, shared: &SharedState) {
        if let Some(document) = self.reported {
            send_if_changed(&shared.reported, Some(document));
        }
        let mut modules = self.modules;
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        shared.update_status(|status| {
            status.modules = modules;
            status.deployment_version = self.version;
            status.deployment_problems = self.problems;
            status.deployment_warnings = self.warnings;
        });
    }
}

/// Makes reports from what the agent knows.
pub(crate) struct Reporter<'a> {
    pub(crate) memory: &'a Memory,
    /// The processor architecture, when the engine has answered.
    pub(crate) architecture: Option<&'a str>,
    /// When the agent started.
    pub(crate) started: Timestamp,
}

impl Reporter<'_> {
    /// While a deployment is followed.
    pub(crate) fn of_deployment(
        &self,
        target: &Target,
        observed: &[Observed],
        plan: &Plan,
    ) -> Report {
        let find = |module: &ModuleId| observed.iter().find(|found| found.module == *module);
        let mut problems = self.problems(plan);
        let mut reported = BTreeMap::new();
        let mut details = vec![details::of_agent(self.started)];
        let notes = target.options.notes.iter();
        let mut warnings: Vec<String> = notes.map(|note| format!("edgeAgent: {note}")).collect();
        for (module, desired) in &target.modules {
            let Some(health) = plan.health.get(module) else {
                continue;
            };
            let found = find(module);
            let texts = self.warnings(module, desired);
            warnings.extend(texts.map(|text| format!("{module}: {text}")));
            let health = self.with_warnings(module, desired, health);
            let settings = &desired.settings;
            let of_module = self.reported_module(module, settings, found, &health);
            reported.insert(module.clone(), of_module);
            // The image that runs, even if the deployment names another one.
            let image = found.map_or(&settings.image, |found| &found.image);
            details.push(details::of_module(module, image, found, Some(&health)));
        }
        let others = observed
            .iter()
            .filter(|found| !target.modules.contains_key(&found.module));
        details.extend(others.map(details::of_other));
        let mut agent = AgentReported {
            modules: reported,
            ..self.of_manifest(&target.manifest, target.version, &problems)
        };
        if let Some(rejected) = &target.rejected {
            note_rejected(&mut agent, rejected);
            problems.insert(0, rejected.error.to_string());
        }
        Report {
            reported: document(&agent),
            modules: details,
            version: Some(target.version),
            problems,
            warnings,
        }
    }

    /// While the engine does not answer: the state of all modules is unknown. `before` is what
    /// the last report said.
    pub(crate) fn without_engine(
        &self,
        problem: &str,
        deployment: Option<(&AgentDesired, u64)>,
        before: &[ModuleDetails],
    ) -> Report {
        let health = ModuleHealth::new(RuntimeStatus::Unknown, problem);
        let problems = vec![problem.to_owned()];
        let mut details: BTreeMap<ModuleId, ModuleDetails> = BTreeMap::new();
        let mut reported = None;
        if let Some((manifest, version)) = deployment {
            let mut modules = BTreeMap::new();
            for (module, settings) in &manifest.modules {
                let of_module = self.reported_module(module, settings, None, &health);
                modules.insert(module.clone(), of_module);
                let unknown = details::of_module(module, &settings.image, None, Some(&health));
                details.insert(module.clone(), unknown);
            }
            let agent = AgentReported {
                modules,
                ..self.of_manifest(manifest, version, &problems)
            };
            reported = document(&agent);
        }
        for module in before {
            let unknown = details::of_module(&module.name, module.image(), None, Some(&health));
            details.insert(module.name.clone(), unknown);
        }
        let agent = details::of_agent(self.started);
        details.insert(agent.name.clone(), agent);
        Report {
            reported,
            modules: details.into_values().collect(),
            version: deployment.map(|(_, version)| version),
            problems,
            warnings: Vec::new(),
        }
    }

    /// Without a deployment that can be followed: none has come yet, or it was rejected.
    pub(crate) fn without_deployment(
        &self,
        observed: &[Observed],
        rejected: Option<&Rejected>,
    ) -> Report {
        let reported = rejected.and_then(|rejected| {
            let mut agent = self.of_agent();
            note_rejected(&mut agent, rejected);
            document(&agent)
        });
        let mut modules = vec![details::of_agent(self.started)];
        modules.extend(observed.iter().map(details::of_other));
        Report {
            reported,
            modules,
            version: rejected.map(|rejected| rejected.version),
            problems: rejected
                .map(|rejected| rejected.error.to_string())
                .into_iter()
                .collect(),
            warnings: Vec::new(),
        }
    }

    /// Settings of a module without effect, or with another effect than the deployment asks for:
    /// those of the deployment, and those that the creation of its container gave.
    fn warnings<'a>(
        &'a self,
        module: &ModuleId,
        desired: &'a DesiredModule,
    ) -> impl Iterator<Item = &'a String> {
        let spec = desired.spec.as_ref().ok();
        let kept = self.memory.warnings.get(module);
        let kept = kept.filter(|kept| spec.is_some_and(|spec| spec.digest == kept.digest));
        let stated = spec.into_iter().flat_map(|spec| &spec.warnings);
        stated.chain(kept.into_iter().flat_map(|kept| &kept.texts))
    }

    fn with_warnings(
        &self,
        module: &ModuleId,
        desired: &DesiredModule,
        health: &ModuleHealth,
    ) -> ModuleHealth {
        let mut description = health.description.clone();
        for warning in self.warnings(module, desired) {
            description.push_str("; ");
            description.push_str(warning);
        }
        ModuleHealth::new(health.status, description)
    }

    fn problems(&self, plan: &Plan) -> Vec<String> {
        let failures = self.memory.failures.iter();
        failures
            .filter(|(module, _)| plan.failing.contains(*module))
            .map(|(module, failure)| (module, &failure.problem))
            .chain(&plan.faulty)
            .map(|(module, problem)| format!("{module}: {problem}"))
            .collect()
    }
}

fn note_rejected(agent: &mut AgentReported, rejected: &Rejected) {
    agent.last_desired_version = rejected.version;
    agent.last_desired_status = LastDesired {
        code: rejected.error.code(),
        description: within_twin_limit(rejected.error.to_string()),
    };
}

fn document(reported: &AgentReported) -> Option<Map<String, Value>> {
    match reported.to_json() {
        Value::Object(document) => Some(document),
        _ => None,
    }
}
