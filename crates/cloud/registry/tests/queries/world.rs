//! A registry with random twins, and the documents that the naive evaluator looks at.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use registry::query::{Connection, Query};
use registry::{
    Connections, Entropy, IdentityRecord, IfMatch, Init, LastSeen, PageRequest, QueryRows,
    Registry, Retention, TwinPatch, TwinRecord, TwinReplacement,
};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use wire::service_api::identity::{DeviceRequest, ModuleRequest, Status};

use crate::generate::{self, Dice};

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Every third device is connected.
struct Every3;

fn connected(device: &str) -> bool {
    device
        .bytes()
        .map(usize::from)
        .sum::<usize>()
        .is_multiple_of(3)
}

impl Connections for Every3 {
    fn connection(&self, identity: &Identity, stored: LastSeen) -> Connection {
        Connection {
            connected: connected(identity.device.as_str()),
            last_activity: stored.active,
            model_id: stored.model_id.unwrap_or_default(),
            pending_messages: 0,
        }
    }
}

pub(crate) fn connections() -> Arc<dyn Connections> {
    Arc::new(Every3)
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

pub(crate) fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

pub(crate) fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

pub(crate) async fn open(directory: &Path) -> Registry {
    let init = Init {
        rehearse: false,
        hub_name: hub(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(Zeros),
    };
    Registry::open(directory, init, Retention::default(), now())
        .await
        .unwrap()
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What is written of a device or module: tags twice, so that the index has something to forget.
pub(crate) struct Documents {
    pub(crate) tags_before: Value,
    pub(crate) tags: Value,
    pub(crate) desired: Value,
    pub(crate) reported: Value,
}

impl Documents {
    fn roll(dice: &mut Dice) -> Self {
        Self {
            tags_before: generate::tags(dice),
            tags: generate::tags(dice),
            desired: generate::properties(dice),
            reported: generate::properties(dice),
        }
    }

    /// Writes a twin.
    pub(crate) async fn write(self, registry: &Registry, identity: &Identity) {
        let before = TwinPatch {
            tags: Some(map(self.tags_before)),
            desired: None,
        };
        let patched = registry.patch_twin(identity, before, &IfMatch::Any, now());
        patched.await.unwrap();
        let replacement = TwinReplacement {
            tags: Some(map(self.tags)),
            desired: Some(map(self.desired)),
        };
        let replaced = registry.replace_twin(identity, replacement, &IfMatch::Any, now());
        replaced.await.unwrap();
        let reported = registry.patch_reported(identity, map(self.reported), None, now());
        reported.await.unwrap();
    }
}

/// A device as it is rolled, before it is written.
struct RandomDevice {
    id: String,
    edge: bool,
    enabled: bool,
    twin: Documents,
    /// That of its module `camera`.
    camera: Option<Documents>,
}

impl RandomDevice {
    fn roll(dice: &mut Dice, number: usize) -> Self {
        Self {
            id: generate::device_id(number),
            edge: dice.one_in(4),
            enabled: !dice.one_in(5),
            twin: Documents::roll(dice),
            camera: dice.one_in(3).then(|| Documents::roll(dice)),
        }
    }

    /// Writes it; its document, and those of its modules.
    async fn write(self, registry: Registry) -> (Value, Vec<Value>) {
        let (hub, id) = (hub(), device(&self.id));
        let status = match self.enabled {
            true => Status::Enabled,
            false => Status::Disabled,
        };
        let request = DeviceRequest {
            iot_edge: Some(self.edge),
            status: Some(status),
            ..DeviceRequest::default()
        };
        let put = registry.put_device(&hub, &id, request, &IfMatch::Absent, now());
        put.await.unwrap();
        let identity = Identity::device(hub.clone(), id.clone());
        self.twin.write(&registry, &identity).await;
        let facts = facts(&self.id, self.enabled);
        let extra = json!({"capabilities": {"iotEdge": self.edge}});
        let device = read_twin(&registry, &identity, [&facts, &extra]).await;
        let mut names = Vec::new();
        if let Some(camera) = self.camera {
            let module = ModuleId::parse("camera").unwrap();
            let request = ModuleRequest::default();
            let put = registry.put_module(&hub, &id, &module, request, &IfMatch::Absent, now());
            put.await.unwrap();
            let identity = Identity::module(hub.clone(), id.clone(), module);
            camera.write(&registry, &identity).await;
            names.push("camera");
        }
        if self.edge {
            names.extend(["$edgeAgent", "$edgeHub"]);
        }
        let mut modules = Vec::new();
        for name in names {
            let module = ModuleId::parse(name).unwrap();
            let identity = Identity::module(hub.clone(), id.clone(), module);
            let extra = json!({"moduleId": name});
            modules.push(read_twin(&registry, &identity, [&facts, &extra]).await);
        }
        (device, modules)
    }
}

fn facts(device: &str, enabled: bool) -> Value {
    json!({
        "deviceId": device, "status": if enabled { "enabled" } else { "disabled" },
        "connectionState": if connected(device) { "Connected" } else { "Disconnected" },
    })
}

/// Writes a fleet; the documents of its devices and of its modules.
pub(crate) async fn fleet(
    registry: &Registry,
    dice: &mut Dice,
    devices: usize,
) -> (Vec<Value>, Vec<Value>) {
    let mut writing = JoinSet::new();
    for number in 0..devices {
        writing.spawn(RandomDevice::roll(dice, number).write(registry.clone()));
    }
    let (mut devices, mut modules) = (Vec::new(), Vec::new());
    for (device, its_modules) in writing.join_all().await {
        devices.push(device);
        modules.extend(its_modules);
    }
    (devices, modules)
}

async fn read_twin(registry: &Registry, identity: &Identity, facts: [&Value; 2]) -> Value {
    let record = registry.twin(identity).await.unwrap();
    let mut document = Map::new();
    if !record.twin.tags.is_empty() {
        document.insert("tags".to_owned(), Value::Object(record.twin.tags));
    }
    document.insert("version".to_owned(), record.twin.version.into());
    let (desired, reported) = (record.twin.desired, record.twin.reported);
    let properties = json!({
        "desired": desired.with_metadata(), "reported": reported.with_metadata(),
    });
    document.insert("properties".to_owned(), properties);
    for facts in facts {
        document.extend(map(facts.clone()));
    }
    Value::Object(document)
}

/// What is compared of the twins of `SELECT *`.
pub(crate) const WHOLE: [&str; 6] = [
    "deviceId",
    "moduleId",
    "status",
    "version",
    "tags",
    "properties",
];

fn whole(record: TwinRecord) -> Value {
    let (identity, twin) = (record.identity, record.twin);
    let (device, module, status) = match identity {
        IdentityRecord::Device(device) => (device.device_id, None, device.status),
        IdentityRecord::Module {
            module,
            device_status,
        } => (module.device_id, Some(module.module_id), device_status),
    };
    let (desired, reported) = (twin.desired, twin.reported);
    let row = json!({
        "deviceId": device, "moduleId": module, "status": status, "version": twin.version,
        "tags": twin.tags,
        "properties": {
            "desired": desired.with_metadata(), "reported": reported.with_metadata(),
        },
    });
    let absent = |value: &Value| value.is_null() || *value == json!({});
    let row = map(row).into_iter().filter(|(_, value)| !absent(value));
    Value::Object(row.collect())
}

/// The rows of a query in pages of a size, and its plan.
pub(crate) async fn run(registry: &Registry, text: &str, limit: usize) -> (Vec<Value>, String) {
    let query = Arc::new(Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let (hub, connections) = (hub(), connections());
    let mut page = PageRequest::first(limit);
    let (mut rows, mut plan);
    rows = Vec::new();
    loop {
        let answer = registry.query(&hub, &query, &connections, &page);
        let answer = answer.await.unwrap();
        plan = answer.plan;
        match answer.rows {
            QueryRows::Raw(found) | QueryRows::Jobs(found) => rows.extend(found),
            QueryRows::Twins(found) => {
                rows.extend(found.into_iter().map(|found| whole(found.record)))
            }
        }
        match answer.continuation {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let counted = registry.count_rows(&hub, &query, &connections).await;
    assert_eq!(counted.unwrap(), rows.len() as u64, "{text}");
    (rows, plan)
}

/// Rows as a multiset: their order is not promised.
pub(crate) fn multiset(rows: Vec<Value>) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for row in rows {
        *all.entry(row.to_string()).or_default() += 1;
    }
    all
}
