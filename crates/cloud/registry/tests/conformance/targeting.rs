use std::sync::Arc;

use ids::{Identity, ModuleId};
use registry::query::Query;
use registry::{Change, IfMatch, MetricResults, PageRequest, QueryRows, TwinPatch};
use serde_json::{Map, json};
use wire::service_api::configuration::{Content, system_queries};

use crate::deployments::{create, draft, evaluate_all, id, put, running, tag};
use crate::identities::edge;
use crate::{Bench, device, hub, map, offline, query as rows};

pub(crate) async fn manual_changes_of_system_modules_are_taken_back(bench: Bench) {
    create(&bench, "d", json!({})).await;
    put(
        &bench,
        draft("one", 1, "*", json!({"a": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    evaluate_all(&bench).await;
    let agent = Identity::module(hub(), device("d"), ModuleId::edge_agent());
    let patch = TwinPatch {
        tags: None,
        desired: Some(map(json!({"modules": {"rogue": {}}}))),
    };
    bench
        .registry
        .patch_twin(&agent, patch, &IfMatch::Absent, bench.now())
        .await
        .unwrap();
    assert_eq!(evaluate_all(&bench).await, 1);
    assert_eq!(running(&bench, "d").await, json!({"a": {}}));
}

pub(crate) async fn metrics_count_what_devices_reported(bench: Bench) {
    for name in ["ok", "bad", "lagging", "silent"] {
        create(&bench, name, json!({})).await;
    }
    put(&bench, draft("one", 1, "*", json!({})), IfMatch::Absent)
        .await
        .unwrap();
    put(
        &bench,
        draft("loser", 0, "deviceId = 'ok'", json!({})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    evaluate_all(&bench).await;
    for (name, lag, code) in [("ok", 0, 200), ("bad", 0, 406), ("lagging", 1, 200)] {
        let agent = Identity::module(hub(), device(name), ModuleId::edge_agent());
        let version = bench
            .registry
            .twin(&agent)
            .await
            .unwrap()
            .twin
            .desired
            .version
            - lag;
        let report =
            map(json!({"lastDesiredVersion": version, "lastDesiredStatus": {"code": code}}));
        bench
            .registry
            .patch_reported(&agent, report, None, bench.now())
            .await
            .unwrap();
    }
    let metrics = bench.registry.metrics(&hub(), &id("one")).await.unwrap();
    assert_eq!(
        metrics,
        MetricResults {
            targeted: 4,
            applied: 4,
            reported_successful: 1,
            reported_failed: 1
        }
    );
    let loser = bench.registry.metrics(&hub(), &id("loser")).await.unwrap();
    assert_eq!(
        loser,
        MetricResults {
            targeted: 1,
            ..MetricResults::default()
        }
    );
    system_queries_count(&bench, "one", "*", metrics).await;
    system_queries_count(&bench, "loser", "deviceId = 'ok'", loser).await;
}

/// T14, H10: the queries that a deployment hands out have as many rows as its metrics say.
async fn system_queries_count(bench: &Bench, name: &str, condition: &str, metrics: MetricResults) {
    let counts = [
        metrics.targeted,
        metrics.applied,
        metrics.reported_successful,
        metrics.reported_failed,
    ];
    let content = Content::Modules(Map::new());
    let queries = system_queries(&id(name), &content, condition);
    for ((metric, text), expected) in queries.into_iter().zip(counts) {
        let query = Arc::new(Query::parse(&text).unwrap());
        let (hub, connections) = (hub(), offline());
        let counted = bench.registry.count_rows(&hub, &query, &connections);
        assert_eq!(counted.await.unwrap(), expected, "{metric}: {text}");
        let rows = rows(&bench.registry, &text, &PageRequest::first(1000)).await;
        let QueryRows::Raw(rows) = rows.rows else {
            panic!("members")
        };
        assert_eq!(rows.len() as u64, expected, "{metric}: {text}");
    }
}

pub(crate) async fn tags_and_reports_move_devices(bench: Bench) {
    put(
        &bench,
        draft("old", 1, "*", json!({"a": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    let condition = "tags.ring = 1 AND properties.reported.fw >= 2";
    put(
        &bench,
        draft("new", 2, condition, json!({"b": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    create(&bench, "d", json!({})).await;
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"a": {}}));
    tag(&bench, "d", json!({"ring": 1})).await;
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"a": {}}));
    bench.changes.take();
    let identity = Identity::device(hub(), device("d"));
    bench
        .registry
        .patch_reported(&identity, map(json!({"fw": 2})), None, bench.now())
        .await
        .unwrap();
    assert_eq!(bench.changes.take(), [Change::Targeting { hub: hub() }]);
    evaluate_all(&bench).await;
    assert_eq!(running(&bench, "d").await, json!({"b": {}}));
}

pub(crate) async fn a_pass_overtaken_by_a_change_begins_again(bench: Bench) {
    // More devices than one step takes.
    for number in 0..150 {
        let name = device(&format!("d{number:03}"));
        bench
            .registry
            .put_device(&hub(), &name, edge(), &IfMatch::Absent, bench.now())
            .await
            .unwrap();
    }
    put(
        &bench,
        draft("one", 1, "*", json!({"a": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    let pass = bench
        .registry
        .evaluate_configurations(&hub(), bench.now())
        .await
        .unwrap();
    assert!(pass.more && pass.changed == 128, "{pass:?}");
    put(
        &bench,
        draft("two", 2, "*", json!({"b": {}})),
        IfMatch::Absent,
    )
    .await
    .unwrap();
    evaluate_all(&bench).await;
    for name in ["d000", "d127", "d128", "d149"] {
        assert_eq!(running(&bench, name).await, json!({"b": {}}), "{name}");
    }
    let metrics = bench.registry.metrics(&hub(), &id("two")).await.unwrap();
    assert_eq!((metrics.targeted, metrics.applied), (150, 150));
}
