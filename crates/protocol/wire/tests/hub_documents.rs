//! The documents of the hub's service API, byte for byte as they are sent. A difference here is a
//! change for every client.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use ids::{ConfigurationId, DeviceId, Etag, GenerationId, ModuleId, Timestamp};
use serde_json::{Map, Value, json};
use wire::service_api::configuration::{Configuration, Content, Metrics, system_queries};
use wire::service_api::identity::{
    Authentication, Capabilities, CertificateThumbprint, ConnectionState, Device, KeyText, Module,
    Status,
};
use wire::twin::{ConfigurationState, Properties, Section, Twin};

fn same(found: &impl serde::Serialize, golden: &str) {
    let found = serde_json::to_string_pretty(found).unwrap();
    assert_eq!(found.trim(), golden.trim(), "found:\n{found}");
}

fn moment() -> Timestamp {
    Timestamp::parse("2026-01-02T03:04:05.6789012Z").unwrap()
}

fn key(byte: u8) -> KeyText {
    KeyText::from_bytes(&[byte; 32]).unwrap()
}

fn etag(text: &str) -> Etag {
    Etag::parse(text).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn device() -> Device {
    Device {
        device_id: DeviceId::parse("edge-1").unwrap(),
        generation_id: GenerationId::from_number(638_000_000_000_000_001),
        etag: etag("MTIzNDU2"),
        connection_state: ConnectionState::Connected,
        connection_state_updated_time: moment(),
        last_activity_time: moment(),
        status: Status::Enabled,
        status_reason: None,
        status_updated_time: Timestamp::NEVER,
        cloud_to_device_message_count: 0,
        authentication: Authentication::Sas {
            primary: key(1),
            secondary: key(2),
        },
        capabilities: Capabilities { iot_edge: true },
        device_scope: Some("ms-azure-iot-edge://edge-1-638000000000000001".into()),
        parent_scopes: Vec::new(),
    }
}

fn module() -> Module {
    let thumbprint = CertificateThumbprint::parse(&"AB".repeat(20)).unwrap();
    Module {
        module_id: ModuleId::edge_agent(),
        managed_by: Some("IotEdge".into()),
        device_id: DeviceId::parse("edge-1").unwrap(),
        generation_id: GenerationId::from_number(638_000_000_000_000_002),
        etag: etag("MTIzNDU3"),
        connection_state: ConnectionState::Disconnected,
        connection_state_updated_time: Timestamp::NEVER,
        last_activity_time: Timestamp::NEVER,
        cloud_to_device_message_count: 0,
        authentication: Authentication::SelfSigned {
            primary: Some(thumbprint),
            secondary: None,
        },
    }
}

fn section(properties: Value, version: u64) -> Section {
    let metadata = json!({"$lastUpdated": moment().to_string(), "$lastUpdatedVersion": version});
    Section {
        properties: object(properties),
        metadata,
        version,
    }
}

fn twin() -> Twin {
    Twin {
        device_id: DeviceId::parse("edge-1").unwrap(),
        module_id: None,
        model_id: String::new(),
        etag: etag("AAAAAAAAAAE="),
        device_etag: etag("MTIzNDU2"),
        version: 2,
        status: Status::Enabled,
        status_reason: None,
        status_update_time: Timestamp::NEVER,
        connection_state: ConnectionState::Disconnected,
        last_activity_time: Timestamp::NEVER,
        cloud_to_device_message_count: 0,
        authentication: Authentication::CertificateAuthority,
        capabilities: Capabilities { iot_edge: true },
        device_scope: Some("ms-azure-iot-edge://edge-1-638000000000000001".into()),
        parent_scopes: Vec::new(),
        tags: object(json!({"environment": "test"})),
        properties: Properties {
            desired: section(json!({"interval": 5}), 1),
            reported: section(json!({}), 1),
        },
        configurations: vec![(
            ConfigurationId::parse("dep1").unwrap(),
            ConfigurationState::Applied,
        )],
    }
}

fn configuration() -> Configuration {
    let id = ConfigurationId::parse("dep1").unwrap();
    let content = Content::Modules(object(json!({"$edgeAgent": {"properties.desired": {}}})));
    let condition = "tags.environment='test'";
    Configuration {
        system_metrics: Metrics {
            queries: system_queries(&id, &content, condition),
            results: vec![("targetedCount".into(), 3), ("appliedCount".into(), 2)],
        },
        id,
        schema_version: Some("2.0".into()),
        labels: None,
        content,
        target_condition: condition.into(),
        created: moment(),
        updated: moment(),
        priority: 10,
        metrics: Metrics::default(),
        etag: etag("MQ=="),
    }
}

#[test]
fn a_device() {
    same(&device(), include_str!("golden/device.json"));
}

#[test]
fn a_device_for_callers_that_may_not_see_keys() {
    let answer = device().to_json(false);
    assert_eq!(
        answer["authentication"]["symmetricKey"],
        json!({"primaryKey": null, "secondaryKey": null})
    );
}

#[test]
fn a_module() {
    same(&module(), include_str!("golden/module.json"));
}

#[test]
fn a_module_for_its_device() {
    assert_eq!(module().to_daemon_json()["authentication"]["type"], "none");
}

#[test]
fn a_twin() {
    // R5, R7: the members that are always there, and those that are not when they are empty.
    same(&twin(), include_str!("golden/twin.json"));
    let full = Twin {
        model_id: "dtmi:com:example:Thermostat;1".into(),
        status_reason: Some("new".into()),
        parent_scopes: vec!["ms-azure-iot-edge://parent-1".into()],
        tags: Map::new(),
        ..twin()
    };
    let full = serde_json::to_value(&full).unwrap();
    assert_eq!(full["modelId"], "dtmi:com:example:Thermostat;1");
    assert_eq!(full["statusReason"], "new");
    assert_eq!(
        full["parentScopes"],
        json!(["ms-azure-iot-edge://parent-1"])
    );
    assert_eq!(full.get("tags"), None);
}

#[test]
fn a_configuration() {
    same(&configuration(), include_str!("golden/configuration.json"));
}
