//! The container engine, as the agent finds it: there or lost, and why containers have exited.

use wire::edge_api::local::Engine;
use wire::edge_api::manifest::RestartPolicy;

use super::{Agent, parse};
use crate::clock;
use crate::desired::modules::DesiredModules;
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
        self.memory.own_exits.clear();
        // The actions may have failed because there was no engine.
        self.memory.failures.clear();
        Ok(())
    }

    /// Logs the loss once, and reports that the state of all modules is unknown.
    pub(super) fn engine_lost(&mut self, problem: &str) {
        self.engine = None;
        if self.engine_problem.as_deref() != Some(problem) {
            tracing::warn!(
                error = %problem,
                "the container engine cannot be used; trying again until it can"
            );
            self.engine_problem = Some(problem.to_owned());
        }
        let uri = self.config.runtime.uri();
        self.shared.update_status(|status| {
            status.engine = Engine {
                uri,
                version: None,
                problem: Some(problem.to_owned()),
            }
        });
        let document = self.shared.cloud_state.borrow().desired.clone();
        let manifest =
            document.and_then(|document| Some((parse(&document).ok()?, document.version)));
        let deployment = manifest
            .as_ref()
            .map(|(manifest, version)| (manifest, *version));
        let before = self.shared.status().modules;
        let reporter = self.reporter();
        let report = reporter.without_engine(problem, deployment, &before);
        report.publish(&self.shared);
    }

    /// Asks the engine about containers that exited with 0: whether the program exited by itself,
    /// or somebody stopped it.
    pub(super) async fn find_own_exits(
        &mut self,
        desired: &DesiredModules,
        observed: &[Observed],
    ) -> Result<(), RuntimeError> {
        for found in observed {
            let ContainerState::Exited { code: 0, at } = found.state else {
                continue;
            };
            let matters = desired.get(&found.module).is_some_and(|desired| {
                matches!(
                    desired.settings.restart_policy,
                    RestartPolicy::OnFailure | RestartPolicy::OnUnhealthy
                )
            });
            let exit = (found.id.clone(), at);
            let known = self.memory.own_exits.get(&found.module) == Some(&exit);
            if matters
                && !known
                && at >= self.engine_since
                && self.runtime.ended_by(found).await? != EndedBy::Request
            {
                self.memory.own_exits.insert(found.module.clone(), exit);
            }
        }
        Ok(())
    }
}
