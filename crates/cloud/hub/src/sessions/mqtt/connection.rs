//! What the hub says of a connection: its event, and the stamp on its messages.

use std::sync::Arc;

use ids::Identity;
use wire::telemetry::SenderStamp;

use crate::service::Hub;
use crate::sessions::prove::ProvenIdentity;

/// A connection does not fail because its event is not kept.
pub(super) async fn append_state(hub: &Hub, identity: &Identity, connected: bool) {
    let registry = hub.registry();
    let appended = registry.append_connection_state(identity, connected, hub.now());
    if let Err(error) = appended.await {
        tracing::warn!(
            hub.name = %identity.hub,
            device.id = %identity.device,
            error = &error as &dyn std::error::Error,
            "the event of a connection was not kept"
        );
    }
}

pub(super) fn stamp(proven: &ProvenIdentity, model_id: Option<String>) -> Arc<SenderStamp> {
    match model_id {
        None => proven.stamp().clone(),
        model_id => Arc::new(SenderStamp {
            model_id,
            ..SenderStamp::clone(proven.stamp())
        }),
    }
}
