//! The queries of Azure's documents, of `az` and of its portal, with the answers that a fleet as in
//! those documents gives.

#[path = "documented/answered.rs"]
mod answered;
#[path = "documented/refused.rs"]
mod refused;

use ids::{Identity, JobId, ModuleId, Timestamp};
use registry::query::Query;
use registry::{
    ConfigurationDraft, DeviceOutcome, IfMatch, JobDraft, JobKind, JobState, LastSeen, Registry,
};
use serde_json::{Value, json};
use wire::service_api::identity::{DeviceRequest, ModuleRequest, Status};

use crate::world::{Documents, device, hub, map, multiset, now, open, run};

/// What a query finds.
enum Found {
    /// `deviceId`, or `deviceId/moduleId`, of every row.
    Ids(&'static [&'static str]),
    /// The rows as JSON, in any order.
    Rows(&'static str),
}

/// Device, tags, desired and reported properties.
fn twins() -> Vec<(&'static str, Value, Value, Value)> {
    let config = "db00ebf5-eeeb-42be-86a1-458cccb69e57";
    let telemetry = |frequency: u64, status: &str| {
        let sent = json!({"configId": config, "sendFrequencyInSecs": frequency, "status": status});
        json!({"telemetryConfig": sent, "connectivity": {"type": "cellular"}})
    };
    let with = |mut document: Value, name: &str, value: Value| {
        document[name] = value;
        document
    };
    let place = |region: &str, plant: &str| json!({"location": {"region": region, "plant": plant}});
    let wanted = json!({"telemetryConfig": {"configId": config, "sendFrequencyInSecs": 300}});
    vec![
        (
            "myDeviceId",
            place("US", "Redmond43"),
            wanted,
            telemetry(300, "Success"),
        ),
        (
            "device1",
            with(place("US", "Redmond43"), "floor", json!(3)),
            json!({"config": "a"}),
            with(
                with(telemetry(30, "Success"), "connectivity", json!("wifi")),
                "config",
                json!("a"),
            ),
        ),
        (
            "device2",
            with(place("EU", "Munich"), "floor", json!(4)),
            json!({"config": "a"}),
            with(
                with(telemetry(60, "Pending"), "connectivity", json!("wired")),
                "config",
                json!("b"),
            ),
        ),
        (
            "device3",
            json!({"group": {"name": "some_value"}, "note": "O'Neil said \"no\"", "none": null,
                   "roles": ["lock", "light"], "path": "C:\\x", "share": 0.5, "my-key": true}),
            json!({}),
            json!({"telemetryConfig": {"status": "Error"},
                   "chillerProperties": {"status": "pending"}}),
        ),
    ]
}

async fn put(registry: &Registry, id: &str, request: DeviceRequest) -> Identity {
    let (hub, id) = (hub(), device(id));
    let put = registry.put_device(&hub, &id, request, &IfMatch::Absent, now());
    put.await.unwrap();
    Identity::device(hub, id)
}

async fn fleet(registry: &Registry) {
    for (id, tags, desired, reported) in twins() {
        let request = DeviceRequest {
            status: Some(match id {
                "device3" => Status::Disabled,
                _ => Status::Enabled,
            }),
            status_reason: (id == "device3").then(|| "stolen".to_owned()),
            ..DeviceRequest::default()
        };
        let identity = put(registry, id, request).await;
        let twin = Documents {
            tags_before: json!({}),
            tags,
            desired,
            reported,
        };
        twin.write(registry, &identity).await;
        if id == "myDeviceId" {
            continue;
        }
        let module = ModuleId::parse("scanner").unwrap();
        let (hub, id) = (&identity.hub, &identity.device);
        let request = ModuleRequest::default();
        let put = registry.put_module(hub, id, &module, request, &IfMatch::Absent, now());
        put.await.unwrap();
        let status = match id.as_str() {
            "device3" => "idle",
            _ => "scanning",
        };
        let identity = Identity::module(hub.clone(), id.clone(), module);
        let reported = map(json!({"status": status}));
        let reported = registry.patch_reported(&identity, reported, None, now());
        reported.await.unwrap();
    }
    let seen = LastSeen {
        active: Timestamp::parse("2021-05-07T00:50:38.0543092Z").unwrap(),
        model_id: Some("dtmi:com:example:Thermostat;1".to_owned()),
        ..LastSeen::NEVER
    };
    let device1 = Identity::device(hub(), device("device1"));
    registry.note_seen(vec![(device1, seen)]).await.unwrap();
}

