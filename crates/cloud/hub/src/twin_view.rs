//! Twins as operators, queries and devices read them: what is stored, with what live sessions know.

use ids::{HubName, Identity, Timestamp};
use registry::query::Connection;
use registry::twin::ConfigurationStatus;
use registry::{IdentityRecord, TwinRecord};
use serde_json::Value;
use wire::service_api::identity::{Authentication, Capabilities, ConnectionState, Status};
use wire::twin::{ConfigurationState, Properties, Section, Twin};

pub(crate) fn connection_state(connected: bool) -> ConnectionState {
    match connected {
        true => ConnectionState::Connected,
        false => ConnectionState::Disconnected,
    }
}

/// The device or module that a twin belongs to.
pub(crate) fn identity(record: &TwinRecord, hub: &HubName) -> Identity {
    match &record.identity {
        IdentityRecord::Device(device) => Identity::device(hub.clone(), device.device_id.clone()),
        IdentityRecord::Module { module, .. } => Identity::module(
            hub.clone(),
            module.device_id.clone(),
            module.module_id.clone(),
        ),
    }
}

pub(crate) fn twin(record: TwinRecord, hub: &HubName, known: Connection) -> Twin {
    let identity = identity(&record, hub);
    let facts = Facts::of(record.identity);
    let configurations = record.twin.configurations.into_iter().map(|(id, status)| {
        let state = match status {
            ConfigurationStatus::Targeted => ConfigurationState::Targeted,
            ConfigurationStatus::Applied => ConfigurationState::Applied,
        };
        (id, state)
    });
    Twin {
        device_id: identity.device,
        module_id: identity.module,
        model_id: known.model_id,
        etag: record.twin.etag,
        device_etag: facts.etag,
        version: record.twin.version,
        status: facts.status,
        status_reason: facts.status_reason,
        status_update_time: facts.status_updated,
        connection_state: connection_state(known.connected),
        last_activity_time: known.last_activity,
        cloud_to_device_message_count: known.pending_messages,
        authentication: facts.authentication,
        capabilities: facts.capabilities,
        device_scope: facts.device_scope,
        parent_scopes: facts.parent_scopes,
        tags: record.twin.tags,
        properties: Properties {
            desired: section(record.twin.desired),
            reported: section(record.twin.reported),
        },
        configurations: configurations.collect(),
    }
}

/// The members of a twin that come from its identity.
struct Facts {
    etag: ids::Etag,
    status: Status,
    status_reason: Option<String>,
    status_updated: Timestamp,
    authentication: Authentication,
    capabilities: Capabilities,
    device_scope: Option<String>,
    parent_scopes: Vec<String>,
}

impl Facts {
    fn of(record: IdentityRecord) -> Self {
        match record {
            IdentityRecord::Device(device) => Self {
                etag: device.etag,
                status: device.status,
                status_reason: device.status_reason,
                status_updated: device.status_updated,
                authentication: device.authentication,
                capabilities: Capabilities {
                    iot_edge: device.iot_edge,
                },
                device_scope: device.device_scope,
                parent_scopes: device.parent_scopes,
            },
            IdentityRecord::Module {
                module,
                device_status,
            } => Self {
                etag: module.etag,
                status: device_status,
                status_reason: None,
                status_updated: Timestamp::NEVER,
                authentication: module.authentication,
                capabilities: Capabilities::default(),
                device_scope: None,
                parent_scopes: Vec::new(),
            },
        }
    }
}

pub(crate) fn section(stored: registry::Section) -> Section {
    Section {
        properties: stored.document,
        metadata: Value::Object(stored.metadata),
        version: stored.version,
    }
}

/// The answer to a device's twin GET.
pub(crate) fn device_twin(record: TwinRecord) -> Value {
    wire::twin::device_twin(
        &section(record.twin.desired),
        &section(record.twin.reported),
    )
}
