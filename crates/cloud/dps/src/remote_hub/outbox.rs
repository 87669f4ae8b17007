//! The outbox: tasks at remote hubs that are stored until they are done. A thin loop
//! around the transactions of `provisioning`.

use std::collections::HashMap;
use std::time::Duration;

use ids::{DeviceId, HubName};
use provisioning::{BLOCKED, Provisioning, RemoteTask, RemoteTaskKind};
use registry::StorageError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::service_api::identity::Status;
use wire::service_api::remote_hub::RemoteDevice;

use super::client::RemoteHub;
use super::fault::RemoteFault;
use crate::service::Dps;

/// Tasks that run at the same time, and those of them at the same hub.
const AT_ONCE: usize = 16;
const AT_ONE_HUB: usize = 8;
/// How long the loop sleeps when nothing is due.
const PERIOD: Duration = Duration::from_secs(5);
/// The pause after the first try that failed; it doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Runs until `shutdown` turns true. What is interrupted then starts again with the next process.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        // All arms are cancel-safe: a task that is dropped is still due.
        let rest = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            rest = run_due(dps) => rest,
        };
        let rest = rest.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "tasks at remote hubs were not run");
            PERIOD
        });
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = dps.remote_tasks() => {}
            () = sleep(rest) => {}
        }
    }
}

/// Runs what is due; returns for how long nothing more will be due.
async fn run_due(dps: &Dps) -> Result<Duration, StorageError> {
    let provisioning = dps.tenants().provisioning();
    let mut busy: Vec<HubName> = Vec::new();
    loop {
        let due = provisioning
            .remote_tasks_due(dps.now(), &busy, AT_ONCE)
            .await?;
        if due.is_empty() {
            break;
        }
        let mut running = JoinSet::new();
        let mut at: HashMap<HubName, usize> = HashMap::new();
        for task in due {
            let count = at.entry(task.hub.clone()).or_default();
            *count += 1;
            if *count <= AT_ONE_HUB {
                let dps = dps.clone();
                running.spawn(async move { attempt(&dps, task).await });
            }
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Ok(Some(waits))) => busy.push(waits),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(error = %error, "a task at a remote hub panicked");
                    return Ok(PERIOD);
                }
            }
        }
    }
    let now = dps.now();
    let next = provisioning.next_remote_task(now)?;
    Ok(next.map_or(PERIOD, |next| next.since(now).min(PERIOD)))
}

/// Runs the task of a device now. Returns why it is not done yet, when it is not.
pub async fn run_now(
    dps: &Dps,
    hub: &HubName,
    device: &DeviceId,
) -> Result<Option<String>, StorageError> {
    let provisioning = dps.tenants().provisioning();
    let Some(task) = provisioning.remote_task(hub, device)? else {
        return Ok(None);
    };
    attempt(dps, task).await?;
    let left = provisioning.remote_task(hub, device)?;
    Ok(left.map(|task| {
        let problem = task.problem().map(str::to_owned);
        problem.unwrap_or_else(|| "it is being done".to_owned())
    }))
}

/// One try. Returns the hub, when the task has to wait for it.
async fn attempt(dps: &Dps, task: RemoteTask) -> Result<Option<HubName>, StorageError> {
    let provisioning = dps.tenants().provisioning();
    let Some(hub) = provisioning.any_link(&task.hub) else {
        // Unlinking took away the right to do it.
        provisioning.end_remote_task(task).await?;
        return Ok(None);
    };
    let done = match RemoteHub::for_link(dps, &hub) {
        Some(remote) => carry_out(provisioning, &remote, &task).await?,
        None => Ok(()),
    };
    let name = task.hub.clone();
    match done {
        Ok(()) => {
            tracing::info!(
                hub.name = %task.hub,
                device.id = %task.device_id,
                "device {} of hub {}: {:?} is done",
                task.device_id,
                task.hub,
                task.kind,
            );
            provisioning.end_remote_task(task).await?;
            Ok(None)
        }
        Err(fault) => {
            let due = dps.now().plus(pause(task.tries));
            provisioning
                .postpone_remote_task(task, due, fault.with_answer())
                .await?;
            Ok(Some(name))
        }
    }
}

async fn carry_out(
    provisioning: &Provisioning,
    remote: &RemoteHub<'_>,
    task: &RemoteTask,
) -> Result<Result<(), RemoteFault>, StorageError> {
    let device = match remote.device(&task.device_id).await {
        Ok(Some(device)) => device,
        Ok(None) => return Ok(Ok(())),
        Err(fault) => return Ok(Err(fault)),
    };
    // Should the device be assigned again in this moment, its hub has another version of it than
    // the one that was read.
    match provisioning.stands(task)? {
        true => Ok(change(remote, task, &device).await),
        false => Ok(Err(remote.changed())),
    }
}

async fn change(
    remote: &RemoteHub<'_>,
    task: &RemoteTask,
    device: &RemoteDevice,
) -> Result<(), RemoteFault> {
    let id = &task.device_id;
    let is_blocked = device.status_reason.as_deref() == Some(BLOCKED);
    let body = match (task.kind, device.status) {
        (RemoteTaskKind::Remove, _) => return remote.delete(id, &device.etag).await,
        (RemoteTaskKind::Disable, Status::Enabled) => device.with_status(Some(BLOCKED)),
        // Written again: an "enable" that is on its way to the hub then
        // meets another version and fails.
        (RemoteTaskKind::Disable, Status::Disabled) if is_blocked => {
            device.with_status(Some(BLOCKED))
        }
        (RemoteTaskKind::Enable, Status::Disabled) if is_blocked => device.with_status(None),
        // As it should be, or as an operator of the hub wants it.
        (RemoteTaskKind::Disable | RemoteTaskKind::Enable, _) => return Ok(()),
    };
    remote.update(id, &device.etag, &body).await
}

fn pause(tries: u32) -> Duration {
    let doubled = PAUSES.0.saturating_mul(1 << tries.min(10));
    doubled.min(PAUSES.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = [0, 1, 2, 5, 6, 1000]
            .map(|tries| pause(tries).as_secs())
            .into();
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
    }
}
