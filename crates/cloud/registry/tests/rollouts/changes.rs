//! What changes on devices while a rollout goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ids::{DeviceId, Timestamp};
use registry::{IfMatch, RolloutCommand};
use serde_json::json;
use wire::muster_api::rollout::{RolloutCounts, RolloutState};
use wire::service_api::identity::DeviceRequest;

use super::{Fleet, deployment, hub, id};

impl Fleet {
    /// Longer than a device may take.
    fn much_later(&self) {
        self.clock.fetch_add(700, Ordering::Relaxed);
    }

    /// A layer over the base, whose module does not run.
    async fn put_layer(&self, name: &str) {
        let mut layer = deployment(name, 3, "*", "x");
        layer.content = Some(json!({"modulesContent": {"$edgeAgent": {
            format!("properties.desired.modules.{name}"): {"status": "stopped"}}}}));
        self.put(layer).await;
    }

    /// Configurations are evaluated and the rollout goes a step further before agents answer.
    async fn step_unanswered(&self) -> RolloutCounts {
        self.evaluate().await;
        let stepped = self.registry.step_rollouts(&hub(), self.now()).await;
        stepped.unwrap();
        self.rollout().await.counts
    }

    async fn soaking_since(&self) -> Option<Timestamp> {
        match self.rollout().await.state {
            RolloutState::Running(open) | RolloutState::Paused(open) => open.soaking_since,
            ended => panic!("{ended:?}"),
        }
    }

    async fn open_ring(&self) -> u32 {
        match self.rollout().await.state {
            RolloutState::Running(open) | RolloutState::Paused(open) => open.ring,
            ended => panic!("{ended:?}"),
        }
    }

    /// A new device.
    async fn join(&self, name: &str) {
        let edge = DeviceRequest {
            iot_edge: Some(true),
            ..DeviceRequest::default()
        };
        let (hub, name, now) = (hub(), DeviceId::parse(name).unwrap(), self.now());
        let absent = IfMatch::Absent;
        let put = self.registry.put_device(&hub, &name, edge, &absent, now);
        put.await.unwrap();
    }

    async fn soak(&mut self) -> Timestamp {
        for _ in 0..20 {
            self.pass(true).await;
            if let Some(since) = self.soaking_since().await {
                return since;
            }
        }
        panic!("{:?}", self.rollout().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy_devices_that_get_something_else_have_not_failed() {
    let mut fleet = Fleet::of(4).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 4).await.unwrap();
    fleet.soak().await;
    fleet.command(RolloutCommand::Pause).await.unwrap();

    fleet.much_later();
    fleet.put_layer("layer").await;
    let counts = fleet.step_unanswered().await;
    assert_eq!((counts.changing, counts.failed), (4, 0));
    fleet.pass(true).await;
    assert_eq!(fleet.rollout().await.counts.healthy, 4);

    // Another base takes the devices: this rollout knows nothing of them any more.
    fleet.much_later();
    fleet.put(deployment("top", 9, "*", "good")).await;
    for _ in 0..2 {
        assert_eq!(fleet.step_unanswered().await, RolloutCounts::default());
        fleet.much_later();
    }
    let state = fleet.rollout().await.state;
    assert!(matches!(state, RolloutState::Paused(_)), "{state:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_never_answers_fails_also_when_its_desired_properties_change_all_the_time() {
    let mut fleet = Fleet::of(2).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 2).await.unwrap();
    fleet.step_unanswered().await;
    assert_eq!(fleet.step_unanswered().await.changing, 2);
    // Twice half of the time that a device has; it is read from the disk in between.
    for layer in ["first", "second"] {
        fleet = fleet.restart().await;
        fleet.clock.fetch_add(310, Ordering::Relaxed);
        fleet.put_layer(layer).await;
        fleet.step_unanswered().await;
    }
    let state = fleet.rollout().await.state;
    let RolloutState::Returned { reason } = state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("no success within 600 s"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_whose_devices_all_run_another_deployment_waits() {
    let mut fleet = Fleet::of(3).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 3).await.unwrap();
    fleet.pass(true).await;
    fleet.put(deployment("top", 9, "*", "good")).await;
    for _ in 0..12 {
        fleet.pass(true).await;
        fleet.much_later();
    }
    let state = fleet.rollout().await.state;
    assert!(matches!(state, RolloutState::Running(_)), "{state:?}");
    // They get the new deployment under the gate.
    let (registry, hub, top) = (&fleet.registry, hub(), id("top"));
    let deleted = registry.delete_configuration(&hub, &top, &IfMatch::Any);
    deleted.await.unwrap();
    for _ in 0..5 {
        fleet.pass(false).await;
    }
    let state = fleet.rollout().await.state;
    assert!(matches!(state, RolloutState::Returned { .. }), "{state:?}");
    fleet.pass(true).await;
    assert_eq!(fleet.images(3).await["good"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_earlier_rings_do_not_start_the_soak_again() {
    let mut fleet = Fleet::of(3).await;
    fleet.pass(true).await;
    let rings = json!([{"targetCondition": "deviceId IN ['d0001', 'late']"}, {"percent": 100}]);
    fleet.start(rings, 4).await.unwrap();
    while fleet.open_ring().await == 0 {
        fleet.soak().await;
        fleet.pass(true).await;
    }
    let since = fleet.soak().await;
    fleet.join("late").await;
    fleet.step_unanswered().await;
    assert_eq!(fleet.soaking_since().await, Some(since));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_join_again_and_again_put_the_end_off_for_a_bounded_time() {
    let mut fleet = Fleet::of(2).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 4).await.unwrap();
    let first = fleet.soak().await;
    let mut joined = 0;
    while fleet.rollout().await.state != RolloutState::Completed {
        joined += 1;
        assert!(joined < 100, "{:?}", fleet.rollout().await);
        fleet.join(&format!("late{joined}")).await;
        fleet.pass(true).await;
    }
    // Four soaks and a timeout.
    let longest = Duration::from_secs(4 * 60 + 600);
    assert!(fleet.now() >= first.plus(longest));
    assert!(fleet.now() < first.plus(longest + Duration::from_secs(30)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soak_starts_again_when_a_device_changes_and_after_a_pause() {
    let mut fleet = Fleet::of(3).await;
    fleet.pass(true).await;
    let rings = json!([{"targetCondition": "deviceId IN ['d0001', 'late']"}, {"percent": 100}]);
    fleet.start(rings, 4).await.unwrap();
    let first = fleet.soak().await;

    // A device that turns to changing.
    fleet.put_layer("layer").await;
    fleet.step_unanswered().await;
    assert_eq!(fleet.soaking_since().await, None);
    let second = fleet.soak().await;
    assert!(second > first);

    // A device that joins the ring.
    fleet.join("late").await;
    fleet.step_unanswered().await;
    assert_eq!(fleet.soaking_since().await, None);
    let third = fleet.soak().await;
    assert!(third > second);

    fleet.command(RolloutCommand::Pause).await.unwrap();
    fleet.much_later();
    fleet.command(RolloutCommand::Resume).await.unwrap();
    assert!(fleet.soak().await > third);
    let RolloutState::Running(open) = fleet.rollout().await.state else {
        panic!("{:?}", fleet.rollout().await);
    };
    assert_eq!(open.ring, 0, "the pause is no soak");
}
