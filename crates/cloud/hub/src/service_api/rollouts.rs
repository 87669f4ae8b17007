//! `/muster/v1/hub/rollouts`: staged rollouts of deployments. Azure has no such operations; a
//! deployment under a rollout looks to its clients like any other.

use ids::ConfigurationId;
use registry::{Right, RolloutCommand};
use rest::{Reply, get, post};
use wire::lenient::BodyError;
use wire::muster_api::rollout::RolloutRequest;

use super::access::Access;
use super::{Call, Route, acting, json};
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    use RolloutCommand::{Abort, Pause, Resume};
    const ALL: &str = "/muster/v1/hub/rollouts";
    let reads = Access::AnyOf(&[ServiceConnect, RegistryRead]);
    let writes = Access::AnyOf(&[ServiceConnect, RegistryWrite]);
    vec![
        get(ALL, reads, list),
        post(ALL, writes, start),
        get("/muster/v1/hub/rollouts/{configuration}", reads, read),
        post(
            "/muster/v1/hub/rollouts/{configuration}/pause",
            writes,
            |call, id| command(call, id, Pause),
        ),
        post(
            "/muster/v1/hub/rollouts/{configuration}/resume",
            writes,
            |call, id| command(call, id, Resume),
        ),
        post(
            "/muster/v1/hub/rollouts/{configuration}/abort",
            writes,
            |call, id| command(call, id, Abort),
        ),
    ]
}

/// All that are remembered, also those that have ended, the latest first.
async fn list(call: Call) -> Result<Reply, HubError> {
    let registry = call.service.registry();
    let rollouts = registry.list_rollouts(call.permit.hub()).await?;
    Ok(Reply::json(&rollouts))
}

async fn read(call: Call, id: ConfigurationId) -> Result<Reply, HubError> {
    let registry = call.service.registry();
    let rollout = registry.rollout(call.permit.hub(), &id).await?;
    Ok(Reply::json(&rollout))
}

async fn start(call: Call) -> Result<Reply, HubError> {
    let request: RolloutRequest = serde_json::from_value(json(&call)?)
        .map_err(|error| BodyError::new("", error.to_string()))?;
    let hub = call.permit.hub();
    let rollout = acting(&call)
        .start_rollout(hub, request, call.service.now())
        .await?;
    tracing::info!(hub.name = %hub, configuration.id = %rollout.configuration_id, "rollout started");
    Ok(Reply::json(&rollout))
}

async fn command(
    call: Call,
    id: ConfigurationId,
    command: RolloutCommand,
) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    let rollout = acting(&call)
        .command_rollout(hub, &id, command, call.service.now())
        .await?;
    tracing::info!(hub.name = %hub, configuration.id = %id, ?command, "rollout changed");
    Ok(Reply::json(&rollout))
}