/// Two IoT Edge devices with a deployment that one of them could not run, and a device below.
async fn edge_devices(registry: &Registry) {
    let mut scope = None;
    for (id, environment) in [("edge1", "prod"), ("edge2", "test")] {
        let request = DeviceRequest {
            iot_edge: Some(true),
            parent_scopes: scope.map(|scope| vec![scope]),
            ..DeviceRequest::default()
        };
        let identity = put(registry, id, request).await;
        scope = registry
            .device(&identity.hub, &identity.device)
            .await
            .unwrap()
            .device_scope;
        let twin = Documents {
            tags_before: json!({}),
            tags: json!({"environment": environment}),
            desired: json!({}),
            reported: json!({}),
        };
        twin.write(registry, &identity).await;
    }
    let leaf = DeviceRequest {
        device_scope: scope,
        ..DeviceRequest::default()
    };
    put(registry, "leaf1", leaf).await;
    let draft = ConfigurationDraft {
        id: "my-cfg".parse().unwrap(),
        schema_version: Some("2.0".to_owned()),
        labels: None,
        target_condition: "tags.environment = 'prod' OR tags.environment = 'test'".to_owned(),
        priority: 10,
        content: Some(json!({"modulesContent": {
            "$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "modules": {}}},
            "$edgeHub": {"properties.desired": {"routes": {}}},
        }})),
        metric_queries: Default::default(),
    };
    let hub = &hub();
    let put = registry.put_configuration(hub, draft, &IfMatch::Absent, now());
    put.await.unwrap();
    let pass = registry.evaluate_configurations(hub, now());
    assert!(!pass.await.unwrap().more);
    for (id, code) in [("edge1", 200), ("edge2", 400)] {
        let module = ModuleId::parse("$edgeAgent").unwrap();
        let agent = Identity::module(hub.clone(), device(id), module);
        let version = registry.twin(&agent).await.unwrap().twin.desired.version;
        let status = json!({"lastDesiredVersion": version, "lastDesiredStatus": {"code": code}});
        let reported = registry.patch_reported(&agent, map(status), None, now());
        reported.await.unwrap();
    }
}

/// A job that has called a method of two devices.
async fn job(registry: &Registry) {
    let draft = JobDraft {
        id: JobId::parse("myJobId").unwrap(),
        kind: JobKind::DeviceMethod,
        condition: "*".to_owned(),
        work: "{}".to_owned(),
        starts: now(),
        lifetime: 60,
    };
    let job = registry.create_job(&hub(), draft, now()).await.unwrap();
    registry.start_job(&job, JobState::Selecting).await.unwrap();
    let look = || registry.job_progress(job.row).unwrap().unwrap().0;
    let targets = vec![(device("myDeviceId"), None), (device("device2"), None)];
    let job = &look();
    let added = registry.add_job_devices(job, targets.clone(), None, now());
    added.await.unwrap();
    let job = &look();
    let claimed = registry.claim_job_devices(job, targets.clone(), now());
    assert_eq!(claimed.await.unwrap().len(), targets.len());
    let answer = json!({"status": 200, "payload": {"ok": true}}).to_string();
    let done = DeviceOutcome::Done(Some(answer));
    let ended = registry.end_job_device(job, targets[0].clone(), done, now());
    ended.await.unwrap();
}

fn ids(rows: &[Value]) -> Vec<String> {
    let id = |row: &Value| match row.get("moduleId") {
        Some(module) => format!("{}/{}", text(&row["deviceId"]), text(module)),
        None => text(&row["deviceId"]),
    };
    let mut all: Vec<_> = rows.iter().map(id).collect();
    all.sort();
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_queries_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    fleet(&registry).await;
    edge_devices(&registry).await;
    job(&registry).await;
    let mut others = Vec::new();
    for (query, found) in answered::QUERIES {
        let (rows, _) = run(&registry, query, 100).await;
        match found {
            Found::Ids(expected) => {
                let mut expected = expected.to_vec();
                expected.sort_unstable();
                if ids(&rows) != expected {
                    others.push(format!("{query}: {:?}", ids(&rows)));
                }
            }
            Found::Rows(expected) => {
                let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
                if multiset(rows.clone()) != multiset(expected) {
                    others.push(format!("{query}: {}", Value::Array(rows)));
                }
            }
        }
    }
    assert_eq!(others, Vec::<String>::new());
    assert!(answered::QUERIES.len() >= 75, "{}", answered::QUERIES.len());
}

/// Nothing else is refused than what Azure's documents exclude.
#[test]
fn what_the_documents_exclude_is_refused() {
    let mut others = Vec::new();
    for (rule, queries) in refused::RULES {
        for query in *queries {
            if Query::parse(query).is_ok() {
                others.push(format!("{rule}: {query}"));
            }
        }
    }
    assert_eq!(others, Vec::<String>::new());
}
