//! Pending registrations that have ended: what comes back late from them changes nothing.

use provisioning::{
    CompletedPlacement, EnrolledBy, EnrollmentKey, PendingHandle, Placement, PlacementOutcome,
    Plan, RegistrationFailure, RemoteTaskKind,
};
use registry::IfMatch;

use crate::Bench;
use crate::hubs::{name, remote};
use crate::registrations::{assign, enroll};
use crate::remote_hubs::failure;

/// D1: what an enrollment leaves behind when it is deleted is not resumed, and does not
/// overwrite what came after it.
pub(crate) async fn nothing_stays_pending_without_its_record(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench.link(remote("remote", "remote.example", 1)).await;
    // 1. Through its own enrollment the device is on its way to a remote hub; something has been
    // planned there.
    let own = EnrollmentKey::Individual("d1".parse().unwrap());
    let mut first = assign(provisioning, "d1").await;
    first.registrant.enrollment_etag = enroll(provisioning, own.clone()).await;
    first.registrant.enrollment = EnrolledBy::Individual;
    first.choice.hub = name("remote");
    let (handle, placement) = bench.begin_as(first).await;
    let (handle, plan) = bench.plan(handle, &placement, (false, false)).await;
    // 2. The enrollment is deleted, and the pending registration with it. What may have been made is
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
    an_ended_attempt_writes_nothing(&bench, handle, &placement, plan).await;
    assert!(bench.due().await.is_empty());
    let id = good.registration.registration_id.clone();
    let stored = provisioning.registration(&id).await.unwrap();
    assert_eq!(stored, Some(good.registration));
}

async fn an_ended_attempt_writes_nothing(
    bench: &Bench,
    handle: PendingHandle,
    placement: &Placement,
    plan: Plan,
) {
    let provisioning = &bench.provisioning;
    let completed = CompletedPlacement {
        placement: placement.clone(),
        plan: plan.clone(),
        moved: None,
    };
    let outcome = provisioning.finish_placement(handle.clone(), completed, failure, bench.now());
    assert_eq!(outcome.await.unwrap(), PlacementOutcome::Gone);
    let kept = provisioning
        .keep_plan(handle.clone(), plan, bench.now())
        .await;
    assert_eq!(kept.unwrap(), None);
    let note = provisioning::AllocationNote::from_choice(&placement.choice);
    let chosen = placement.choice.clone();
    let outcome =
        provisioning.finish_pending(handle.clone(), chosen, note.clone(), failure, bench.now());
    assert_eq!(outcome.await.unwrap(), None);
    let failed = RegistrationFailure {
        code: 503_000,
        message: "silent".to_owned(),
    };
    let ended = provisioning.give_up_pending(handle, failed, note, bench.now());
    assert_eq!(ended.await.unwrap(), None);
}

/// D2: a handle means one attempt, and none that was begun after that had ended.
pub(crate) async fn a_handle_of_an_attempt_that_ended_opens_no_other(bench: Bench) {
    let provisioning = &bench.provisioning;
    bench.link(remote("remote", "remote.example", 1)).await;
    let (old, placement) = bench.begin("d1", "remote").await;
    let id = old.pending.registrant.registration_id.clone();
    let deleted = provisioning.delete_registration(&id, &IfMatch::Any, bench.now());
    deleted.await.unwrap();
    let (new, _) = bench.begin("d1", "remote").await;
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
