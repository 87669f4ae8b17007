//! The agent's loop: read what is desired and what runs, plan, act, report.
//!
//! The loop is level-triggered: every round starts from scratch, so that a missed event costs five
//! seconds and nothing else.

mod act;
mod engine;
mod image_gc;
mod images;
mod measure;
mod memory;
mod pulls;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ids::{ModuleId, Timestamp};
use tokio::sync::Notify;
use wire::edge_api::manifest::AgentDesired;

use self::image_gc::ImageRecord;
use self::measure::Progress;
use self::memory::SavedMemory;
use self::pulls::Pulls;
use crate::clock;
use crate::config::Config;
use crate::desired::Rejected;
use crate::desired::agent_options::AgentOptions;
use crate::desired::container::DeviceContext;
use crate::desired::modules::{Deployment, Target};
use crate::files::paths::Paths;
use crate::local_api::workload::ModuleSockets;
use crate::metrics::{Exporter, MetricSources};
use crate::plan::{Memory, Plan, plan};
use crate::report::{Reporter, agent_name};
use crate::runtime::{Change, EngineInfo, ModuleRuntime, Observed, RuntimeError};
use crate::state::{CloudState, SharedState, send_if_changed};

/// Pause between rounds when nothing happens.
const ROUND: Duration = Duration::from_secs(5);
/// Pause after an event. Events come in bursts, and one round handles all of them.
const BURST: Duration = Duration::from_millis(200);
/// Pause after the engine has stopped answering.
const ENGINE_PAUSE: Duration = Duration::from_secs(1);

/// What an agent works with.
pub struct AgentParts<R> {
    pub runtime: Arc<R>,
    pub shared: SharedState,
    pub paths: Paths,
    pub config: Config,
    pub sockets: ModuleSockets,
    /// Starts a round at once.
    pub wake: Arc<Notify>,
}

/// The agent of one device. One task runs it for the life of a configuration.
pub struct Agent<R> {
    runtime: Arc<R>,
    shared: SharedState,
    paths: Paths,
    config: Config,
    sockets: ModuleSockets,
    wake: Arc<Notify>,
    memory: Memory,
    memory_file: PathBuf,
    /// The part of `memory` that the file holds.
    saved: Option<SavedMemory>,
    pulls: Arc<Pulls>,
    /// `None` until the engine has answered.
    engine: Option<EngineInfo>,
    /// When the engine first answered. A container that exited earlier may have been stopped
    /// together with the engine or with this program.
    engine_since: Timestamp,
    /// Why the engine cannot be used, as last logged.
    engine_problem: Option<String>,
    started: Timestamp,
    exporter: Exporter,
    progress: Progress,
    images: ImageRecord,
}

impl<R: ModuleRuntime> Agent<R> {
    #[must_use]
    pub fn new(parts: AgentParts<R>) -> Self {
        let memory_file = parts.paths.state().join("restarts.json");
        let started = clock::now();
        let images = ImageRecord::load(&parts.paths.state().join("images.json"));
        Self {
            runtime: parts.runtime,
            shared: parts.shared,
            paths: parts.paths,
            config: parts.config,
            sockets: parts.sockets,
            wake: parts.wake,
            memory: memory::load(&memory_file),
            memory_file,
            saved: None,
            pulls: Arc::default(),
            engine: None,
            engine_since: started,
            engine_problem: None,
            started,
            exporter: Exporter::default(),
            progress: Progress::default(),
            images,
        }
    }

