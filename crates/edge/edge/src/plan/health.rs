//! The state of a module, as reports give it.

use ids::Timestamp;
use wire::edge_api::manifest::RuntimeStatus;

use super::module::ModuleInput;
use crate::plan::restart_policy::Decision;
use crate::runtime::{ContainerState, Observed};

/// The status of a module, with a description for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleHealth {
    pub status: RuntimeStatus,
    pub description: String,
}

impl ModuleHealth {
    pub(crate) fn new(status: RuntimeStatus, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
        }
    }
}

impl ModuleInput<'_> {
    /// The health of a module with a problem that keeps it from being as desired.
    pub(super) fn health_despite(&self, problem: &str, observed: &ModuleHealth) -> ModuleHealth {
        let runs = matches!(
            observed.status,
            RuntimeStatus::Running | RuntimeStatus::Unhealthy
        );
        let Some(found) = self.found.filter(|_| runs) else {
            return ModuleHealth::new(RuntimeStatus::Failed, problem);
        };
        let image = &self.desired.settings.image;
        let description = if found.image == *image {
            format!("runs as before, while it is wanted otherwise: {problem}")
        } else {
            let before = &found.image;
            format!("runs {before} as before, while {image} is wanted: {problem}")
        };
        ModuleHealth::new(observed.status, description)
    }

    pub(super) fn health_before_creation(&self) -> ModuleHealth {
        let description = match self.pulling {
            None => "about to be created".to_owned(),
            Some("") => "its image is being pulled".to_owned(),
            Some(progress) => format!("its image is being pulled: {progress}"),
        };
        ModuleHealth::new(RuntimeStatus::Unknown, description)
    }

    /// A container that runs goes on until the image of the next one is there.
    pub(super) fn health_before_update(&self, found: &Observed) -> ModuleHealth {
        let mut health = self.observed_health(found);
        if self.pulling.is_some() {
            let wanted = self.health_before_creation().description;
            health.description = format!("{}; as it is wanted now, {wanted}", health.description);
        }
        health
    }

    pub(super) fn observed_health(&self, found: &Observed) -> ModuleHealth {
        match found.state {
            ContainerState::Running if found.unhealthy => self.health_while_unhealthy(found),
            ContainerState::Running => ModuleHealth::new(RuntimeStatus::Running, "running"),
            ContainerState::Created => ModuleHealth::new(RuntimeStatus::Stopped, "created"),
            ContainerState::Dead => ModuleHealth::new(RuntimeStatus::Dead, "dead"),
            ContainerState::Other => ModuleHealth::new(
                RuntimeStatus::Unknown,
                "paused, in transition, or not described by the engine",
            ),
            ContainerState::Exited { code, at } => self.health_after_exit(found, code, at),
        }
    }

    fn health_while_unhealthy(&self, found: &Observed) -> ModuleHealth {
        let description = match self.while_unhealthy(found) {
            _ if !self.should_run() => "its health check fails".to_owned(),
            Decision::Wait(due) => {
                format!("its health check fails; restarts at {}", due.in_seconds())
            }
            Decision::GiveUp => format!(
                "its health check fails after {} restarts; \
                 given up until its deployment changes",
                self.restarts.count
            ),
            Decision::Restart => "its health check fails; restarts now".to_owned(),
            Decision::Leave | Decision::Resume => {
                "its health check fails; its restart policy leaves it running".to_owned()
            }
        };
        ModuleHealth::new(RuntimeStatus::Unhealthy, description)
    }

    fn health_after_exit(&self, found: &Observed, code: i64, at: Timestamp) -> ModuleHealth {
        let should_run = self.should_run();
        let plain = if code == 0 || !should_run {
            RuntimeStatus::Stopped
        } else {
            RuntimeStatus::Failed
        };
        match self.after_exit(found, code, at) {
            Decision::Resume if should_run => ModuleHealth::new(
                plain,
                format!("ended with code {code}, stopped from outside; starts again"),
            ),
            Decision::Restart | Decision::Wait(_) if should_run => {
                let due = at.plus(self.limits.pause(self.restarts.count)).in_seconds();
                ModuleHealth::new(
                    RuntimeStatus::Backoff,
                    format!("ended with code {code}; starts again at {due}"),
                )
            }
            Decision::GiveUp if should_run => ModuleHealth::new(
                RuntimeStatus::Failed,
                format!(
                    "ended with code {code} after {} restarts; \
                     given up until its deployment changes",
                    self.restarts.count
                ),
            ),
            _ => ModuleHealth::new(plain, format!("ended with code {code}")),
        }
    }
}
