//! The engine (plan, index, pages, evaluator) against an evaluator that shares no code with it: the
//! same twins, the same queries, the same rows.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "queries/generate.rs"]
mod generate;
#[path = "queries/naive.rs"]
mod naive;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use generate::{Dice, Shape};
use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use registry::query::{Connection, Query};
use registry::{
    Connections, Entropy, IfMatch, Init, LastSeen, PageRequest, QueryRows, Registry, Retention,
    TwinPatch,
};
use serde_json::{Map, Value, json};
use wire::service_api::identity::{DeviceRequest, ModuleRequest, Status};

/// Twins and queries of a run: their product is how often the two evaluators are compared. The
/// twins are more than a query looks at in one step.
const DEVICES: usize = 320;
const QUERIES: usize = 250;

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
            model_id: String::new(),
            pending_messages: 0,
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

async fn open(directory: &Path) -> Registry {
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

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Writes a fleet, and the documents that the naive evaluator looks at.
async fn fleet(registry: &Registry, dice: &mut Dice) -> (Vec<Value>, Vec<Value>) {
    let (mut devices, mut modules, hub) = (Vec::new(), Vec::new(), hub());
    for number in 0..DEVICES {
        let id = generate::device_id(number);
        let device = DeviceId::parse(&id).unwrap();
        let (edge, enabled) = (dice.one_in(4), !dice.one_in(5));
        let request = DeviceRequest {
            iot_edge: Some(edge),
            status: Some(match enabled {
                true => Status::Enabled,
                false => Status::Disabled,
            }),
            ..DeviceRequest::default()
        };
        let put = registry.put_device(&hub, &device, request, &IfMatch::Absent, now());
        put.await.unwrap();
        let identity = Identity::device(hub.clone(), device.clone());
        let mut document = write_twin(registry, &identity, dice).await;
        let extra = json!({
            "deviceId": id, "status": if enabled { "enabled" } else { "disabled" },
            "capabilities": {"iotEdge": edge},
            "connectionState": if connected(&id) { "Connected" } else { "Disconnected" },
        });
        document.extend(map(extra));
        devices.push(Value::Object(document));
        if dice.one_in(3) {
            let module = ModuleId::parse("camera").unwrap();
            let request = ModuleRequest::default();
            let put = registry.put_module(&hub, &device, &module, request, &IfMatch::Absent, now());
            put.await.unwrap();
            let identity = Identity::module(hub.clone(), device.clone(), module);
            let mut document = write_twin(registry, &identity, dice).await;
            document.extend(map(module_facts(&id, "camera", enabled)));
            modules.push(Value::Object(document));
        }
        if edge {
            for module in ["$edgeAgent", "$edgeHub"] {
                let module_id = ModuleId::parse(module).unwrap();
                let identity = Identity::module(hub.clone(), device.clone(), module_id);
                let mut document = read_twin(registry, &identity).await;
                document.extend(map(module_facts(&id, module, enabled)));
                modules.push(Value::Object(document));
            }
        }
    }
    (devices, modules)
}

/// Tags twice, so that the index has something to forget; desired and reported properties.
async fn write_twin(
    registry: &Registry,
    identity: &Identity,
    dice: &mut Dice,
) -> Map<String, Value> {
    let before = TwinPatch {
        tags: Some(map(generate::tags(dice))),
        desired: None,
    };
    registry
        .patch_twin(identity, before, &IfMatch::Any, now())
        .await
        .unwrap();
    let tags = map(generate::tags(dice));
    let replacement = registry::TwinReplacement {
        tags: Some(tags.clone()),
        desired: Some(map(generate::properties(dice))),
    };
    registry
        .replace_twin(identity, replacement, &IfMatch::Any, now())
        .await
        .unwrap();
    let reported = map(generate::properties(dice));
    registry
        .patch_reported(identity, reported, None, now())
        .await
        .unwrap();
    read_twin(registry, identity).await
}

fn module_facts(device: &str, module: &str, enabled: bool) -> Value {
    json!({
        "deviceId": device, "moduleId": module,
        "status": if enabled { "enabled" } else { "disabled" },
        "connectionState": if connected(device) { "Connected" } else { "Disconnected" },
    })
}

async fn read_twin(registry: &Registry, identity: &Identity) -> Map<String, Value> {
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
    document
}

/// All rows of a query, in pages of a random size.
async fn run(registry: &Registry, text: &str, dice: &mut Dice) -> Vec<Value> {
    let query = Arc::new(Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    let connections: Arc<dyn Connections> = Arc::new(Every3);
    let mut page = PageRequest::first([1, 7, 1000][dice.below(3)]);
    let mut rows = Vec::new();
    loop {
        let answer = registry
            .query(&hub(), &query, &connections, &page)
            .await
            .unwrap();
        match answer.rows {
            QueryRows::Raw(raw) => rows.extend(raw),
            other => panic!("{other:?}"),
        }
        match answer.continuation {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let counted = registry
        .count_rows(&hub(), &query, &connections)
        .await
        .unwrap();
    assert_eq!(counted, rows.len() as u64, "{text}");
    rows
}

/// Rows as a multiset: their order is not promised.
fn multiset(rows: Vec<Value>) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for row in rows {
        *all.entry(row.to_string()).or_default() += 1;
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_an_independent_evaluator() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    let mut dice = Dice::new(20_261_129);
    let (devices, modules) = fleet(&registry, &mut dice).await;
    let (mut compared, mut found) = (0, 0);
    for _ in 0..QUERIES {
        let of_modules = dice.one_in(4);
        let (from, documents) = match of_modules {
            true => ("devices.modules", &modules),
            false => ("devices", &devices),
        };
        let condition = generate::condition(&mut dice, 3);
        let shape = Shape::roll(&mut dice);
        let text = shape.text(from, &condition.text());
        let expected = shape.rows(documents, &condition);
        let rows = run(&registry, &text, &mut dice).await;
        compared += documents.len();
        found += rows.len();
        match shape.top() {
            // Any of the rows that there are, as many as asked for.
            Some(top) => {
                let (rows, all) = (multiset(rows), multiset(expected));
                let counted: usize = rows.values().sum();
                assert_eq!(counted, all.values().sum::<usize>().min(top), "{text}");
                for (row, count) in rows {
                    assert!(
                        all.get(&row).is_some_and(|all| count <= *all),
                        "{text}: {row}"
                    );
                }
            }
            None => assert_eq!(multiset(rows), multiset(expected), "{text}"),
        }
    }
    assert!(compared >= 10_000, "{compared}");
    // Queries that find nothing would prove little.
    assert!(found > QUERIES, "{found}");
}
