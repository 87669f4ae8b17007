//! Devices of remote hubs, as far as a provisioning keeps them: what is under way, what is planned,
//! what is still to be done there.

use std::time::Duration;

use provisioning::{
    Assign, AssignError, AssignOutcome, Busy, CompletedPlacement, EnrolledBy, EnrollmentKey,
    MovedData, PendingHandle, PendingRegistration, PendingStep, Placement, PlacementOutcome, Plan,
    PlanStep, RegistrationFailure, RegistrationRecord, RegistrationState, RemoteTask,
    RemoteTaskKind,
};
use registry::{IfMatch, InitialTwin};
use serde_json::{Map, Value, json};
use wire::service_api::identity::Status;

use crate::hubs::{name, remote};
use crate::registrations::{assign, enroll, substatus};
use crate::{Bench, device, hub};

fn failure(error: &AssignError) -> RegistrationFailure {
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
    async fn begin(&self, id: &str, at: &str) -> (PendingHandle, Placement) {
        let mut assign = assign(&self.provisioning, id).await;
        assign.choice.hub = name(at);
        self.begin_as(assign).await
    }

    async fn begin_as(&self, assign: Assign) -> (PendingHandle, Placement) {
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

    async fn due(&self) -> Vec<PendingHandle> {
        let due = self
            .provisioning
            .pending_due(self.now(), Busy::default(), 10);
        due.await.unwrap()
    }

    async fn plan(
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

    async fn settle(
        &self,
        handle: PendingHandle,
        placed: CompletedPlacement,
    ) -> RegistrationRecord {
        let settled = self
            .provisioning
            .finish_placement(handle, placed, failure, self.now())
            .await;
        match settled.unwrap() {
            PlacementOutcome::Over(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    /// A device in a remote hub.
    async fn reside(&self, id: &str, at: &str) -> RegistrationRecord {
        let (handle, placement) = self.begin(id, at).await;
        let (handle, plan) = self.plan(handle, &placement, (false, false)).await;
        let placed = CompletedPlacement {
            placement,
            plan,
            moved: None,
        };
        self.settle(handle, placed).await
    }

    async fn remote_tasks(&self) -> Vec<RemoteTask> {
        self.provisioning
            .remote_tasks_due(self.now(), &[], 10)
            .await
            .unwrap()
    }
}

pub(crate) async fn a_device_of_a_remote_hub_is_recorded_and_not_made_here(bench: Bench) {
    bench.link(remote("far", "far.example", 1)).await;
    let record = bench.reside("d1", "far").await;
    assert_eq!(substatus(&record.state).as_str(), "initialAssignment");
    let (at, named) = record.assignment().unwrap();
    assert_eq!((at, named), (&name("far"), &device("d1")));
    assert!(
        bench
            .provisioning
            .registry()
            .device(&name("far"), &device("d1"))
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
    bench.link(remote("far", "far.example", 1)).await;
    let (handle, placement) = bench.begin("d1", "far").await;
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
    bench.link(remote("far", "far.example", 1)).await;
    bench.reside("d1", "far").await;
    let mut back = assign(&bench.provisioning, "d1").await;
    back.choice.hub = hub();
    let (handle, placement) = bench.begin("d1", hub().as_str()).await;
    let (handle, plan) = bench.plan(handle, &placement, (true, false)).await;
    assert_eq!(plan.step(), PlanStep::Bring);
    let twin = InitialTwin::new(&object(json!({"a": 1})), &object(json!({"b": 2}))).unwrap();
    let carried = MovedData {
        status: Status::Disabled,
        status_reason: Some("lost".to_owned()),
        iot_edge: true,
        twin,
        reported: object(json!({"c": 3})),
        read_at: None,
    };
    let placed = CompletedPlacement {
        placement,
        plan,
        moved: Some(carried),
    };
    let record = bench.settle(handle, placed).await;
    assert_eq!(substatus(&record.state).as_str(), "deviceDataMigrated");
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

    // And there again, while its twin changes: it is read again. The removal is no longer wanted.
    let (handle, placement) = bench.begin("d1", "far").await;
    let (handle, plan) = bench.plan(handle, &placement, (true, false)).await;
    let twin = bench
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    let carried = MovedData {
        status: Status::Enabled,
        status_reason: None,
        iot_edge: true,
        twin: InitialTwin::default(),
        reported: Map::new(),
        read_at: Some(twin.etag),
    };
    let placed = CompletedPlacement {
        placement,
        plan,
        moved: Some(carried),
    };
    let report = object(json!({"c": 4}));
    let reported =
        bench
            .provisioning
            .registry()
            .patch_reported(&identity, report, None, bench.now());
    reported.await.unwrap();
    let settled =
        bench
            .provisioning
            .finish_placement(handle.clone(), placed.clone(), failure, bench.now());
    assert_eq!(settled.await.unwrap(), PlacementOutcome::Stale);
    let mut placed = placed;
    let twin = bench
        .provisioning
        .registry()
        .twin(&identity)
        .await
        .unwrap()
        .twin;
    placed.moved.as_mut().unwrap().read_at = Some(twin.etag);
    bench.settle(handle, placed).await;
    assert!(
        bench
            .provisioning
            .registry()
            .device(&hub(), &device("d1"))
            .await
            .is_err()
    );
    assert!(
        bench.remote_tasks().await.is_empty(),
        "it has come back to that place"
    );
}

pub(crate) async fn what_was_made_at_a_remote_hub_for_nothing_is_removed(bench: Bench) {
    bench.link(remote("far", "far.example", 1)).await;
    let (handle, placement) = bench.begin("d1", "far").await;
    let (handle, _) = bench.plan(handle, &placement, (false, false)).await;
    let failed = RegistrationFailure {
        code: 503_000,
        message: "silent".to_owned(),
    };
    let note = provisioning::AllocationNote::from_choice(&placement.choice);
    let ended = bench
        .provisioning
        .give_up_pending(handle, failed, note, bench.now());
    let record = ended.await.unwrap().unwrap();
    assert!(matches!(
        record.state,
        RegistrationState::Failed { code: 503_000, .. }
    ));
    let remote_tasks = bench.remote_tasks().await;
    assert_eq!(
        (remote_tasks.len(), remote_tasks[0].kind),
        (1, RemoteTaskKind::Remove)
    );
    // Until it is removed it counts as not there: the one that registers next gets a fresh one.
    let (handle, placement) = bench.begin("d1", "far").await;
    let placement_sources = bench
        .provisioning
        .placement_sources(&handle, &placement.choice)
        .await
        .unwrap();
    assert_eq!(placement_sources.wanted.exists, Some(false));
    // Once that is planned, the removal is off, before anything is made.
    assert!(bench.provisioning.stands(&remote_tasks[0]).unwrap());
    bench.plan(handle, &placement, (false, false)).await;
    assert!(!bench.provisioning.stands(&remote_tasks[0]).unwrap());
    assert!(bench.remote_tasks().await.is_empty());
}

pub(crate) async fn a_remote_device_is_not_taken_from_its_owner(bench: Bench) {
    bench.link(remote("far", "far.example", 1)).await;
    bench.reside("d1", "far").await;
    let mut other = assign(&bench.provisioning, "d2").await;
    other.registrant.device_id = device("d1");
    other.choice.hub = name("far");
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

pub(crate) async fn remote_tasks_are_kept_until_they_are_done(bench: Bench) {
    bench.link(remote("far", "far.example", 1)).await;
    bench.reside("d1", "far").await;
    let id = "d1".parse().unwrap();
    let blocked = bench
        .provisioning
        .block(&id, None, bench.now())
        .await
        .unwrap();
    assert_eq!(blocked.remote, Some((name("far"), device("d1"))));
    let remote_task = bench.remote_tasks().await.pop().unwrap();
    assert_eq!(
        (remote_task.kind, remote_task.tries),
        (RemoteTaskKind::Disable, 0)
    );
    assert_eq!(bench.provisioning.remote_tasks_at(&name("far")).unwrap(), 1);
    let busy = bench
        .provisioning
        .remote_tasks_due(bench.now(), &[name("far")], 10)
        .await;
    assert!(busy.unwrap().is_empty());

    let later = bench.now().plus(Duration::from_secs(60));
    let postponed =
        bench
            .provisioning
            .postpone_remote_task(remote_task.clone(), later, "down".to_owned());
    postponed.await.unwrap();
    assert!(bench.remote_tasks().await.is_empty());
    assert_eq!(
        bench.provisioning.next_remote_task(bench.now()).unwrap(),
        Some(later)
    );
    let waiting = bench
        .provisioning
        .remote_task(&name("far"), &device("d1"))
        .unwrap()
        .unwrap();
    assert_eq!((waiting.tries, waiting.problem()), (1, Some("down")));

    // Another one takes its place, which the one that comes back late does not end.
    bench.provisioning.unblock(&id, bench.now()).await.unwrap();
    bench
        .provisioning
        .end_remote_task(remote_task)
        .await
        .unwrap();
    let remote_task = bench.remote_tasks().await.pop().unwrap();
    assert_eq!(
        (remote_task.kind, remote_task.problem()),
        (RemoteTaskKind::Enable, None)
    );
    bench
        .provisioning
        .end_remote_task(remote_task)
        .await
        .unwrap();
    assert!(bench.remote_tasks().await.is_empty());

    bench
        .provisioning
        .block(&id, None, bench.now())
        .await
        .unwrap();
    bench.provisioning.unlink_hub(&name("far")).await.unwrap();
    assert!(
        bench.remote_tasks().await.is_empty(),
        "the right to it went with the link"
    );
}

/// D1: what an enrollment leaves behind when it is deleted is not resumed, and does not
/// overwrite what came after it.
pub(crate) async fn nothing_stays_pending_without_its_record(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench.link(remote("far", "far.example", 1)).await;
    // 1. Through its own enrollment the device is under way to a remote hub; something has been
    // planned there.
    let own = EnrollmentKey::Individual("d1".parse().unwrap());
    let mut first = assign(provisioning, "d1").await;
    first.registrant.enrollment_etag = enroll(provisioning, own.clone()).await;
    first.registrant.enrollment = EnrolledBy::Individual;
    first.choice.hub = name("far");
    let (handle, placement) = bench.begin_as(first).await;
    let (handle, plan) = bench.plan(handle, &placement, (false, false)).await;
    // 2. The enrollment is deleted, and what is under way with it. What may have been made is
    // removed.
    let deleted = provisioning.delete_enrollment(&own, &IfMatch::Any, bench.now());
    deleted.await.unwrap();
    assert!(bench.due().await.is_empty());
    let remote_tasks = bench.remote_tasks().await;
    assert_eq!(
        (remote_tasks.len(), remote_tasks[0].kind),
        (1, RemoteTaskKind::Remove)
    );
    // 3. The device registers through its group.
    let second = assign(provisioning, "d1").await;
    let good = provisioning
        .assign(second, bench.now())
        .await
        .unwrap()
        .assigned()
        .unwrap();
    // 4. The first attempt comes back, in every way in which it can.
    let placed = CompletedPlacement {
        placement: placement.clone(),
        plan: plan.clone(),
        moved: None,
    };
    let settled = provisioning.finish_placement(handle.clone(), placed, failure, bench.now());
    assert_eq!(settled.await.unwrap(), PlacementOutcome::Gone);
    let kept = provisioning
        .keep_plan(handle.clone(), plan, bench.now())
        .await;
    assert_eq!(kept.unwrap(), None);
    let note = provisioning::AllocationNote::from_choice(&placement.choice);
    let chosen = placement.choice.clone();
    let settled =
        provisioning.finish_pending(handle.clone(), chosen, note.clone(), failure, bench.now());
    assert_eq!(settled.await.unwrap(), None);
    let failed = RegistrationFailure {
        code: 503_000,
        message: "silent".to_owned(),
    };
    let ended = provisioning.give_up_pending(handle, failed, note, bench.now());
    assert_eq!(ended.await.unwrap(), None);
    assert!(bench.due().await.is_empty());
    let id = good.registration.registration_id.clone();
    let stored = provisioning.registration(&id).await.unwrap();
    assert_eq!(stored, Some(good.registration));
}

/// D2: a ticket means one attempt, and none that was begun after that had ended.
pub(crate) async fn a_handle_of_an_attempt_that_ended_opens_no_other(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench.link(remote("far", "far.example", 1)).await;
    let (old, placement) = bench.begin("d1", "far").await;
    let id = old.pending.registrant.registration_id.clone();
    let deleted = provisioning.delete_registration(&id, &IfMatch::Any, bench.now());
    deleted.await.unwrap();
    let (new, _) = bench.begin("d1", "far").await;
    assert_ne!(old.version(), new.version());
    let failed = RegistrationFailure {
        code: 503_000,
        message: "silent".to_owned(),
    };
    let note = provisioning::AllocationNote::from_choice(&placement.choice);
    let ended = provisioning.give_up_pending(old.clone(), failed, note, bench.now());
    assert_eq!(ended.await.unwrap(), None, "the new attempt is another one");
    let postponed = provisioning.postpone_pending(old.clone(), old.pending.clone(), bench.now());
    postponed.await.unwrap();
    assert!(!provisioning.is_as_before(&old).unwrap());
    assert!(provisioning.is_as_before(&new).unwrap());
}
