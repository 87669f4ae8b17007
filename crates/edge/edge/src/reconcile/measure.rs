//! What the agent counts about the modules of a deployment.

use std::time::Duration;

use tokio::time::Instant;
use wire::edge_api::manifest::{DesiredStatus, RuntimeStatus};

use super::Agent;
use crate::desired::modules::Target;
use crate::plan::Plan;

/// The longest time between two rounds that counts. After a longer one the machine was asleep.
const LONGEST: Duration = Duration::from_secs(60);

/// When the last round was, and since when a deployment is on its way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last_round: Option<Instant>,
    /// The version of the deployment that came last, and when, until it is followed in full.
    begun: Option<(u64, Option<Instant>)>,
}

impl<R> Agent<R> {
    pub(super) fn measure(&mut self, target: &Target, plan: &Plan) {
        let now = Instant::now();
        let metrics = &self.shared.metrics;
        if let Some(last) = self.progress.last_round.replace(now) {
            let modules = target
                .modules
                .iter()
                .filter(|(_, desired)| desired.settings.status == DesiredStatus::Running);
            let runs = modules.map(|(module, _)| {
                let health = plan.health.get(module);
                let runs = health.is_some_and(|health| health.status == RuntimeStatus::Running);
                (module, runs)
            });
            metrics.passed(now.duration_since(last).min(LONGEST), runs);
        }
        match self.progress.begun {
            Some((version, since)) if version == target.version => {
                let done = plan.actions.is_empty() && plan.failing.is_empty();
                if let Some(since) = since.filter(|_| done && plan.faulty.is_empty()) {
                    metrics.deployed(now.duration_since(since));
                    self.progress.begun = Some((version, None));
                }
            }
            _ => self.progress.begun = Some((target.version, Some(now))),
        }
    }
}
