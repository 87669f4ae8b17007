//! Staged rollouts over a simulated fleet.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "rollouts/changes.rs"]
mod changes;
#[path = "rollouts/damage.rs"]
mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ids::{ConfigurationId, DeviceId, HubName, Identity, ModuleId, Timestamp};
use registry::{
    Change, ConfigurationDraft, IfMatch, Init, Registry, Retention, RolloutCommand, RolloutError,
    SystemEntropy, Watcher,
};
use serde_json::{Value, json};
use wire::muster_api::rollout::{RolloutDocument, RolloutRequest, RolloutState};
use wire::service_api::identity::DeviceRequest;

/// A hub with a fleet whose devices report what became of their desired properties.
struct Fleet {
    registry: Registry,
    clock: AtomicI64,
    /// Agents whose desired properties changed.
    changed: Arc<ChangedAgents>,
    /// Devices that ever got the bad image.
    ever_bad: BTreeSet<DeviceId>,
    directory: tempfile::TempDir,
}

#[derive(Default)]
struct ChangedAgents(std::sync::Mutex<BTreeSet<DeviceId>>);

impl Watcher for ChangedAgents {
    fn changed(&self, change: &Change) {
        if let Change::Desired { identity, .. } = change
            && identity.module == Some(ModuleId::edge_agent())
        {
            self.0.lock().unwrap().insert(identity.device.clone());
        }
    }
}

fn hub() -> HubName {
    HubName::parse("hub").unwrap()
}

fn id(text: &str) -> ConfigurationId {
    ConfigurationId::parse(text).unwrap()
}

fn deployment(name: &str, priority: u32, condition: &str, image: &str) -> ConfigurationDraft {
    let module = json!({"settings": {"image": image}, "status": "running"});
    ConfigurationDraft {
        id: id(name),
        schema_version: None,
        labels: None,
        target_condition: condition.to_owned(),
        priority,
        content: Some(
            json!({"modulesContent": {"$edgeAgent": {"properties.desired":
            {"schemaVersion": "1.1", "modules": {"m": module}}}}}),
        ),
        metric_queries: BTreeMap::new(),
    }
}

