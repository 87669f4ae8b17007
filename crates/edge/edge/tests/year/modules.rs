//! The modules of a runtime: the product's plan, acted on by a simulated engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use edge::desired::container::DeviceContext;
use edge::desired::modules::{Deployment, DesiredModules};
use edge::plan::restart_policy::RestartLimits;
use edge::plan::{Memory, Plan, Step, plan};
use edge::provision::assignment::DeviceLocation;
use edge::runtime::{ContainerState, Observed};
use ids::{GenerationId, ModuleId, Timestamp};
use serde_json::json;
use wire::edge_api::manifest::AgentDesired;

/// What the runtime keeps of its hub for a start without it: the desired properties are the same
/// for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    pub location: DeviceLocation,
    pub generation: u64,
}

/// The engine with its containers, which survive the runtime but not a loss of power.
#[derive(Debug, Default)]
pub struct Engine {
    containers: BTreeMap<ModuleId, Observed>,
    next_id: u32,
    /// What was desired last, and what followed from it.
    desired: Option<(Deployed, DesiredModules)>,
}

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    pub running: usize,
    /// Modules that ran and were stopped although their environment did not change.
    pub stopped: u64,
}

fn manifest() -> AgentDesired {
    let module = |order: u32| {
        json!({"type": "docker", "status": "running", "restartPolicy": "always",
            "imagePullPolicy": "never", "startupOrder": order,
            "settings": {"image": "sensor:1", "createOptions": "{}"}})
    };
    let desired = json!({
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
        "systemModules": {
            "edgeAgent": {"type": "docker", "settings": {"image": "a", "createOptions": "{}"}},
            "edgeHub": {"type": "docker", "status": "running", "restartPolicy": "always",
                "settings": {"image": "h", "createOptions": "{}"}},
        },
        "modules": {"gauge": module(0), "press": module(1)},
    });
    AgentDesired::parse(&desired).unwrap()
}

fn desired(deployed: &Deployed) -> DesiredModules {
    let manifest = manifest();
    let context = DeviceContext {
        root: PathBuf::from("/"),
        name_prefix: String::new(),
        network: "azure-iot-edge".to_owned(),
        device: deployed.location.device_id.clone(),
        hub: deployed.location.hub.clone(),
        elevated_permissions: true,
        agent_env: Vec::new(),
        logging: None,
    };
    let generation = GenerationId::from_number(deployed.generation);
    let names = manifest.modules.keys().cloned();
    let identities = names.map(|module| (module, generation.clone())).collect();
    let deployment = Deployment {
        manifest: &manifest,
        context: Some(&context),
        identities: &identities,
    };
    deployment.modules(|module| PathBuf::from("/mnt").join(module.as_str()))
}

impl Engine {
    /// Power failed: nothing runs any more.
    pub fn lose_power(&mut self, now: Timestamp) {
        for container in self.containers.values_mut() {
            container.state = ContainerState::Exited { code: 137, at: now };
        }
    }

    /// A round of the agent. Without a deployment it does nothing, as the product.
    pub fn round(
        &mut self,
        deployed: Option<&Deployed>,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Round {
        let mut round = Round::default();
        if let Some(deployed) = deployed {
            let last = self.desired.take().filter(|(last, _)| last == deployed);
            let modules = last.map_or_else(|| desired(deployed), |(_, modules)| modules);
            let observed: Vec<Observed> = self.containers.values().cloned().collect();
            let planned = plan(&modules, &observed, memory, &RestartLimits::default(), now);
            round.stopped = self.act(&modules, &planned, now);
            memory.restarts.clone_from(&planned.restarts);
            memory.stopped.clone_from(&planned.stopped);
            self.desired = Some((deployed.clone(), modules));
        }
        round.running = self.running();
        round
    }

    pub fn running(&self) -> usize {
        let runs = |one: &&Observed| one.state == ContainerState::Running;
        self.containers.values().filter(runs).count()
    }

    fn act(&mut self, modules: &DesiredModules, planned: &Plan, now: Timestamp) -> u64 {
        let mut stopped = 0;
        for action in &planned.actions {
            let module = &action.module;
            let wanted = modules.get(module);
            let spec = wanted.and_then(|wanted| wanted.spec.as_ref().ok());
            for step in &action.steps {
                match step {
                    Step::Fetch | Step::CheckImage => {}
                    Step::Stop => {
                        let found = self.containers.get(module);
                        let digest = found.and_then(|found| found.digest.as_ref());
                        let same = spec.map(|spec| &spec.digest) == digest;
                        stopped += u64::from(same || wanted.is_none());
                    }
                    Step::Remove => drop(self.containers.remove(module)),
                    Step::Create => {
                        self.next_id += 1;
                        let spec = spec.unwrap();
                        let created = Observed {
                            module: module.clone(),
                            id: self.next_id.to_string(),
                            image: spec.image.clone(),
                            image_id: None,
                            digest: Some(spec.digest.clone()),
                            create_options: None,
                            state: ContainerState::Created,
                            unhealthy: false,
                            started: None,
                        };
                        self.containers.insert(module.clone(), created);
                    }
                    Step::Start => {
                        let container = self.containers.get_mut(module).unwrap();
                        container.state = ContainerState::Running;
                        container.started = Some(now);
                    }
                }
            }
        }
        stopped
    }
}
