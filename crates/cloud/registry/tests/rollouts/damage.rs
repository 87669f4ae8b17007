//! Rollouts, deployments and devices that are stored and cannot be read: others go on.

use std::sync::Arc;

use registry::{IfMatch, RolloutCommand};
use serde_json::json;
use store::{DataDirectory, Lock, Store, StoreError, StoreOptions, Tx, View, unit};
use wire::muster_api::rollout::RolloutState;

use super::{Fleet, deployment, hub, id, open};

impl Fleet {
    /// Writes behind the registry's back.
    async fn behind<F>(self, write: F) -> Self
    where
        F: Fn(&View<'_>, &Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        drop(self.registry);
        let held = DataDirectory::lock(self.directory.path()).unwrap();
        let store = Store::open(held, StoreOptions::default()).unwrap();
        let unit = unit(
            (),
            |()| vec![Lock::Directory],
            |(), _| Ok::<_, StoreError>(()),
            move |(), tx, ()| write(tx, tx),
        );
        store.write(unit).await.unwrap();
        drop(store);
        let registry = open(self.directory.path(), &self.changed).await;
        Self { registry, ..self }
    }

    /// Damages a configuration: its condition, or its document.
    async fn damage(self, name: &'static str, condition: &'static str, document: bool) -> Self {
        self.behind(move |view, tx| {
            let mut row = view.configuration(&hub(), &id(name))?.unwrap();
            row.revision += 1;
            condition.clone_into(&mut row.target_condition);
            if document {
                row.document = "{".to_owned();
            }
            tx.update_configuration(&hub(), &row)
        })
        .await
    }

    /// Writes what no version of the store writes.
    async fn damage_by(self, sql: &str) -> Self {
        drop(self.registry);
        let file = self.directory.path().join("muster.db");
        let database = rusqlite::Connection::open(file).unwrap();
        assert_eq!(database.execute(sql, []).unwrap(), 1, "{sql}");
        drop(database);
        let registry = open(self.directory.path(), &self.changed).await;
        Self { registry, ..self }
    }

    async fn delete(&self, name: &str) {
        let (hub, id) = (hub(), id(name));
        let delete = self.registry.delete_configuration(&hub, &id, &IfMatch::Any);
        delete.await.unwrap();
    }