    /// Runs until its task is aborted. Containers stay as they are then.
    pub async fn run(mut self) {
        let mut cloud_state = self.shared.cloud_state.subscribe();
        loop {
            cloud_state.mark_unchanged();
            match self.round().await {
                Ok(()) => self.engine_problem = None,
                Err(error) => self.round_failed(&error),
            }
            self.shared.rounds.send_modify(|rounds| *rounds += 1);
            // Every arm is cancel-safe: timers, a watch, a notification, and a stream of events
            // that starts anew each time.
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                changed = cloud_state.changed() => if changed.is_err() { return },
                () = self.wake.notified() => {}
                change = self.runtime.changed() => match change {
                    Change::Container => tokio::time::sleep(BURST).await,
                    Change::EngineLost => {
                        self.engine = None;
                        tokio::time::sleep(ENGINE_PAUSE).await;
                    }
                },
            }
        }
    }

    async fn round(&mut self) -> Result<(), RuntimeError> {
        self.meet_engine().await?;
        let cloud_state = self.shared.cloud_state.borrow().clone();
        let modules = cloud_state
            .identities
            .keys()
            .filter(|module| !module.is_system());
        self.sockets.ensure(modules.cloned().collect());
        let followed = match cloud_state.followed() {
            None => return self.wait_for_deployment(None).await,
            Some(Ok(followed)) => followed,
            // Modules that run go on: a deployment that cannot be read asks for no removal.
            Some(Err(rejected)) => return self.wait_for_deployment(Some(&rejected)).await,
        };
        let needed: BTreeSet<ModuleId> = followed.manifest.modules.keys().cloned().collect();
        send_if_changed(&self.shared.needed_identities, Some(needed));
        let target = Target {
            rejected: followed.rejected,
            ..self.target(followed.manifest, followed.version, &cloud_state)
        };
        self.follow(&target).await
    }

    /// Acts on the difference between a deployment and the containers, and reports.
    async fn follow(&mut self, target: &Target) -> Result<(), RuntimeError> {
        self.pulls
            .keep_only(|module| target.modules.contains_key(module));
        let observed = self.runtime.list().await?;
        self.find_own_exits(&target.modules, &observed).await?;
        self.memory.pulling = self.pulls.progress();
        let planned = self.plan(target, &observed);
        self.memory
            .failures
            .retain(|module, _| planned.failing.contains(module));
        self.report(target, &observed, &planned);
        let acts = !planned.actions.is_empty();
        self.measure(target, &planned);
        let address = target.options.metrics.as_ref();
        let (runtime, shared) = (self.runtime.clone(), self.shared.clone());
        let (state, started) = (self.paths.state(), self.started);
        let sources = || MetricSources::new(runtime, shared, state, started);
        self.exporter.follow(address, sources).await;
        self.act(target, &planned).await;
        self.collect_images(target, &observed).await;
        self.remember(&target.modules, planned);
        if acts {
            self.report_again(target).await?;
        }
        Ok(())
    }

    async fn wait_for_deployment(&self, rejected: Option<&Rejected>) -> Result<(), RuntimeError> {
        let observed = self.runtime.list().await?;
        let report = self.reporter().without_deployment(&observed, rejected);
        report.publish(&self.shared);
        Ok(())
    }

    fn target(&self, manifest: AgentDesired, version: u64, cloud_state: &CloudState) -> Target {
        let options = agent_options(&self.config, Some(&manifest));
        let location = cloud_state.location.as_ref();
        let context = location.map(|location| DeviceContext {
            root: self.paths.root().to_owned(),
            name_prefix: self.paths.name_prefix(),
            network: network(&self.paths, &self.config),
            device: location.device_id.clone(),
            hub: location.hub.clone(),
            elevated_permissions: self.config.elevated_permissions,
            agent_env: options.for_modules.clone(),
            logging: manifest.logging_options.clone(),
        });
        let deployment = Deployment {
            manifest: &manifest,
            context: context.as_ref(),
            identities: &cloud_state.identities,
        };
        Target {
            modules: deployment.modules(|module| self.paths.module_folder(module.as_str())),
            version,
            options,
            rejected: None,
            manifest: Arc::new(manifest),
        }
    }

    fn reporter(&self) -> Reporter<'_> {
        let engine = self.engine.as_ref();
        Reporter {
            memory: &self.memory,
            architecture: engine.map(|engine| engine.architecture.as_str()),
            started: self.started,
        }
    }

    fn report(&self, target: &Target, observed: &[Observed], plan: &Plan) {
        let report = self.reporter().of_deployment(target, observed, plan);
        report.publish(&self.shared);
    }

    /// Reports what runs now.
    async fn report_again(&mut self, target: &Target) -> Result<(), RuntimeError> {
        let observed = self.runtime.list().await?;
        self.memory.pulling = self.pulls.progress();
        let plan = self.plan(target, &observed);
        self.report(target, &observed, &plan);
        Ok(())
    }

    fn plan(&self, target: &Target, observed: &[Observed]) -> Plan {
        let limits = &target.options.limits;
        plan(
            &target.modules,
            observed,
            &self.memory,
            limits,
            clock::now(),
        )
    }
}

/// What the variables of the agent ask for, with those of the deployment, if there is one.
pub(crate) fn agent_options(config: &Config, manifest: Option<&AgentDesired>) -> AgentOptions {
    let settings = manifest.and_then(|manifest| manifest.system_modules.get(&agent_name()));
    AgentOptions::read(&config.agent_env, settings.map(|settings| &settings.env))
}

/// The modules' network on the engine. A device with a root folder of its own has a
/// network of its own.
#[must_use]
pub fn network(paths: &Paths, config: &Config) -> String {
    format!("{}{}", paths.name_prefix(), config.runtime.network.name)
}

#[cfg(test)]
mod tests;
