use ids::{Identity, ModuleId};
use registry::{
    Change, IdentityRecord, IfMatch, PageRequest, TwinError, TwinPatch, TwinReplacement,
};
use serde_json::{Value, json};

use crate::identities::edge;
use crate::{Bench, device, hub, map, twins};

async fn create(bench: &Bench, id: &str) -> Identity {
    bench
        .registry
        .put_device(&hub(), &device(id), edge(), &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    bench.changes.take();
    Identity::device(hub(), device(id))
}

fn desired(value: Value) -> TwinPatch {
    TwinPatch {
        tags: None,
        desired: Some(map(value)),
    }
}

pub(crate) async fn a_fresh_twin_looks_as_azures_does(bench: Bench) {
    let identity = create(&bench, "d").await;
    let record = bench.registry.twin(&identity).await.unwrap();
    assert_eq!(
        (record.twin.version, record.twin.etag.as_str()),
        (2, "AAAAAAAAAAE=")
    );
    let section = record.twin.desired.with_metadata();
    assert_eq!(section["$version"], 1);
    // R8
    let metadata = section["$metadata"].as_object().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["$lastUpdated"]);
    let reported = record.twin.reported.with_metadata();
    assert_eq!(reported["$version"], 1);
    assert!(reported["$metadata"].get("$lastUpdatedVersion").is_none());
    let IdentityRecord::Device(device) = record.identity else {
        panic!("a device")
    };
    assert_ne!(device.etag, record.twin.etag);
}

pub(crate) async fn patches_are_versioned_and_announced(bench: Bench) {
    let identity = create(&bench, "d").await;
    let registry = &bench.registry;
    let first = registry
        .patch_twin(
            &identity,
            desired(json!({"a": {"b": 1}})),
            &IfMatch::Absent,
            bench.now(),
        )
        .await
        .unwrap();
    let exactly = IfMatch::Exactly(first.twin.etag.clone());
    let second = registry
        .patch_twin(
            &identity,
            desired(json!({"a": {"c": 2}})),
            &exactly,
            bench.now(),
        )
        .await
        .unwrap();
    let stale = registry
        .patch_twin(&identity, desired(json!({"x": 1})), &exactly, bench.now())
        .await;
    assert!(matches!(stale, Err(TwinError::PreconditionFailed(_))));
    assert_eq!(registry.twin(&identity).await.unwrap(), second);
    assert_eq!(
        Value::Object(second.twin.desired.document),
        json!({"a": {"b": 1, "c": 2}})
    );
    let changes = |patch: Value, version| Change::Desired {
        identity: identity.clone(),
        patch: map(patch),
        version,
    };
    assert_eq!(
        bench.changes.take(),
        [
            changes(json!({"a": {"b": 1}}), 2),
            changes(json!({"a": {"c": 2}}), 3)
        ]
    );
    // Tags are nobody's business but the services'.
    let tags = TwinPatch {
        tags: Some(map(json!({"t": 1}))),
        desired: None,
    };
    let tagged = registry
        .patch_twin(&identity, tags, &IfMatch::Any, bench.now())
        .await
        .unwrap();
    assert_eq!((tagged.twin.version, tagged.twin.desired.version), (5, 3));
    assert_eq!(bench.changes.take(), []);
}

pub(crate) async fn a_put_replaces(bench: Bench) {
    let identity = create(&bench, "d").await;
    let registry = &bench.registry;
    registry
        .patch_twin(
            &identity,
            desired(json!({"old": 1})),
            &IfMatch::Absent,
            bench.now(),
        )
        .await
        .unwrap();
    registry
        .patch_reported(&identity, map(json!({"r": 1})), None, bench.now())
        .await
        .unwrap();
    let put = TwinReplacement {
        tags: Some(map(json!({"t": 1}))),
        desired: Some(map(json!({"new": 2}))),
    };
    registry
        .replace_twin(&identity, put, &IfMatch::Any, bench.now())
        .await
        .unwrap();
    let twin = registry.twin(&identity).await.unwrap().twin;
    assert_eq!(Value::Object(twin.desired.document), json!({"new": 2}));
    assert_eq!(
        (
            Value::Object(twin.tags),
            Value::Object(twin.reported.document)
        ),
        (json!({"t": 1}), json!({"r": 1}))
    );
}

pub(crate) async fn reports_are_versioned(bench: Bench) {
    let identity = create(&bench, "d").await;
    let agent = Identity::module(hub(), device("d"), ModuleId::edge_agent());
    let report = async |whose: &Identity, value: Value, expected| {
        bench
            .registry
            .patch_reported(whose, map(value), expected, bench.now())
            .await
    };
    assert_eq!(report(&identity, json!({"a": 1}), None).await.unwrap(), 2);
    assert_eq!(
        report(&identity, json!({"a": null, "b": 2}), Some(2))
            .await
            .unwrap(),
        3
    );
    let stale = report(&identity, json!({"b": 3}), Some(2)).await;
    assert!(matches!(stale, Err(TwinError::PreconditionFailed(_))));
    assert_eq!(report(&agent, json!({"b": 3}), None).await.unwrap(), 2);
    let twin = bench.registry.twin(&identity).await.unwrap().twin;
    assert_eq!(Value::Object(twin.reported.document), json!({"b": 2}));
    assert_eq!(bench.changes.take(), []);
}

pub(crate) async fn refused_changes_leave_no_trace(bench: Bench) {
    let identity = create(&bench, "d").await;
    let before = bench.registry.twin(&identity).await.unwrap();
    let bad = desired(json!({"a": {"b.c": 1}}));
    let error = bench
        .registry
        .patch_twin(&identity, bad, &IfMatch::Absent, bench.now())
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("'properties.desired.a.b.c'"),
        "{error}"
    );
    assert_eq!(bench.registry.twin(&identity).await.unwrap(), before);
    let nobody = Identity::device(hub(), device("nobody"));
    let error = bench
        .registry
        .patch_reported(&nobody, map(json!({"a": 1})), None, bench.now())
        .await;
    assert!(matches!(error, Err(TwinError::NotFound(_))));
    assert_eq!(bench.changes.take(), []);
}

pub(crate) async fn twins_are_listed(bench: Bench) {
    for id in ["b", "a"] {
        create(&bench, id).await;
    }
    let all = PageRequest::first(10);
    let devices = twins(&bench.registry, "SELECT * FROM devices", &all).await;
    assert_eq!(devices.items.len(), 2);
    let mut page = PageRequest::first(3);
    let mut seen = Vec::new();
    loop {
        let answer = twins(&bench.registry, "SELECT * FROM devices.modules", &page).await;
        for record in answer.items {
            let IdentityRecord::Module { module, .. } = record.identity else {
                panic!("a module")
            };
            seen.push(format!("{}/{}", module.device_id, module.module_id));
        }
        let Some(next) = answer.continuation else {
            break;
        };
        page.after = Some(next);
    }
    assert_eq!(
        seen,
        ["a/$edgeAgent", "a/$edgeHub", "b/$edgeAgent", "b/$edgeHub"]
    );
}
