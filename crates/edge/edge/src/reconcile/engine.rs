//! The container engine, as the agent finds it: there or lost, and why containers have exited.

use ids::error_chain;
use wire::edge_api::local::Engine;
use wire::edge_api::manifest::{DesiredStatus, RestartPolicy};

use super::Agent;
use crate::clock;
use crate::desired::modules::{DesiredModule, DesiredModules};
use crate::plan::KnownExit;
use crate::runtime::{ContainerState, EndedBy, ModuleRuntime, Observed, RuntimeError};

impl<R: ModuleRuntime> Agent<R> {
    /// Asks an engine that is new, or was lost, for its version.
    pub(super) async fn meet_engine(&mut self) -> Result<(), RuntimeError> {
        if self.engine.is_some() {
            return Ok(());
        }
        let engine = self.runtime.engine().await?;
        tracing::info!(engine.version = %engine.version, "the container engine answers");
        let (uri, version) = (self.config.runtime.uri(), Some(engine.version.clone()));
        self.shared.update_status(|status| {
            status.engine = Engine {
                uri,
                version,
                problem: None,
            }
        });
        self.engine = Some(engine);
        self.engine_problem = None;
        self.engine_since = clock::now();
        self.memory.exits.clear();
        // The actions may have failed because there was no engine.
        self.memory.failures.clear();
        Ok(())
    }

    /// An engine that refuses something is not lost: what is known of it and of failures stays.
    pub(super) fn round_failed(&mut self, error: &RuntimeError) {
        let problem = error_chain(error);
        if self.engine.is_none() || matches!(error, RuntimeError::Unreachable { .. }) {
            self.engine_lost(&problem);
        } else {
            self.states_unknown(&problem);
        }
    }

    pub(super) fn engine_lost(&mut self, problem: &str) {
        self.engine = None;
        let uri = self.config.runtime.uri();
        self.shared.update_status(|status| {
            status.engine = Engine {
                uri,
                version: None,
                problem: Some(problem.to_owned()),
            }
        });
        self.states_unknown(problem);
    }

    /// Logs the problem once, and reports that the state of all modules is unknown.
    fn states_unknown(&mut self, problem: &str) {
        if self.engine_problem.as_deref() != Some(problem) {
            tracing::warn!(
                error = %problem,
                "the container engine cannot be used; trying again until it can"
            );
            self.engine_problem = Some(problem.to_owned());
        }
        let followed = self.shared.cloud_state.borrow().followed();
        let followed = followed.and_then(Result::ok);
        let deployment = followed.as_ref().map(|followed| {
            let rejected = followed.rejected.as_ref();
            let version = rejected.map_or(followed.version, |rejected| rejected.version);
            (&followed.manifest, version)
        });
        let before = self.shared.status().modules;
        let reporter = self.reporter();
        let report = reporter.without_engine(problem, deployment, &before);
        report.publish(&self.shared);
    }

    /// Asks the engine about containers that exited with 0 and may have to run: whether the program
    /// exited by itself, or somebody stopped it. Each exit is asked about once.
    pub(super) async fn find_own_exits(
        &mut self,
        desired: &DesiredModules,
        observed: &[Observed],
    ) -> Result<(), RuntimeError> {
        for found in observed {
            let ContainerState::Exited { code: 0, at } = found.state else {
                continue;
            };
            let module = &found.module;
            let known = self.memory.exits.get(module);
            let known = known.is_some_and(|known| known.is_of(&found.id, at));
            if known || at < self.engine_since || !desired.get(module).is_some_and(exit_matters) {
                continue;
            }
            let ended_by = match self.runtime.ended_by(found).await {
                Ok(ended_by) => ended_by,
                Err(lost @ RuntimeError::Unreachable { .. }) => return Err(lost),
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::warn!(module.id = %module, %error, "who ended it is not known");
                    EndedBy::Unknown
                }
            };
            let exit = KnownExit {
                container: found.id.clone(),
                at,
                ended_by,
            };
            self.memory.exits.insert(module.clone(), exit);
        }
        Ok(())
    }
}

/// Whether the restart policy of a module depends on who ended it.
fn exit_matters(desired: &DesiredModule) -> bool {
    let settings = &desired.settings;
    let depends = matches!(
        settings.restart_policy,
        RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy
    );
    depends && settings.status == DesiredStatus::Running
}