    async fn listed(&self) -> Vec<String> {
        let listed = self.registry.list_configurations(&hub()).await.unwrap();
        listed.iter().map(|record| record.id.to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_cannot_be_read_stops_nothing_else_and_can_be_aborted() {
    let mut fleet = Fleet::of(4).await;
    fleet.put(deployment("other", 3, "", "other")).await;
    fleet.pass(true).await;
    let all = json!([{"percent": 100}]);
    fleet.start(all.clone(), 4).await.unwrap();
    fleet = fleet
        .behind(|view, tx| {
            let mut row = view.latest_rollout(&hub(), &id("new"))?.unwrap();
            row.revision += 1;
            row.document = "{".to_owned();
            tx.update_rollout(&hub(), &row)
        })
        .await;
    fleet.start_of("other", all.clone(), 4).await.unwrap();
    for _ in 0..3 {
        fleet.pass(true).await;
    }
    assert_eq!(fleet.images(4).await["other"], 4);
    let listed = fleet.registry.list_rollouts(&hub()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(fleet.command(RolloutCommand::Pause).await.is_err());
    let aborted = fleet.command(RolloutCommand::Abort).await.unwrap();
    assert_eq!(aborted.state, RolloutState::Aborted);
    assert!(fleet.command(RolloutCommand::Abort).await.is_err());
    assert_eq!(fleet.rollout().await.state, RolloutState::Aborted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_cannot_be_read_has_failed() {
    let mut fleet = Fleet::of(2).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 2).await.unwrap();
    fleet.evaluate().await;
    fleet = fleet
        .behind(|view, tx| {
            let rollout = view.latest_rollout(&hub(), &id("new"))?.unwrap();
            let waiting = view.waiting_devices(rollout.id, 0, 1)?;
            tx.admit_device(&hub(), &waiting[0], rollout.id, (1, "{"))
        })
        .await;
    fleet.pass(true).await;
    let RolloutState::Returned { reason } = fleet.rollout().await.state else {
        panic!("{:?}", fleet.rollout().await);
    };
    assert!(reason.contains("d0000: cannot be read"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_keep_a_deployment_that_cannot_be_read_and_others_go_on() {
    for document in [false, true] {
        let mut fleet = Fleet::of(3).await;
        fleet
            .put(deployment("part", 5, "deviceId = 'd0001'", "part"))
            .await;
        fleet.pass(true).await;
        assert_eq!(fleet.images(3).await["part"], 1);
        fleet = fleet.damage("part", "((", document).await;
        fleet.put(deployment("top", 9, "*", "top")).await;
        fleet.pass(true).await;
        let images = fleet.images(3).await;
        assert_eq!((images["part"], images["top"]), (1, 2));

        // The others are listed, and metrics are counted.
        let listed = fleet.listed().await;
        assert_eq!(listed.contains(&"part".to_owned()), !document, "{listed:?}");
        assert!(listed.contains(&"top".to_owned()), "{listed:?}");
        let read = fleet.registry.configuration(&hub(), &id("part")).await;
        if document {
            let error = ids::error_chain(&read.unwrap_err());
            assert!(error.contains("configuration part"), "{error}");
            fleet.delete("part").await;
        } else {
            assert_eq!(read.unwrap().target_condition, "((");
            let mended = deployment("part", 5, "deviceId = 'd0001'", "part");
            let (registry, hub) = (&fleet.registry, hub());
            let put = registry.put_configuration(&hub, mended, &IfMatch::Any, fleet.now());
            put.await.unwrap();
        }
        fleet.pass(true).await;
        assert_eq!(fleet.images(3).await["top"], 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_of_another_type_stops_its_configuration_alone() {
    for set in [
        "document = x'ff'",
        "document = CAST(x'ff' AS TEXT)",
        "target_condition = CAST(x'2aff' AS TEXT)",
        "priority = 'high'",
        "revision = x'ff'",
        "kind = x'ff'",
        "configuration_id = CAST(x'ff' AS TEXT)",
    ] {
        let mut fleet = Fleet::of(2).await;
        fleet
            .put(deployment("part", 5, "deviceId = 'd0001'", "part"))
            .await;
        fleet.pass(true).await;
        let sql = format!(
            "UPDATE configurations SET {set} WHERE configuration_id = CAST('part' AS TEXT)"
        );
        fleet = fleet.damage_by(&sql).await;
        fleet.put(deployment("top", 9, "*", "top")).await;
        fleet.pass(true).await;
        let images = fleet.images(2).await;
        assert_eq!((images["part"], images["top"]), (1, 1), "{set}");
        assert_eq!(fleet.listed().await, ["good", "new", "top"], "{set}");
        let read = fleet.registry.configuration(&hub(), &id("part")).await;
        assert!(read.is_err(), "{set}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_with_damaged_columns_holds_its_deployment_back_and_stops_no_other() {
    for set in [
        "hold = 3",
        "hold = 'x'",
        "configuration_id = 'a b'",
        "document = x'ff'",
        "revision = 'x', configuration = 'x'",
    ] {
        let mut fleet = Fleet::of(4).await;
        fleet.pass(true).await;
        let all = json!([{"percent": 100}]);
        fleet.start(all.clone(), 2).await.unwrap();
        fleet.pass(true).await;
        fleet = fleet.damage_by(&format!("UPDATE rollouts SET {set}")).await;
        fleet.put(deployment("other", 1, "", "other")).await;
        fleet.start_of("other", all.clone(), 4).await.unwrap();
        for _ in 0..3 {
            fleet.pass(true).await;
        }
        let images = fleet.images(4).await;
        assert_eq!(images.get("bad"), None, "{set}");
        assert_eq!(images["other"], 4, "{set}");
        let listed = fleet.registry.list_rollouts(&hub()).await.unwrap();
        assert_eq!(listed.len(), 1, "{set}");
        let listed = listed
            .first()
            .map(|rollout| rollout.configuration_id.as_str());
        assert_eq!(listed, Some("other"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_rollout_may_begin_in_place_of_one_with_an_unknown_hold() {
    let mut fleet = Fleet::of(2).await;
    fleet.pass(true).await;
    let all = json!([{"percent": 100}]);
    fleet.start(all.clone(), 2).await.unwrap();
    fleet = fleet.damage_by("UPDATE rollouts SET hold = -1").await;
    fleet.pass(true).await;
    assert_eq!(fleet.images(2).await["good"], 2);
    fleet.start(all, 2).await.unwrap();
    for _ in 0..3 {
        fleet.pass(true).await;
    }
    assert_eq!(fleet.images(2).await["bad"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_of_a_deleted_deployment_is_forgotten() {
    let mut fleet = Fleet::of(1).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 1).await.unwrap();
    fleet.delete("new").await;
    fleet.pass(true).await;
    let state = fleet.rollout().await.state;
    assert!(matches!(state, RolloutState::Returned { .. }), "{state:?}");
    fleet
        .behind(|view, tx| {
            assert!(view.holding_rollouts(&hub())?.is_empty());
            tx.trim_rollouts(&hub(), 0)?;
            assert!(view.rollouts(&hub(), 10)?.is_empty());
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn configurations_are_listed_without_reading_them_again() {
    let fleet = Fleet::of(1).await;
    let listed = async || fleet.registry.list_configurations(&hub()).await.unwrap();
    let (first, second) = (listed().await, listed().await);
    assert_eq!(first.len(), 2);
    let same = |(one, other): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(one, other);
    assert!(first.iter().zip(&second).all(same));
    fleet.put(deployment("third", 3, "", "x")).await;
    assert_eq!(listed().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_of_metrics_that_cannot_be_read_are_no_counts() {
    let fleet = Fleet::of(1).await;
    let fleet = fleet
        .behind(|view, tx| {
            let row = view.configuration(&hub(), &id("new"))?.unwrap();
            tx.write_metric_results(&hub(), &id("new"), row.updated, "{")
        })
        .await;
    let counts = fleet.registry.metric_results(&hub(), &id("new")).unwrap();
    assert_eq!(counts, None);
}
