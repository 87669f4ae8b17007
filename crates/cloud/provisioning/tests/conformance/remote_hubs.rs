//! Devices of remote hubs, as far as provisioning keeps them: what is pending, what is planned,
//! what is still to be done there.

use provisioning::{
    Assign, AssignError, AssignOutcome, Busy, CompletedPlacement, MovedData, PendingHandle,
    PendingRegistration, PendingStep, Placement, PlacementOutcome, Plan, PlanStep,
    RegistrationFailure, RegistrationRecord, RemoteTask, RemoteTaskKind,
};
use registry::InitialTwin;
use serde_json::{Map, Value, json};
use wire::service_api::identity::Status;

use crate::hubs::{name, remote};
use crate::registrations::{assign, substatus};
use crate::{Bench, device, hub};

pub(crate) fn failure(error: &AssignError) -> RegistrationFailure {
    RegistrationFailure {
        code: 409_205,
        message: error.to_string(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

impl Bench {
    /// Begins a registration of a device that shall be in a hub, and takes it up.
    pub(crate) async fn begin(&self, id: &str, at: &str) -> (PendingHandle, Placement) {
        let mut assign = assign(&self.provisioning, id).await;
        assign.choice.hub = name(at);
        self.begin_as(assign).await
    }

    pub(crate) async fn begin_as(&self, assign: Assign) -> (PendingHandle, Placement) {
        let refused = self.provisioning.assign(assign.clone(), self.now()).await;
        assert!(
            matches!(refused, Ok(AssignOutcome::NeedsRemoteHub)),
            "{refused:?}"
        );
        let placement = Placement {
            choice: assign.choice,
            note: None,
        };
        let question = PendingStep::PlaceOnRemoteHub(Box::new(placement.clone()));
        let pending = PendingRegistration::new(assign.registrant, question, self.now());
        self.provisioning
            .begin_pending(pending, self.now())
            .await
            .unwrap();
        (self.due().await.pop().unwrap(), placement)
    }

    pub(crate) async fn due(&self) -> Vec<PendingHandle> {
        let due = self
            .provisioning
            .pending_due(self.now(), Busy::default(), 10);
        due.await.unwrap()
    }

    pub(crate) async fn plan(
        &self,
        handle: PendingHandle,
        placement: &Placement,
        exist: (bool, bool),
    ) -> (PendingHandle, Plan) {
        let placement_sources = self
            .provisioning
            .placement_sources(&handle, &placement.choice)
            .await
            .unwrap();
        let plan = placement_sources.decide(exist.0, exist.1);
        let kept = self
            .provisioning
            .keep_plan(handle, plan.clone(), self.now())
            .await;
        (kept.unwrap().unwrap(), plan)
    }

    pub(crate) async fn finish(
        &self,
        handle: PendingHandle,
        completed: CompletedPlacement,
    ) -> RegistrationRecord {
        let outcome = self
            .provisioning
            .finish_placement(handle, completed, failure, self.now())
            .await;
        match outcome.unwrap() {
            PlacementOutcome::Over(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    /// A device in a remote hub.
    pub(crate) async fn reside(&self, id: &str, at: &str) -> RegistrationRecord {
        let (handle, placement) = self.begin(id, at).await;
        let (handle, plan) = self.plan(handle, &placement, (false, false)).await;
        let completed = CompletedPlacement {
            placement,
            plan,
            moved: None,
        };
        self.finish(handle, completed).await
    }

    pub(crate) async fn remote_tasks(&self) -> Vec<RemoteTask> {
        self.provisioning
            .remote_tasks_due(self.now(), &[], 10)
            .await
            .unwrap()
    }
}

pub(crate) async fn a_device_of_a_remote_hub_is_recorded_and_not_made_here(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    let record = bench.reside("d1", "remote").await;
    assert_eq!(substatus(&record.state).name(), "initialAssignment");
    let (at, named) = record.assignment().unwrap();
    assert_eq!((at, named), (&name("remote"), &device("d1")));
    assert!(
        bench
            .provisioning
            .registry()
            .device(&name("remote"), &device("d1"))
            .await
            .is_err()
    );
    let due = bench
        .provisioning
        .pending_due(bench.now(), Busy::default(), 10)
        .await;
    assert!(due.unwrap().is_empty());
    assert!(bench.remote_tasks().await.is_empty());
}

pub(crate) async fn a_plan_outlives_a_restart(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    let (handle, placement) = bench.begin("d1", "remote").await;
    let stale = handle.clone();
    let (_, plan) = bench.plan(handle, &placement, (false, false)).await;
    let late = CompletedPlacement {
        placement: placement.clone(),
        plan: plan.clone(),
        moved: None,
    };
    let late = bench
        .provisioning
        .finish_placement(stale, late, failure, bench.now())
        .await;
    assert_eq!(late.unwrap(), PlacementOutcome::Gone);
    // The device registers anew with another certificate: what was begun is resumed.
    let mut again = assign(&bench.provisioning, "d1").await;
    again.registrant.proof =
        provisioning::DeviceProof::Certificate(ids::Thumbprint::from_bytes([9; 32]));
    let question = PendingStep::PlaceOnRemoteHub(Box::new(placement.clone()));
    let pending = PendingRegistration::new(again.registrant, question, bench.now());
    bench
        .provisioning
        .begin_pending(pending, bench.now())
        .await
        .unwrap();
    let due = bench
        .provisioning
        .pending_due(bench.now(), Busy::default(), 10)
        .await
        .unwrap();
    let placement_sources = bench
        .provisioning
        .placement_sources(&due[0], &placement.choice)
        .await
        .unwrap();
    assert_eq!(placement_sources.begun(), Some(plan));
}

pub(crate) async fn moves_to_and_from_a_remote_hub_lose_nothing(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    bench.reside("d1", "remote").await;
    let mut back = assign(&bench.provisioning, "d1").await;
    back.choice.hub = hub();
    let (handle, placement) = bench.begin("d1", hub().as_str()).await;
    let (handle, plan) = bench.plan(handle, &placement, (true, false)).await;
    assert_eq!(plan.step(), PlanStep::Bring);
    let twin = InitialTwin::new(&object(json!({"a": 1})), &object(json!({"b": 2}))).unwrap();
    let moved_data = MovedData {
        status: Status::Disabled,
        status_reason: Some("lost".to_owned()),
        iot_edge: true,
        twin,
        reported: object(json!({"c": 3})),
        read_at: None,
    };
    let completed = CompletedPlacement {
        placement,
        plan,
        moved: Some(moved_data),
    };
    let record = bench.finish(handle, completed).await;
    assert_eq!(substatus(&record.state).name(), "deviceDataMigrated");
    the_device_came_with_its_data(&bench).await;
    a_move_reads_a_twin_that_changes_again(&bench).await;
    assert!(
        bench.remote_tasks().await.is_empty(),
        "it has come back to that place"
    );
}

/// The moved device is here as it was there, and its removal there is a remote task.
async fn the_device_came_with_its_data(bench: &Bench) {
    let identity = ids::Identity::device(hub(), device("d1"));
    let here = bench
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    assert_eq!(Value::Object(here.tags), json!({"a": 1}));
    assert_eq!(Value::Object(here.desired.document), json!({"b": 2}));
    assert_eq!(Value::Object(here.reported.document), json!({"c": 3}));
    let row = bench
        .provisioning
        .registry()
        .device(&hub(), &device("d1"))
        .await
        .unwrap();
    assert_eq!((row.status, row.iot_edge), (Status::Disabled, true));
    let remote_tasks = bench.remote_tasks().await;
    assert_eq!(
        (remote_tasks.len(), remote_tasks[0].kind),
        (1, RemoteTaskKind::Remove)
    );
}

/// Back to the remote hub, while the twin changes.
async fn a_move_reads_a_twin_that_changes_again(bench: &Bench) {
    let identity = ids::Identity::device(hub(), device("d1"));
    let (handle, placement) = bench.begin("d1", "remote").await;
    let (handle, plan) = bench.plan(handle, &placement, (true, false)).await;
    let twin = bench
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    let moved_data = MovedData {
        status: Status::Enabled,
        status_reason: None,
        iot_edge: true,
        twin: InitialTwin::default(),
        reported: Map::new(),
        read_at: Some(twin.etag),
    };
    let completed = CompletedPlacement {
        placement,
        plan,
        moved: Some(moved_data),
    };
    let report = object(json!({"c": 4}));
    let reported =
        bench
            .provisioning
            .registry()
            .patch_reported(&identity, report, None, bench.now());
    reported.await.unwrap();
    let outcome = bench.provisioning.finish_placement(
        handle.clone(),
        completed.clone(),
        failure,
        bench.now(),
    );
    assert_eq!(outcome.await.unwrap(), PlacementOutcome::Stale);
    let mut completed = completed;
    let twin = bench
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    completed.moved.as_mut().unwrap().read_at = Some(twin.etag);
    bench.finish(handle, completed).await;
    assert!(
        bench
            .provisioning
            .registry()
            .device(&hub(), &device("d1"))
            .await
            .is_err()
    );
}

pub(crate) async fn a_remote_device_is_not_taken_from_its_owner(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    bench.reside("d1", "remote").await;
    let mut other = assign(&bench.provisioning, "d2").await;
    other.registrant.device_id = device("d1");
    other.choice.hub = name("remote");
    let question = PendingStep::PlaceOnRemoteHub(Box::new(Placement {
        choice: other.choice.clone(),
        note: None,
    }));
    let pending = PendingRegistration::new(other.registrant, question, bench.now());
    bench
        .provisioning
        .begin_pending(pending, bench.now())
        .await
        .unwrap();
    let due = bench
        .provisioning
        .pending_due(bench.now(), Busy::default(), 10)
        .await
        .unwrap();
    let found = bench
        .provisioning
        .placement_sources(&due[0], &other.choice)
        .await;
    assert!(
        matches!(found, Err(AssignError::DeviceTaken { .. })),
        "{found:?}"
    );
}
