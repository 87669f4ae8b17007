//! What is still to be done to devices of remote hubs: a thin loop around what the registry keeps.

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

/// Errands that are run at once, and those of them at the same hub.
const AT_ONCE: usize = 16;
const AT_ONE_HUB: usize = 8;
/// How long the loop sleeps when nothing is due.
const PERIOD: Duration = Duration::from_secs(5);
/// The pause after the first try that failed doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Runs until `shutdown` turns true. What is cut off then is begun again at the next start.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        // All arms are cancel-safe: an errand that is dropped is still due.
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

/// Runs what is due; how long nothing more will be.
async fn run_due(dps: &Dps) -> Result<Duration, StorageError> {
    let registry = dps.tenants().registry();
    let mut busy: Vec<HubName> = Vec::new();
    loop {
        let due = registry.remote_tasks_due(dps.now(), &busy, AT_ONCE).await?;
        if due.is_empty() {
            break;
        }
        let mut running = JoinSet::new();
        let mut at: HashMap<HubName, usize> = HashMap::new();
        for remote_task in due {
            let count = at.entry(remote_task.hub.clone()).or_default();
            *count += 1;
            if *count <= AT_ONE_HUB {
                let dps = dps.clone();
                running.spawn(async move { attempt(&dps, remote_task).await });
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
    let next = registry.next_remote_task(now)?;
    Ok(next.map_or(PERIOD, |next| next.since(now).min(PERIOD)))
}

/// Runs the errand of a device now; why it is not done yet, when it is not.
///
/// # Errors
/// When the storage fails.
pub async fn run_now(
    dps: &Dps,
    hub: &HubName,
    device: &DeviceId,
) -> Result<Option<String>, StorageError> {
    let registry = dps.tenants().registry();
    let Some(remote_task) = registry.remote_task(hub, device)? else {
        return Ok(None);
    };
    attempt(dps, remote_task).await?;
    let left = registry.remote_task(hub, device)?;
    Ok(left.map(|remote_task| {
        let problem = remote_task.problem().map(str::to_owned);
        problem.unwrap_or_else(|| "it is being done".to_owned())
    }))
}

/// One try; the hub, when it has to be waited for.
async fn attempt(dps: &Dps, remote_task: RemoteTask) -> Result<Option<HubName>, StorageError> {
    let registry = dps.tenants().registry();
    let Some(hub) = registry.any_link(&remote_task.hub) else {
        // Unlinking took away the right to do it.
        registry.end_remote_task(remote_task).await?;
        return Ok(None);
    };
    let done = match RemoteHub::of(dps, &hub) {
        Some(remote) => carry_out(registry, &remote, &remote_task).await?,
        None => Ok(()),
    };
    let name = remote_task.hub.clone();
    match done {
        Ok(()) => {
            tracing::info!(
                hub.name = %remote_task.hub,
                device.id = %remote_task.device_id,
                "device {} of hub {}: {:?} is done",
                remote_task.device_id,
                remote_task.hub,
                remote_task.kind,
            );
            registry.end_remote_task(remote_task).await?;
            Ok(None)
        }
        Err(fault) => {
            let due = dps.now().plus(pause(remote_task.tries));
            registry
                .postpone_remote_task(remote_task, due, fault.said())
                .await?;
            Ok(Some(name))
        }
    }
}

async fn carry_out(
    registry: &Provisioning,
    remote: &RemoteHub<'_>,
    remote_task: &RemoteTask,
) -> Result<Result<(), RemoteFault>, StorageError> {
    let device = match remote.device(&remote_task.device_id).await {
        Ok(Some(device)) => device,
        Ok(None) => return Ok(Ok(())),
        Err(fault) => return Ok(Err(fault)),
    };
    // Should the device have come back in this moment, its hub has another version of it than the one that was read.
    match registry.stands(remote_task)? {
        true => Ok(change(remote, remote_task, &device).await),
        false => Ok(Err(remote.changed())),
    }
}

async fn change(
    remote: &RemoteHub<'_>,
    remote_task: &RemoteTask,
    device: &RemoteDevice,
) -> Result<(), RemoteFault> {
    let id = &remote_task.device_id;
    let is_blocked = device.status_reason.as_deref() == Some(BLOCKED);
    let body = match (remote_task.kind, device.status) {
        (RemoteTaskKind::Remove, _) => return remote.delete(id, &device.etag).await,
        (RemoteTaskKind::Disable, Status::Enabled) => device.with_status(Some(BLOCKED)),
        // Written again: an "enable" that is on its way to the hub meets another version then, and comes to nothing.
        (RemoteTaskKind::Disable, Status::Disabled) if is_blocked => {
            device.with_status(Some(BLOCKED))
        }
        (RemoteTaskKind::Enable, Status::Disabled) if is_blocked => device.with_status(None),
        // As it should be, or as somebody else wants it.
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
