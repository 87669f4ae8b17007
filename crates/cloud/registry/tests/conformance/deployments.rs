use std::collections::BTreeMap;

use ids::{ConfigurationId, Identity, ModuleId};
use registry::{
    Change, ConfigurationDraft, ConfigurationError, ConfigurationRecord, ConfigurationStatus,
    IfMatch, Twin, TwinPatch,
};
use serde_json::{Value, json};
use wire::service_api::identity::Authentication;

use crate::identities::edge;
use crate::{Bench, device, hub, map};

pub(crate) fn id(text: &str) -> ConfigurationId {
    ConfigurationId::parse(text).unwrap()
}

pub(crate) fn draft(
    name: &str,
    priority: u32,
    condition: &str,
    modules: Value,
) -> ConfigurationDraft {
    ConfigurationDraft {
        id: id(name),
        schema_version: Some("2.0".to_owned()),
        labels: None,
        target_condition: condition.to_owned(),
        priority,
        content: Some(json!({"modulesContent": {
            "$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "modules": modules}},
            "$edgeHub": {"properties.desired": {"routes": {}}},
            "sensor": {"properties.desired": {"interval": priority}},
        }})),
        metric_queries: BTreeMap::new(),
    }
}

pub(crate) async fn put(
    bench: &Bench,
    draft: ConfigurationDraft,
    if_match: IfMatch,
) -> Result<bool, ConfigurationError> {
    let put = bench
        .registry
        .put_configuration(&hub(), draft, &if_match, bench.now())
        .await;
    put.map(|(_, created)| created)
}

pub(crate) async fn deploy(bench: &Bench, draft: ConfigurationDraft) {
    assert!(put(bench, draft, IfMatch::Absent).await.unwrap());
}

async fn read(bench: &Bench, name: &str) -> ConfigurationRecord {
    let read = bench.registry.configuration(&hub(), &id(name)).await;
    read.unwrap()
}

pub(crate) async fn create(bench: &Bench, name: &str, tags: Value) {
    bench
        .registry
        .put_device(&hub(), &device(name), edge(), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    tag(bench, name, tags).await;
}

pub(crate) async fn tag(bench: &Bench, name: &str, tags: Value) {
    let patch = TwinPatch {
        tags: Some(map(tags)),
        desired: None,
    };
    let identity = Identity::device(hub(), device(name));
    bench
        .registry
        .patch_twin(&identity, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
}

/// Runs passes until there is nothing to do; how many devices were changed.
pub(crate) async fn evaluate_all(bench: &Bench) -> usize {
    let mut changed = 0;
    loop {
        let pass = bench
            .registry
            .evaluate_configurations(&hub(), bench.now())
            .await
            .unwrap();
        changed += pass.changed;
        if !pass.more {
            return changed;
        }
    }
}

async fn twin(bench: &Bench, name: &str, module: Option<&str>) -> Twin {
    let module = module.map(|module| ModuleId::parse(module).unwrap());
    let identity = Identity {
        hub: hub(),
        device: device(name),
        module,
    };
    bench.registry.twin(&identity).await.unwrap().twin
}

pub(crate) async fn running(bench: &Bench, name: &str) -> Value {
    twin(bench, name, Some("$edgeAgent"))
        .await
        .desired
        .document
        .get("modules")
        .cloned()
        .unwrap_or_default()
}

async fn modules(bench: &Bench, name: &str) -> Vec<String> {
    let modules = bench
        .registry
        .list_modules(&hub(), &device(name))
        .await
        .unwrap();
    modules
        .iter()
        .map(|module| module.module_id.to_string())
        .collect()
}

pub(crate) async fn a_deployment_reaches_matching_devices(bench: Bench) {
    create(&bench, "seoul", json!({"site": "Seoul"})).await;
    create(&bench, "busan", json!({"site": "Busan"})).await;
    let sensor = json!({"sensor": {"v": 1}});
    deploy(
        &bench,
        draft("one", 10, "tags.site = 'Seoul'", sensor.clone()),
    )
    .await;
    let announced = bench.changes.take();
    assert!(announced.contains(&Change::Targeting { hub: hub() }));
    assert_eq!(evaluate_all(&bench).await, 1);

    assert_eq!(running(&bench, "seoul").await, sensor);
    let names = modules(&bench, "seoul").await;
    assert_eq!(names, ["$edgeAgent", "$edgeHub", "sensor"]);
    let id_of_sensor = ModuleId::parse("sensor").unwrap();
    let seoul = device("seoul");
    let module = bench.registry.module(&hub(), &seoul, &id_of_sensor).await;
    let module = module.unwrap();
    assert_eq!(module.managed_by.as_deref(), Some("IotEdge"));
    assert_eq!(module.authentication, Authentication::None);
    let desired = twin(&bench, "seoul", Some("sensor")).await.desired.document;
    assert_eq!(desired["interval"], 10);
    for module in [None, Some("$edgeAgent")] {
        let statuses = twin(&bench, "seoul", module).await.configurations;
        let applied = BTreeMap::from([(id("one"), ConfigurationStatus::Applied)]);
        assert_eq!(statuses, applied, "{module:?}");
    }
    let of_edge_hub = twin(&bench, "seoul", Some("$edgeHub")).await;
    assert!(of_edge_hub.configurations.is_empty());
    let announced = bench.changes.take();
    let agent = Identity::module(hub(), device("seoul"), ModuleId::edge_agent());
    let is_patch = |change: &Change| {
        matches!(change, Change::Desired { identity, version: 2, patch }
            if *identity == agent && patch["modules"] == sensor)
    };
    assert!(announced.iter().any(is_patch), "{announced:?}");

    assert_eq!(running(&bench, "busan").await, Value::Null);
    assert!(twin(&bench, "busan", None).await.configurations.is_empty());
    assert_eq!(evaluate_all(&bench).await, 0, "nothing is left to do");
}

pub(crate) async fn the_next_one_takes_over_and_nothing_is_left_alone(bench: Bench) {
    create(&bench, "d", json!({})).await;
    deploy(&bench, draft("base", 1, "*", json!({"a": {"v": 1}}))).await;
    deploy(&bench, draft("test", 5, "*", json!({"b": {"v": 2}}))).await;
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"b": {"v": 2}}));
    let statuses = twin(&bench, "d", None).await.configurations;
    assert_eq!(
        statuses,
        BTreeMap::from([
            (id("base"), ConfigurationStatus::Targeted),
            (id("test"), ConfigurationStatus::Applied)
        ])
    );
    bench
        .registry
        .delete_configuration(&hub(), &id("test"), &IfMatch::Any)
        .await
        .unwrap();
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"a": {"v": 1}}));
    assert_eq!(
        modules(&bench, "d").await,
        ["$edgeAgent", "$edgeHub", "a", "sensor"]
    );

    // Without any, the device keeps what it has.
    bench
        .registry
        .delete_configuration(&hub(), &id("base"), &IfMatch::Any)
        .await
        .unwrap();
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"a": {"v": 1}}));
    assert!(twin(&bench, "d", None).await.configurations.is_empty());
    let gone = bench
        .registry
        .delete_configuration(&hub(), &id("base"), &IfMatch::Any)
        .await;
    assert!(matches!(gone, Err(ConfigurationError::NotFound(_))));
}

