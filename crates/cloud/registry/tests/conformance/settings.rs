//! Device and module configurations.

use std::collections::BTreeMap;

use ids::{Identity, ModuleId};
use registry::{
    ConfigurationDraft, ConfigurationStatus, IfMatch, MetricResults, TwinPatch, TwinReplacement,
};
use serde_json::{Value, json};
use wire::service_api::identity::ModuleRequest;

use crate::deployments::{deploy, draft, evaluate_all, id, put};
use crate::{Bench, device, hub, map};

/// A configuration of devices, or of modules when its condition begins with FROM.
fn settings(name: &str, priority: u32, condition: &str, members: &Value) -> ConfigurationDraft {
    let kind = match condition.starts_with("FROM devices.modules") {
        true => "moduleContent",
        false => "deviceContent",
    };
    ConfigurationDraft {
        content: Some(json!({kind: members})),
        ..draft(name, priority, condition, json!({}))
    }
}

async fn leaf(bench: &Bench, name: &str, tags: Value) {
    let request = wire::service_api::identity::DeviceRequest::default();
    bench
        .registry
        .put_device(
            &hub(),
            &device(name),
            request,
            &IfMatch::Absent,
            bench.now(),
        )
        .await
        .unwrap();
    patch(
        bench,
        &Identity::device(hub(), device(name)),
        Some(tags),
        None,
    )
    .await;
}

async fn patch(bench: &Bench, of: &Identity, tags: Option<Value>, desired: Option<Value>) {
    let patch = TwinPatch {
        tags: tags.map(map),
        desired: desired.map(map),
    };
    let patched = bench
        .registry
        .patch_twin(of, patch, &IfMatch::Absent, bench.now());
    patched.await.unwrap();
}

async fn desired(bench: &Bench, of: &Identity) -> Value {
    bench
        .registry
        .twin(of)
        .await
        .unwrap()
        .twin
        .desired
        .document
        .into()
}

async fn delete(bench: &Bench, name: &str) {
    bench
        .registry
        .delete_configuration(&hub(), &id(name), &IfMatch::Any)
        .await
        .unwrap();
}

async fn counts(bench: &Bench, name: &str) -> (u64, u64) {
    let MetricResults {
        targeted, applied, ..
    } = bench.registry.metrics(&hub(), &id(name)).await.unwrap();
    (targeted, applied)
}

// H3
pub(crate) async fn settings_reach_devices_and_go_again(bench: Bench) {
    leaf(&bench, "north", json!({"site": "north"})).await;
    leaf(&bench, "south", json!({"site": "south"})).await;
    let north = Identity::device(hub(), device("north"));
    patch(
        &bench,
        &north,
        None,
        Some(json!({"own": 1, "net": {"own": 2}})),
    )
    .await;
    let members = json!({"properties.desired.net.rate": 5, "properties.desired.led": {"on": true}});
    let condition = "tags.site = 'north'";
    deploy(&bench, settings("one", 3, condition, &members)).await;
    let before = bench.registry.twin(&north).await.unwrap().twin.version;
    assert_eq!(evaluate_all(&bench).await, 1);
    let twin = bench.registry.twin(&north).await.unwrap().twin;
    assert_eq!(twin.version, before + 1, "one write");
    assert_eq!(
        Value::Object(twin.desired.document),
        json!({"own": 1, "net": {"own": 2, "rate": 5}, "led": {"on": true}})
    );
    let applied = BTreeMap::from([(id("one"), ConfigurationStatus::Applied)]);
    assert_eq!(twin.configurations, applied);
    assert_eq!(counts(&bench, "one").await, (1, 1));
    assert_eq!(evaluate_all(&bench).await, 0, "nothing is left to do");

    // Not targeted any longer: what the configuration set goes, and nothing else.
    patch(&bench, &north, Some(json!({"site": "east"})), None).await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(
        desired(&bench, &north).await,
        json!({"own": 1, "net": {"own": 2}})
    );
    let twin = bench.registry.twin(&north).await.unwrap().twin;
    assert!(twin.configurations.is_empty());
    assert_eq!(counts(&bench, "one").await, (0, 0));
    let south = Identity::device(hub(), device("south"));
    assert_eq!(desired(&bench, &south).await, json!({}));
}

pub(crate) async fn the_highest_priority_sets_a_path_and_the_next_takes_over(bench: Bench) {
    leaf(&bench, "d", json!({})).await;
    let d = Identity::device(hub(), device("d"));
    let low = json!({"properties.desired.a": "low", "properties.desired.b": "low"});
    deploy(&bench, settings("low", 1, "*", &low)).await;
    deploy(
        &bench,
        settings("high", 9, "*", &json!({"properties.desired.a": "high"})),
    )
    .await;
    deploy(
        &bench,
        settings("lost", 5, "*", &json!({"properties.desired.a": "lost"})),
    )
    .await;
    evaluate_all(&bench).await;
    assert_eq!(desired(&bench, &d).await, json!({"a": "high", "b": "low"}));
    let statuses = bench.registry.twin(&d).await.unwrap().twin.configurations;
    assert_eq!(
        statuses,
        BTreeMap::from([
            (id("low"), ConfigurationStatus::Applied),
            (id("lost"), ConfigurationStatus::Targeted),
            (id("high"), ConfigurationStatus::Applied),
        ])
    );
    assert_eq!(counts(&bench, "lost").await, (1, 0));
    delete(&bench, "high").await;
    evaluate_all(&bench).await;
    assert_eq!(desired(&bench, &d).await, json!({"a": "lost", "b": "low"}));
    delete(&bench, "lost").await;
    delete(&bench, "low").await;
    evaluate_all(&bench).await;
    assert_eq!(desired(&bench, &d).await, json!({}));
}

