//! What is still to be done at a remote hub: kept, tried again, ended.

use std::time::Duration;

use provisioning::{RegistrationFailure, RegistrationState, RemoteTask, RemoteTaskKind};

use crate::hubs::{name, remote};
use crate::{Bench, device};

pub(crate) async fn what_was_made_at_a_remote_hub_for_nothing_is_removed(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    let (handle, placement) = bench.begin("d1", "remote").await;
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
    let (handle, placement) = bench.begin("d1", "remote").await;
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

pub(crate) async fn remote_tasks_are_kept_until_they_are_done(bench: Bench) {
    bench.link(remote("remote", "remote.example", 1)).await;
    bench.reside("d1", "remote").await;
    let id = "d1".parse().unwrap();
    let blocked = bench
        .provisioning
        .block(&id, None, bench.now())
        .await
        .unwrap();
    assert_eq!(blocked.remote, Some((name("remote"), device("d1"))));
    let remote_task = bench.remote_tasks().await.pop().unwrap();
    assert_eq!(
        (remote_task.kind, remote_task.tries),
        (RemoteTaskKind::Disable, 0)
    );
    assert_eq!(
        bench.provisioning.remote_tasks_at(&name("remote")).unwrap(),
        1
    );
    let busy = bench
        .provisioning
        .remote_tasks_due(bench.now(), &[name("remote")], 10)
        .await;
    assert!(busy.unwrap().is_empty());
    a_task_is_postponed(&bench, remote_task.clone()).await;

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
    bench
        .provisioning
        .unlink_hub(&name("remote"))
        .await
        .unwrap();
    assert!(
        bench.remote_tasks().await.is_empty(),
        "the right to it went with the link"
    );
}

/// It is not due before its time, and says why it waits.
async fn a_task_is_postponed(bench: &Bench, remote_task: RemoteTask) {
    let later = bench.now().plus(Duration::from_secs(60));
    let postponed = bench
        .provisioning
        .postpone_remote_task(remote_task, later, "down".to_owned());
    postponed.await.unwrap();
    assert!(bench.remote_tasks().await.is_empty());
    assert_eq!(
        bench.provisioning.next_remote_task(bench.now()).unwrap(),
        Some(later)
    );
    let waiting = bench
        .provisioning
        .remote_task(&name("remote"), &device("d1"))
        .unwrap()
        .unwrap();
    assert_eq!((waiting.tries, waiting.problem()), (1, Some("down")));
}
