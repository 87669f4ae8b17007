//! The agent's loop: look at what is desired and what is there, plan, act, tell. Level-triggered: every round starts from
//! scratch, so that a missed event costs five seconds and nothing else.

mod account;
mod act;
mod images;
mod pulls;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ids::{ModuleId, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;
use wire::edge_api::local::Engine;
use wire::edge_api::manifest::{AgentDesired, RestartPolicy};

use self::pulls::Pulls;
use crate::causes::chain_of;
use crate::clock;
use crate::config::Config;
use crate::desired::container::{Place, container, digest_of};
use crate::files::durable;
use crate::files::paths::Paths;
use crate::local_api::workload::ModuleSockets;
use crate::plan::restart_policy::Restarts;
use crate::plan::{Desired, Memory, Plan, REMOVAL, Remarks, Wanted, plan};
use crate::runtime::{
    Change, ContainerState, EndedBy, EngineInfo, ModuleRuntime, Observed, RuntimeError,
};
use crate::state::{Board, Situation};

/// Pause between rounds when nothing happens.
const ROUND: Duration = Duration::from_secs(5);
/// Events come in bursts; a round looks at all of them at once.
const SETTLE: Duration = Duration::from_millis(200);
/// Pause after the engine went away, so that one that refuses its events is not asked without end.
const ENGINE_PAUSE: Duration = Duration::from_secs(1);

/// The agent of one device. One task runs it for the life of a configuration.
pub struct Agent<R> {
    runtime: Arc<R>,
    board: Board,
    paths: Paths,
    config: Config,
    sockets: ModuleSockets,
    poke: Arc<Notify>,
    memory: Memory,
    pulls: Arc<Pulls>,
    memory_file: PathBuf,
    /// What of the memory is on disk.
    kept: Option<Kept>,
    engine: Option<EngineInfo>,
    /// What ended before was ended by something that took this program or the engine along.
    engine_since: Timestamp,
    /// Why the engine cannot be used, as last logged.
    engine_problem: Option<String>,
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
            pulls: Arc::default(),
            memory_file,
            kept: None,
            engine: None,
            engine_since: started,
            engine_problem: None,
            started,
        }
    }

    /// Runs until its task is ended. Containers stay as they are then.
    pub async fn run(mut self) {
        let mut situation = self.board.situation.subscribe();
        loop {
            situation.mark_unchanged();
            if let Err(error) = self.round().await {
                self.engine_lost(chain_of(&error));
            }
            self.board.rounds.send_modify(|rounds| *rounds += 1);
            // Every arm is cancel-safe: timers, a watch, a notification, and a stream of events that is begun anew.
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                changed = situation.changed() => if changed.is_err() { return },
                () = self.poke.notified() => {}
                change = self.runtime.changed() => match change {
                    Change::Container => tokio::time::sleep(SETTLE).await,
                    Change::EngineLost => {
                        self.engine = None;
                        tokio::time::sleep(ENGINE_PAUSE).await;
                    }
                },
            }
        }
    }

    fn engine_lost(&mut self, problem: String) {
        self.engine = None;
        if self.engine_problem.as_ref() != Some(&problem) {
            tracing::warn!(error = %problem, "the container engine cannot be used; trying again until it can");
            self.engine_problem = Some(problem.clone());
        }
        let (uri, known) = (self.config.runtime.uri(), problem.clone());
        self.board.show(|shown| {
            shown.engine = Engine {
                uri,
                version: None,
                problem: Some(known),
            }
        });
        self.account_unknown(&problem);
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
        let aim = Aim {
            wanted: self.wanted(&desired, &situation),
            desired: Arc::new(desired),
            version: document.version,
        };
        self.pulls
            .keep_only(|module| aim.wanted.contains_key(module));
        let observed = self.runtime.list().await?;
        self.look_into_ends(&aim.wanted, &observed).await?;
        let planned = plan(&aim.wanted, &observed, &self.memory, clock::now());
        self.memory
            .failures
            .retain(|module, _| planned.failing.contains(module));
        self.memory.pulling = self.pulls.modules();
        self.account(&aim, &observed, &planned);
        let acted = !planned.actions.is_empty();
        self.act(&aim, &planned).await;
        self.remember(&aim.wanted, planned);
        if acted {
            self.account_again(&aim).await?;
        }
        Ok(())
    }

    /// Asks the engine about containers that ended well: whether their program chose to end, or was told to.
    async fn look_into_ends(
        &mut self,
        wanted: &Desired,
        observed: &[Observed],
    ) -> Result<(), RuntimeError> {
        for found in observed {
            let ContainerState::Exited { code: 0, at } = found.state else {
                continue;
            };
            let concerns = wanted.get(&found.module).is_some_and(|wanted| {
                let policy = wanted.settings.restart_policy;
                matches!(
                    policy,
                    RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy
                )
            });
            let run = (found.id.clone(), at);
            let known = self.memory.ended_by_themselves.get(&found.module) == Some(&run);
            if concerns
                && !known
                && at >= self.engine_since
                && self.runtime.ended_by(found).await? != EndedBy::Request
            {
                self.memory
                    .ended_by_themselves
                    .insert(found.module.clone(), run);
            }
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
            self.engine_problem = None;
            self.engine_since = clock::now();
            self.memory.ended_by_themselves.clear();
            // What failed may have failed for want of an engine.
            self.memory.failures.clear();
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
                    desired.logging_options.as_ref(),
                )
            });
            let digest = spec.as_ref().map(|spec| &spec.digest);
            let credential = images::credential_for(desired, &settings.image_reference())
                .map(|(_, credential)| credential);
            let credential = credential.map(|c| [&c.address, &c.username, &c.password]);
            let attempt = digest_of(&json!([digest, settings.pull_policy, credential]));
            let wanted = Wanted {
                settings: settings.clone(),
                spec,
                attempt,
            };
            (module.clone(), wanted)
        });
        modules.collect()
    }

    /// Keeps the counts of restarts on disk, so that a restarted daemon does not give a crash loop a fresh start.
    fn remember(&mut self, wanted: &Desired, planned: Plan) {
        let memory = &mut self.memory;
        memory
            .failures
            .retain(|module, failure| failure.attempt == REMOVAL || wanted.contains_key(module));
        memory.restarts = planned.restarts;
        memory.resting = planned.resting;
        memory
            .remarks
            .retain(|module, remarks| !remarks.texts.is_empty() && wanted.contains_key(module));
        memory
            .ended_by_themselves
            .retain(|module, _| wanted.contains_key(module));
        let kept = Some((
            memory.restarts.clone(),
            memory.resting.clone(),
            memory.remarks.clone(),
        ));
        if self.kept == kept {
            return;
        }
        match durable::write_json(&self.memory_file, &self.memory) {
            Ok(()) => self.kept = kept,
            Err(error) => {
                tracing::error!(error = %chain_of(&error), "restarts cannot be counted beyond this run");
            }
        }
    }
}

/// What is to be brought about.
struct Aim {
    desired: Arc<AgentDesired>,
    version: u64,
    wanted: Desired,
}

type Kept = (
    BTreeMap<ModuleId, Restarts>,
    BTreeSet<ModuleId>,
    BTreeMap<ModuleId, Remarks>,
);

/// The modules' network on the engine: with a root folder of its own, a device has a network of its own.
#[must_use]
pub fn network(paths: &Paths, config: &Config) -> String {
    format!("{}{}", paths.name_prefix(), config.runtime.network)
}

#[cfg(test)]
mod tests;