/// What an operator does to owned properties is undone, also after a restart.
// H11
pub(crate) async fn drift_is_repaired(bench: Bench) {
    leaf(&bench, "d", json!({})).await;
    let d = Identity::device(hub(), device("d"));
    deploy(
        &bench,
        settings("one", 1, "*", &json!({"properties.desired.a": {"b": 1}})),
    )
    .await;
    evaluate_all(&bench).await;
    patch(
        &bench,
        &d,
        None,
        Some(json!({"a": {"b": 2, "c": 3}, "own": 4})),
    )
    .await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(desired(&bench, &d).await, json!({"a": {"b": 1}, "own": 4}));
    let replacement = TwinReplacement {
        tags: None,
        desired: Some(map(json!({"other": 5}))),
    };
    let replaced = bench
        .registry
        .replace_twin(&d, replacement, &IfMatch::Absent, bench.now());
    replaced.await.unwrap();
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(
        desired(&bench, &d).await,
        json!({"a": {"b": 1}, "other": 5})
    );

    // The note of what changed is durable, and so is what the configuration set.
    patch(&bench, &d, None, Some(json!({"a": null}))).await;
    let bench = bench.reopened().await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(
        desired(&bench, &d).await,
        json!({"a": {"b": 1}, "other": 5})
    );
    delete(&bench, "one").await;
    evaluate_all(&bench).await;
    assert_eq!(desired(&bench, &d).await, json!({"other": 5}));
}

/// A module that a deployment names, edited and deleted by hand.
// H11
pub(crate) async fn drift_of_deployed_modules_is_repaired(bench: Bench) {
    crate::deployments::create(&bench, "e", json!({})).await;
    deploy(&bench, draft("base", 1, "*", json!({"sensor": {}}))).await;
    evaluate_all(&bench).await;
    let sensor = ModuleId::parse("sensor").unwrap();
    let of_sensor = Identity::module(hub(), device("e"), sensor.clone());
    patch(&bench, &of_sensor, None, Some(json!({"interval": 99}))).await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(desired(&bench, &of_sensor).await, json!({"interval": 1}));
    bench
        .registry
        .delete_module(&hub(), &device("e"), &sensor, &IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(desired(&bench, &of_sensor).await, json!({"interval": 1}));
    patch(&bench, &of_sensor, None, Some(json!({"interval": 98}))).await;
    let bench = bench.reopened().await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(desired(&bench, &of_sensor).await, json!({"interval": 1}));
}

pub(crate) async fn module_configurations_lie_over_deployments(bench: Bench) {
    crate::deployments::create(&bench, "d", json!({})).await;
    let of = |name: &str| Identity::module(hub(), device("d"), ModuleId::parse(name).unwrap());
    let role = "FROM devices.modules WHERE tags.role = 'meter'";
    let members = json!({"properties.desired.interval": 60, "properties.desired.extra": true});
    deploy(&bench, settings("meters", 1, role, &members)).await;
    let every = json!({"properties.desired.log.level": "info"});
    deploy(&bench, settings("all", 1, "FROM devices.modules", &every)).await;
    evaluate_all(&bench).await;
    // The modules of the deployment do not exist before it is applied.
    deploy(&bench, draft("base", 7, "*", json!({"sensor": {}}))).await;
    evaluate_all(&bench).await;
    assert_eq!(
        desired(&bench, &of("sensor")).await,
        json!({"interval": 7, "log": {"level": "info"}})
    );
    patch(&bench, &of("sensor"), Some(json!({"role": "meter"})), None).await;
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(
        desired(&bench, &of("sensor")).await,
        json!({"interval": 60, "log": {"level": "info"}, "extra": true})
    );
    assert_eq!(counts(&bench, "meters").await, (1, 1));
    assert_eq!(counts(&bench, "all").await, (3, 3), "system modules count");
    delete(&bench, "meters").await;
    evaluate_all(&bench).await;
    assert_eq!(
        desired(&bench, &of("sensor")).await,
        json!({"interval": 7, "log": {"level": "info"}})
    );

    // A device that is no Edge device has modules, too.
    leaf(&bench, "leaf", json!({})).await;
    let module = ModuleId::parse("m").unwrap();
    let (request, name) = (ModuleRequest::default(), device("leaf"));
    let (hub, now) = (hub(), bench.now());
    let put = bench
        .registry
        .put_module(&hub, &name, &module, request, &IfMatch::Absent, now);
    put.await.unwrap();
    assert_eq!(evaluate_all(&bench).await, 1);
    let of_leaf = Identity::module(hub, name, module);
    assert_eq!(
        desired(&bench, &of_leaf).await,
        json!({"log": {"level": "info"}})
    );
}

pub(crate) async fn faults_of_settings_are_refused(bench: Bench) {
    let members = json!({"properties.desired.a": 1});
    let of_modules = settings("one", 1, "FROM devices.modules WHERE tags.a = 1", &members);
    let without_source = ConfigurationDraft {
        target_condition: "tags.a = 1".to_owned(),
        ..of_modules.clone()
    };
    for refused in [
        without_source,
        settings("one", 1, "*", &json!({"desired.a": 1})),
        settings("one", 1, "*", &json!({"properties.desired.a": {"$b": 1}})),
        settings("one", 1, "tags.a =", &members),
    ] {
        assert!(put(&bench, refused, IfMatch::Absent).await.is_err());
    }
    deploy(&bench, of_modules.clone()).await;
    // An update that does not repeat the content is read as the stored kind.
    let update = ConfigurationDraft {
        content: None,
        target_condition: "tags.a = 1".to_owned(),
        ..of_modules
    };
    assert!(put(&bench, update, IfMatch::Any).await.is_err());
}
