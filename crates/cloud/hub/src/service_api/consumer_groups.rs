//! `/muster/v1/hub/consumerGroups`: readers of the built-in endpoint, and their checkpoints.

use ids::ConsumerGroup;
use registry::{ConsumerGroupRecord, Right};
use rest::{Reply, delete, get, put};
use wire::muster_api;
use wire::muster_api::consumer_group::{
    Checkpoint, ConsumerGroupDocument, ConsumerGroupProperties,
};

use super::access::Access;
use super::{Call, Route, acting};
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryWrite, ServiceConnect};
    let reads = Access::AnyOf(&[ServiceConnect]);
    let writes = Access::AnyOf(&[ServiceConnect, RegistryWrite]);
    let group = "/muster/v1/hub/consumerGroups/{group}";
    let checkpoint = "/muster/v1/hub/consumerGroups/{group}/checkpoint";
    vec![
        get("/muster/v1/hub/consumerGroups", reads, list).without_version(),
        get(group, reads, read).without_version(),
        put(group, writes, write).without_version(),
        delete(group, writes, remove).without_version(),
        put(checkpoint, reads, keep).without_version(),
    ]
}

async fn list(call: Call) -> Result<Reply, HubError> {
    let groups = call.service.registry().consumer_groups(call.permit.hub());
    let rows: Vec<_> = groups.await?.into_iter().map(document).collect();
    Ok(Reply::json(&rows))
}

async fn read(call: Call, name: ConsumerGroup) -> Result<Reply, HubError> {
    let registry = call.service.registry();
    let group = registry.consumer_group(call.permit.hub(), &name).await?;
    Ok(Reply::json(&document(group)))
}

async fn write(call: Call, name: ConsumerGroup) -> Result<Reply, HubError> {
    let (hub, now) = (call.permit.hub(), call.service.now());
    let group = acting(&call).put_consumer_group(hub, &name, now).await?;
    Ok(Reply::json(&document(group)))
}

async fn remove(call: Call, name: ConsumerGroup) -> Result<Reply, HubError> {
    let hub = call.permit.hub();
    acting(&call).delete_consumer_group(hub, &name).await?;
    Ok(Reply::no_content())
}

/// Keeps how far the group is; durable when it is answered.
async fn keep(call: Call, name: ConsumerGroup) -> Result<Reply, HubError> {
    let Checkpoint { offset, .. } = muster_api::parse(&call.body)?;
    let (hub, now) = (call.permit.hub(), call.service.now());
    let registry = call.service.registry();
    registry.checkpoint(hub, &name, offset, now).await?;
    Ok(Reply::json(&Checkpoint {
        offset,
        updated: Some(now),
    }))
}

fn document(group: ConsumerGroupRecord) -> ConsumerGroupDocument {
    let checkpoint = group.checkpoint.map(|(offset, at)| Checkpoint {
        offset,
        updated: Some(at),
    });
    ConsumerGroupDocument {
        name: group.name,
        properties: ConsumerGroupProperties {
            created: group.created,
            checkpoint,
        },
    }
}
