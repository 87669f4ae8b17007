//! The agent's loop: look at what is desired and what is there, plan, act, tell. Level-triggered: every round starts from
//! scratch, so that a missed event costs five seconds and nothing else.

mod account;
mod act;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ids::{ModuleId, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;
use wire::local_api::Engine;
use wire::manifest::AgentDesired;

use crate::causes::chain_of;
use crate::clock;
use crate::config::Config;
use crate::durable;
use crate::paths::Paths;
use crate::plan::{Desired, Memory, Plan, Wanted, plan};
use crate::runtime::{EngineInfo, ModuleRuntime, RuntimeError};
use crate::situation::{Board, Situation};
use crate::spec::{Place, container};
use crate::workload_api::ModuleSockets;

/// Pause between rounds when nothing happens.
const ROUND: Duration = Duration::from_secs(5);
/// Events come in bursts; a round looks at all of them at once.
const SETTLE: Duration = Duration::from_millis(200);

/// The agent of one device. One task runs it for the life of a configuration.
pub struct Agent<R> {
    runtime: Arc<R>,
    board: Board,
    paths: Paths,
    config: Config,
    sockets: ModuleSockets,
    poke: Arc<Notify>,
    memory: Memory,
    memory_file: PathBuf,
    engine: Option<EngineInfo>,
    started: Timestamp,
}

impl<R: ModuleRuntime> Agent<R> {
    /// An agent that runs the modules of `board` on `runtime`. `poke` begins a round at once.
    #[must_use]
    pub fn new(
        runtime: Arc<R>,
        board: Board,
        paths: Paths,
        config: Config,
        sockets: ModuleSockets,
        poke: Arc<Notify>,
    ) -> Self {
        let memory_file = paths.state().join("restarts.json");
        let memory = durable::read_json(&memory_file).unwrap_or_else(|error| {
            tracing::warn!(error = %chain_of(&error), "earlier restarts are forgotten");
            None
        });
        let memory = memory.unwrap_or_default();
        let started = clock::now();
        Self {
            runtime,
            board,
            paths,
            config,
            sockets,
            poke,
            memory,
            memory_file,
            engine: None,
            started,
        }
    }

    /// Runs until its task is ended. Containers stay as they are then.
    pub async fn run(mut self) {
        let mut situation = self.board.situation.subscribe();
        loop {
            situation.mark_unchanged();
            if let Err(error) = self.round().await {
                let problem = chain_of(&error);
                tracing::warn!(error = %problem, "the container engine cannot be used");
                self.engine = None;
                let uri = self.config.runtime.uri();
                self.board.show(|shown| {
                    shown.engine = Engine {
                        uri,
                        version: None,
                        problem: Some(problem),
                    }
                });
            }
            self.board.rounds.send_modify(|rounds| *rounds += 1);
            // Every arm is cancel-safe: timers, a watch, a notification, and a stream of events that is begun anew.
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                changed = situation.changed() => if changed.is_err() { return },
                () = self.poke.notified() => {}
                () = self.runtime.changed() => tokio::time::sleep(SETTLE).await,
            }
        }
    }

    async fn round(&mut self) -> Result<(), RuntimeError> {
        self.look_at_engine().await?;
        let situation = self.board.situation.borrow().clone();
        let modules = situation
            .identities
            .keys()
            .filter(|module| !module.is_system());
        self.sockets.ensure(modules.cloned().collect());
        let Some(document) = &situation.desired else {
            let observed = self.runtime.list().await?;
            self.account_undirected(&observed, None, None);
            return Ok(());
        };
        let desired = match AgentDesired::parse(&Value::Object(document.properties.clone())) {
            Ok(desired) => desired,
            Err(error) => {
                // What runs goes on: an unreadable deployment is no wish to remove anything.
                let observed = self.runtime.list().await?;
                self.account_undirected(&observed, Some(&error), Some(document.version));
                return Ok(());
            }
        };
        self.need(&desired);
        let wanted = self.wanted(&desired, &situation);
        let observed = self.runtime.list().await?;
        let planned = plan(&wanted, &observed, &self.memory, clock::now());
        self.account(&desired, document.version, &wanted, &observed, &planned);
        let acted = !planned.actions.is_empty();
        self.act(&desired, &wanted, &planned).await;
        self.remember(&wanted, planned);
        if acted {
            let observed = self.runtime.list().await?;
            let after = plan(&wanted, &observed, &self.memory, clock::now());
            self.account(&desired, document.version, &wanted, &observed, &after);
        }
        Ok(())
    }

    async fn look_at_engine(&mut self) -> Result<(), RuntimeError> {
        if self.engine.is_none() {
            let engine = self.runtime.engine().await?;
            tracing::info!(engine.version = %engine.version, "the container engine answers");
            let (uri, version) = (self.config.runtime.uri(), Some(engine.version.clone()));
            self.board.show(|shown| {
                shown.engine = Engine {
                    uri,
                    version,
                    problem: None,
                }
            });
            self.engine = Some(engine);
        }
        Ok(())
    }

    fn need(&self, desired: &AgentDesired) {
        let needed: BTreeSet<ModuleId> = desired.modules.keys().cloned().collect();
        self.board.needed.send_if_modified(|current| {
            let changed = current.as_ref() != Some(&needed);
            if changed {
                *current = Some(needed);
            }
            changed
        });
    }

    fn wanted(&self, desired: &AgentDesired, situation: &Situation) -> Desired {
        let place = situation.home.as_ref().map(|home| Place {
            root: self.paths.root().to_owned(),
            name_prefix: self.paths.name_prefix(),
            network: network(&self.paths, &self.config),
            device: home.device_id.clone(),
            hub: home.hub.clone(),
            elevated_permissions: self.config.elevated_permissions,
            agent_env: self.config.agent_env.clone(),
        });
        let logging = desired
            .logging_options
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let modules = desired.modules.iter().map(|(module, settings)| {
            let identity = place.as_ref().zip(situation.identities.get(module));
            let spec = identity.map(|(place, generation)| {
                let folder = self.paths.module_folder(module.as_str());
                container(
                    place,
                    module,
                    settings,
                    generation,
                    &folder,
                    logging.as_ref(),
                )
            });
            (
                module.clone(),
                Wanted {
                    settings: settings.clone(),
                    spec,
                },
            )
        });
        modules.collect()
    }

    /// Keeps the counts of restarts on disk, so that a restarted daemon does not give a crash loop a fresh start.
    fn remember(&mut self, wanted: &Desired, planned: Plan) {
        self.memory
            .failures
            .retain(|module, _| wanted.contains_key(module));
        if self.memory.restarts == planned.restarts {
            return;
        }
        self.memory.restarts = planned.restarts;
        if let Err(error) = durable::write_json(&self.memory_file, &self.memory) {
            tracing::error!(error = %chain_of(&error), "restarts cannot be counted beyond this run");
        }
    }
}

/// The modules' network on the engine: with a root folder of its own, a device has a network of its own.
#[must_use]
pub fn network(paths: &Paths, config: &Config) -> String {
    format!("{}{}", paths.name_prefix(), config.runtime.network)
}

#[cfg(test)]
mod tests;