pub(crate) async fn content_never_changes(bench: Bench) {
    let one = || draft("one", 1, "", json!({"a": {}}));
    deploy(&bench, one()).await;
    let conflict = put(&bench, one(), IfMatch::Absent).await;
    assert!(matches!(conflict, Err(ConfigurationError::Exists(_))));
    let first = read(&bench, "one").await;
    assert_eq!(first.etag.as_str(), "MQ==");
    let change = ConfigurationDraft {
        priority: 7,
        target_condition: "*".to_owned(),
        labels: Some(BTreeMap::from([("who".to_owned(), "me".to_owned())])),
        ..one()
    };
    let changed = put(&bench, change, IfMatch::Exactly(first.etag.clone())).await;
    assert!(!changed.unwrap(), "it was there");
    let second = read(&bench, "one").await;
    assert_eq!(
        (second.priority, second.target_condition.as_str()),
        (7, "*")
    );
    assert_eq!(second.etag.as_str(), "Mg==");
    assert_eq!(
        (second.created, &second.content),
        (first.created, &first.content)
    );
    let other = put(&bench, draft("one", 1, "*", json!({"b": {}})), IfMatch::Any).await;
    assert!(matches!(other, Err(ConfigurationError::ContentChanged(_))));
    let stale = put(&bench, one(), IfMatch::Exactly(first.etag.clone())).await;
    assert!(matches!(
        stale,
        Err(ConfigurationError::PreconditionFailed(_))
    ));
}

pub(crate) async fn faults_are_refused(bench: Bench) {
    let bad = put(
        &bench,
        draft("one", 1, "tags.a == 1", json!({})),
        IfMatch::Absent,
    )
    .await;
    assert!(matches!(bad, Err(ConfigurationError::Condition(error)) if error.position == 8));
    let mut bad = draft("one", 1, "*", json!({}));
    bad.content = Some(json!({"modulesContent": {"m": {"desired": {}}}}));
    assert!(matches!(
        put(&bench, bad, IfMatch::Absent).await,
        Err(ConfigurationError::Content { .. })
    ));
    let mut empty = draft("one", 1, "*", json!({}));
    empty.content = Some(json!({}));
    assert!(matches!(
        put(&bench, empty, IfMatch::Absent).await,
        Err(ConfigurationError::Content { .. })
    ));
    assert!(
        bench
            .registry
            .list_configurations(&hub())
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn content_is_applied_once(bench: Bench) {
    create(&bench, "d", json!({})).await;
    let content = |module: &str| {
        json!({"modulesContent": {
            "$edgeAgent": {"properties.desired": {"modules": {module: {"v": 1}}}},
            "$edgeHub": {"properties.desired": {}},
        }})
    };
    let apply = async |on: &str, content: Value| {
        bench
            .registry
            .apply_content(&hub(), &device(on), &content, bench.now())
            .await
    };
    apply("d", content("a")).await.unwrap();
    assert_eq!(modules(&bench, "d").await, ["$edgeAgent", "$edgeHub", "a"]);
    apply("d", content("b")).await.unwrap();
    assert_eq!(modules(&bench, "d").await, ["$edgeAgent", "$edgeHub", "b"]);
    assert_eq!(running(&bench, "d").await, json!({"b": {"v": 1}}));
    assert!(matches!(
        apply("nobody", content("a")).await,
        Err(ConfigurationError::NoDevice(_))
    ));
}
