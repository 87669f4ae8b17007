//! The modules as the local APIs list them.

use ids::{ModuleId, Timestamp};
use serde_json::{Value, json};
use wire::edge_api::local::{ExitStatus, ModuleDetails, ModuleState, ModuleStatus};
use wire::edge_api::manifest::RuntimeStatus;

use crate::plan::ModuleHealth;
use crate::runtime::{ContainerState, Observed};

/// The agent, which is part of this program.
pub(super) fn of_agent(started: Timestamp) -> ModuleDetails {
    ModuleDetails {
        id: String::new(),
        name: agent_name(),
        r#type: "docker".to_owned(),
        config: config(&agent_image()),
        status: ModuleStatus {
            start_time: Some(started),
            exit_status: None,
            runtime_status: ModuleState {
                status: RuntimeStatus::Running,
                description: "running".to_owned(),
            },
        },
    }
}

/// A container that belongs to no module of a deployment.
pub(super) fn of_other(found: &Observed) -> ModuleDetails {
    of_module(&found.module, &found.image, Some(found), None)
}

/// A module. Without a `health` it is not in a deployment.
pub(super) fn of_module(
    module: &ModuleId,
    image: &str,
    found: Option<&Observed>,
    health: Option<&ModuleHealth>,
) -> ModuleDetails {
    let exit = found.and_then(last_exit);
    let status = match health.map(|health| health.status) {
        // Azure's management API has no word for it.
        Some(RuntimeStatus::Backoff) if exit.is_some_and(|(code, _)| code == 0) => {
            RuntimeStatus::Stopped
        }
        Some(RuntimeStatus::Backoff) => RuntimeStatus::Failed,
        Some(status) => status,
        None => status_of(found),
    };
    let description = health.map_or_else(
        || "not in the deployment".to_owned(),
        |health| health.description.clone(),
    );
    ModuleDetails {
        id: found.map(|found| found.id.clone()).unwrap_or_default(),
        name: module.clone(),
        r#type: "docker".to_owned(),
        config: config(image),
        status: ModuleStatus {
            start_time: found.and_then(|found| found.started),
            exit_status: exit.map(|(code, exit_time)| ExitStatus {
                exit_time,
                status_code: code.to_string(),
            }),
            runtime_status: ModuleState {
                status,
                description,
            },
        },
    }
}

fn status_of(found: Option<&Observed>) -> RuntimeStatus {
    match found.map(|found| found.state) {
        Some(ContainerState::Running) if found.is_some_and(|found| found.unhealthy) => {
            RuntimeStatus::Unhealthy
        }
        Some(ContainerState::Running) => RuntimeStatus::Running,
        Some(ContainerState::Exited { code: 0, .. } | ContainerState::Created) => {
            RuntimeStatus::Stopped
        }
        Some(ContainerState::Exited { .. }) => RuntimeStatus::Failed,
        Some(ContainerState::Dead) => RuntimeStatus::Dead,
        Some(ContainerState::Other) | None => RuntimeStatus::Unknown,
    }
}

/// Exit code and time of a container that has exited.
pub(super) fn last_exit(found: &Observed) -> Option<(i64, Timestamp)> {
    match found.state {
        ContainerState::Exited { code, at } => Some((code, at)),
        _ => None,
    }
}

/// What stands for the agent's image: the name and version of this program.
pub(super) fn agent_image() -> String {
    concat!("aziot-edged ", env!("CARGO_PKG_VERSION")).to_owned()
}

pub(crate) fn agent_name() -> ModuleId {
    // The manifest and `iotedge list` spell it without the `$` of its identity.
    #[expect(clippy::expect_used, reason = "a constant")]
    ModuleId::parse("edgeAgent").expect("edgeAgent is a module id")
}

fn config(image: &str) -> Value {
    json!({"settings": {"image": image}, "env": []})
}
