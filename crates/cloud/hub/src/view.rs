//! What the registry stores, as operators and devices see it: records become wire documents, with what only live sessions know.

use ids::{HubName, Identity, Timestamp};
use registry::twin::ConfigurationStatus;
use registry::{ConfigurationRecord, DeviceRecord, IdentityRecord, ModuleRecord, TwinRecord};
use serde_json::Value;
use wire::lenient::BodyError;
use wire::service_api::configuration::{
    Configuration, Content, DeploymentCounts, Metrics, system_queries,
};
use wire::service_api::identity::{
    Authentication, Capabilities, ConnectionState, Device, Module, Status,
};
use wire::twin::{ConfigurationState, Properties, Section, Twin};

use crate::presence::Shown;
use crate::sessions::Presence;

impl Presence {
    fn state(self) -> ConnectionState {
        if self.connected {
            ConnectionState::Connected
        } else {
            ConnectionState::Disconnected
        }
    }
}

pub(crate) fn device(record: DeviceRecord, shown: &Shown) -> Device {
    let presence = shown.presence;
    Device {
        device_id: record.device_id,
        generation_id: record.generation_id,
        etag: record.etag,
        connection_state: presence.state(),
        connection_state_updated_time: presence.updated,
        last_activity_time: presence.last_activity,
        status: record.status,
        status_reason: record.status_reason,
        status_updated_time: record.status_updated,
        cloud_to_device_message_count: 0,
        authentication: record.authentication,
        capabilities: Capabilities {
            iot_edge: record.iot_edge,
        },
        device_scope: record.device_scope,
        parent_scopes: record.parent_scopes,
    }
}

pub(crate) fn module(record: ModuleRecord, shown: &Shown) -> Module {
    let presence = shown.presence;
    Module {
        module_id: record.module_id,
        managed_by: record.managed_by,
        device_id: record.device_id,
        generation_id: record.generation_id,
        etag: record.etag,
        connection_state: presence.state(),
        connection_state_updated_time: presence.updated,
        last_activity_time: presence.last_activity,
        cloud_to_device_message_count: 0,
        authentication: record.authentication,
    }
}

/// Whose twin it is.
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

pub(crate) fn twin(record: TwinRecord, hub: &HubName, shown: Shown) -> Twin {
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
        model_id: shown.model_id,
        etag: record.twin.etag,
        device_etag: facts.etag,
        version: record.twin.version,
        status: facts.status,
        status_reason: facts.status_reason,
        status_update_time: facts.status_updated,
        connection_state: shown.presence.state(),
        last_activity_time: shown.presence.last_activity,
        cloud_to_device_message_count: 0,
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

/// What a twin shows of the identity behind it.
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

fn section(stored: registry::Section) -> Section {
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

/// `counts` are there for deployments. Custom metrics have no results until their queries are offered.
///
/// # Errors
/// When the stored content cannot be read.
pub(crate) fn configuration(
    record: &ConfigurationRecord,
    counts: Option<DeploymentCounts>,
) -> Result<Configuration, BodyError> {
    let content = Content::from_json(&record.content)?;
    Ok(Configuration {
        id: record.id.clone(),
        schema_version: record.schema_version.clone(),
        labels: record
            .labels
            .clone()
            .map(|labels| labels.into_iter().collect()),
        target_condition: record.target_condition.clone(),
        created: record.created,
        updated: record.updated,
        priority: i32::try_from(record.priority).unwrap_or(i32::MAX),
        system_metrics: Metrics {
            queries: system_queries(&record.id, &content, &record.target_condition),
            results: counts.map(DeploymentCounts::results).unwrap_or_default(),
        },
        metrics: Metrics {
            queries: record.metric_queries.clone().into_iter().collect(),
            results: Vec::new(),
        },
        etag: record.etag.clone(),
        content,
    })
}