async fn open(directory: &std::path::Path, changed: &Arc<ChangedAgents>) -> Registry {
    let init = Init {
        rehearse: false,
        hub_name: hub(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let now = Timestamp::from_unix_seconds(1_600_000_000);
    let registry = Registry::open(directory, init, Retention::default(), now).await;
    let registry = registry.unwrap();
    registry.watch(changed.clone());
    registry
}

impl Fleet {
    async fn of(devices: usize) -> Self {
        let (directory, changed) = (tempfile::tempdir().unwrap(), Arc::default());
        let registry = open(directory.path(), &changed).await;
        let fleet = Self {
            registry,
            clock: AtomicI64::new(1_700_000_000),
            changed,
            ever_bad: BTreeSet::new(),
            directory,
        };
        let mut made = tokio::task::JoinSet::new();
        for number in 0..devices {
            let (registry, now) = (fleet.registry.clone(), fleet.now());
            made.spawn(async move {
                let name = DeviceId::parse(&format!("d{number:04}")).unwrap();
                let edge = DeviceRequest {
                    iot_edge: Some(true),
                    ..DeviceRequest::default()
                };
                let absent = IfMatch::Absent;
                let put = registry.put_device(&hub(), &name, edge, &absent, now).await;
                put.unwrap();
            });
        }
        made.join_all().await;
        fleet.put(deployment("good", 1, "*", "good")).await;
        fleet.put(deployment("new", 2, "", "bad")).await;
        fleet
    }

    async fn put(&self, draft: ConfigurationDraft) {
        let absent = IfMatch::Absent;
        self.registry
            .put_configuration(&hub(), draft, &absent, self.now())
            .await
            .unwrap();
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.clock.load(Ordering::Relaxed))
    }

    /// The process ends, and another one goes on with what is stored.
    async fn restart(self) -> Self {
        drop(self.registry);
        let registry = open(self.directory.path(), &self.changed).await;
        Self { registry, ..self }
    }

    async fn start(
        &self,
        rings: Value,
        max_in_change: u32,
    ) -> Result<RolloutDocument, RolloutError> {
        self.start_of("new", rings, max_in_change).await
    }

    async fn start_of(
        &self,
        name: &str,
        rings: Value,
        max_in_change: u32,
    ) -> Result<RolloutDocument, RolloutError> {
        let request = json!({"configurationId": name, "targetCondition": "*", "rings": rings,
            "gate": {"soakSeconds": 60, "graceSeconds": 20, "deviceTimeoutSeconds": 600},
            "maxInChange": max_in_change});
        let request: RolloutRequest = serde_json::from_value(request).unwrap();
        self.registry
            .start_rollout(&hub(), request, self.now())
            .await
    }

    async fn command(&self, command: RolloutCommand) -> Result<RolloutDocument, RolloutError> {
        let now = self.now();
        self.registry
            .command_rollout(&hub(), &id("new"), command, now)
            .await
    }

    async fn rollout(&self) -> RolloutDocument {
        self.registry.rollout(&hub(), &id("new")).await.unwrap()
    }

    /// Ten seconds: configurations are evaluated, devices answer, the rollout goes a step further.
    /// How many devices got other modules.
    async fn pass(&mut self, image_works: bool) -> usize {
        self.clock.fetch_add(10, Ordering::Relaxed);
        self.evaluate().await;
        let (hub, now) = (hub(), self.now());
        let changed = std::mem::take(&mut *self.changed.0.lock().unwrap());
        for device in &changed {
            if self.answer(device, image_works).await {
                self.ever_bad.insert(device.clone());
            }
        }
        self.registry.step_rollouts(&hub, now).await.unwrap();
        changed.len()
    }

    async fn evaluate(&self) {
        let (hub, now) = (hub(), self.now());
        while self
            .registry
            .evaluate_configurations(&hub, now)
            .await
            .unwrap()
            .more
        {}
    }

    /// An agent tries what it is to run; whether that is the new image.
    async fn answer(&self, device: &DeviceId, image_works: bool) -> bool {
        let agent = Identity::module(hub(), device.clone(), ModuleId::edge_agent());
        let desired = self.registry.twin(&agent).await.unwrap().twin.desired;
        let image = &desired.document["modules"]["m"]["settings"]["image"];
        let state = match image == "good" || image_works {
            true => "running",
            false => "backoff",
        };
        let report = json!({"lastDesiredVersion": desired.version,
            "lastDesiredStatus": {"code": 200}, "modules": {"m": {"runtimeStatus": state}}});
        let report = report.as_object().unwrap().clone();
        let reported = self
            .registry
            .patch_reported(&agent, report, None, self.now());
        reported.await.unwrap();
        image != "good"
    }

    /// How many devices run each image.
    async fn images(&self, devices: usize) -> BTreeMap<String, usize> {
        let mut images = BTreeMap::new();
        for number in 0..devices {
            let device = DeviceId::parse(&format!("d{number:04}")).unwrap();
            let agent = Identity::module(hub(), device, ModuleId::edge_agent());
            let desired = self
                .registry
                .twin(&agent)
                .await
                .unwrap()
                .twin
                .desired
                .document;
            let image = desired["modules"]["m"]["settings"]["image"].as_str();
            *images.entry(image.unwrap().to_owned()).or_default() += 1;
        }
        images
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_image_stops_in_its_first_ring_and_the_fleet_returns_by_itself() {
    const DEVICES: usize = 1000;
    const BUDGET: usize = 5;
    let mut fleet = Fleet::of(DEVICES).await;
    fleet.pass(false).await;
    assert_eq!(
        fleet.images(DEVICES).await,
        BTreeMap::from([("good".to_owned(), DEVICES)])
    );
    let rings = json!([{"name": "canary", "percent": 3}, {"percent": 30}, {"percent": 100}]);
    fleet
        .start(rings, u32::try_from(BUDGET).unwrap())
        .await
        .unwrap();
    let mut passes = 0;
    while matches!(fleet.rollout().await.state, RolloutState::Running(_)) {
        let changed = fleet.pass(false).await;
        assert!(changed <= BUDGET, "{changed} devices changed at once");
        passes += 1;
        assert!(passes < 50, "{:?}", fleet.rollout().await);
        if passes == 2 {
            fleet = fleet.restart().await;
        }
    }
    let ended = fleet.rollout().await;
    let RolloutState::Returned { reason } = &ended.state else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("module m is backoff"), "{reason}");
    while fleet.pass(false).await > 0 {}
    // The blast radius: as many devices as were allowed to change at once, of a thousand.
    assert_eq!(fleet.ever_bad.len(), BUDGET);
    assert_eq!(
        fleet.images(DEVICES).await,
        BTreeMap::from([("good".to_owned(), DEVICES)])
    );
    let events: Vec<_> = ended
        .history
        .iter()
        .map(|event| event.event.as_str())
        .collect();
    assert!(events[0].contains("ring canary is open"), "{events:?}");
    assert!(events.last().unwrap().contains("go back"), "{events:?}");
    let metrics = fleet.registry.metrics(&hub(), &id("new")).await.unwrap();
    assert_eq!((metrics.targeted, metrics.applied), (1000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_image_reaches_every_device_ring_by_ring() {
    const DEVICES: usize = 60;
    let mut fleet = Fleet::of(DEVICES).await;
    fleet.pass(true).await;
    let rings = json!([{"targetCondition": "deviceId IN ['d0001', 'd0002']"}, {"percent": 50},
        {"percent": 100}]);
    fleet.start(rings, 20).await.unwrap();
    let again = fleet.start(json!([{"percent": 100}]), 1).await;
    assert!(matches!(again, Err(RolloutError::Conflict(_))));
    fleet.pass(true).await;
    fleet.pass(true).await;
    assert_eq!(fleet.images(DEVICES).await["bad"], 2, "only the first ring");

    // Paused: nothing goes on, however long it lasts.
    fleet.command(RolloutCommand::Pause).await.unwrap();
    assert!(fleet.command(RolloutCommand::Pause).await.is_err());
    for _ in 0..12 {
        fleet.pass(true).await;
    }
    assert_eq!(fleet.images(DEVICES).await["bad"], 2);
    fleet.command(RolloutCommand::Resume).await.unwrap();
    let mut passes = 0;
    while fleet.rollout().await.state != RolloutState::Completed {
        assert!(fleet.pass(true).await <= 20);
        passes += 1;
        assert!(passes < 100, "{:?}", fleet.rollout().await);
    }
    fleet.pass(true).await;
    assert_eq!(
        fleet.images(DEVICES).await,
        BTreeMap::from([("bad".to_owned(), DEVICES)])
    );
    let metrics = fleet.registry.metrics(&hub(), &id("new")).await.unwrap();
    assert_eq!(metrics.reported_successful, 60);
    assert_eq!(fleet.registry.list_rollouts(&hub()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_rollout_takes_its_devices_back() {
    let mut fleet = Fleet::of(4).await;
    fleet.pass(true).await;
    fleet.start(json!([{"percent": 100}]), 2).await.unwrap();
    fleet.pass(true).await;
    fleet.pass(true).await;
    assert_eq!(fleet.images(4).await["bad"], 2);
    let aborted = fleet.command(RolloutCommand::Abort).await.unwrap();
    assert_eq!(aborted.state, RolloutState::Aborted);
    fleet.pass(true).await;
    assert_eq!(
        fleet.images(4).await,
        BTreeMap::from([("good".to_owned(), 4)])
    );

    // The same deployment may be tried again; a deployment without one below it may not.
    fleet.start(json!([{"percent": 100}]), 2).await.unwrap();
    let registry = fleet.registry.clone();
    let (hub, good) = (hub(), id("good"));
    registry
        .delete_configuration(&hub, &good, &IfMatch::Any)
        .await
        .unwrap();
    fleet.command(RolloutCommand::Abort).await.unwrap();
    let refused = fleet.start(json!([{"percent": 100}]), 2).await.unwrap_err();
    assert!(
        refused.to_string().contains("could not go back"),
        "{refused}"
    );
}
