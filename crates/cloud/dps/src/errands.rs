//! What is still to be done to devices of hubs elsewhere: a thin loop around what the registry keeps.

use std::collections::HashMap;
use std::time::Duration;

use ids::{DeviceId, HubName};
use registry::{BLOCKED, Errand, ErrandKind, Registry, StorageError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::identity::Status;
use wire::remote_hub::RemoteDevice;

use crate::Dps;
use crate::elsewhere::{RemoteFault, RemoteHub};

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
            tracing::error!(error, "errands at hubs were not run");
            PERIOD
        });
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = dps.errand_woken() => {}
            () = sleep(rest) => {}
        }
    }
}

/// Runs what is due; how long nothing more will be.
async fn run_due(dps: &Dps) -> Result<Duration, StorageError> {
    let registry = dps.tenants().registry();
    let mut busy: Vec<HubName> = Vec::new();
    loop {
        let due = registry.errands_due(dps.now(), &busy, AT_ONCE).await?;
        if due.is_empty() {
            break;
        }
        let mut running = JoinSet::new();
        let mut at: HashMap<HubName, usize> = HashMap::new();
        for errand in due {
            let count = at.entry(errand.hub.clone()).or_default();
            *count += 1;
            if *count <= AT_ONE_HUB {
                let dps = dps.clone();
                running.spawn(async move { attempt(&dps, errand).await });
            }
        }
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Ok(Some(waits))) => busy.push(waits),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(error = %error, "an errand at a hub panicked");
                    return Ok(PERIOD);
                }
            }
        }
    }
    let now = dps.now();
    let next = registry.next_errand(now)?;
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
    let Some(errand) = registry.errand(hub, device)? else {
        return Ok(None);
    };
    attempt(dps, errand).await?;
    let left = registry.errand(hub, device)?;
    Ok(left.map(|errand| {
        let problem = errand.problem().map(str::to_owned);
        problem.unwrap_or_else(|| "it is being done".to_owned())
    }))
}

/// One try; the hub, when it has to be waited for.
async fn attempt(dps: &Dps, errand: Errand) -> Result<Option<HubName>, StorageError> {
    let registry = dps.tenants().registry();
    let Some(hub) = registry.any_link(&errand.hub) else {
        // Unlinking took away the right to do it.
        registry.end_errand(errand).await?;
        return Ok(None);
    };
    let done = match RemoteHub::of(dps, &hub) {
        Some(remote) => carry_out(registry, &remote, &errand).await?,
        None => Ok(()),
    };
    let name = errand.hub.clone();
    match done {
        Ok(()) => {
            tracing::info!(
                hub.name = %errand.hub,
                device.id = %errand.device_id,
                "device {} of hub {}: {:?} is done",
                errand.device_id,
                errand.hub,
                errand.kind,
            );
            registry.end_errand(errand).await?;
            Ok(None)
        }
        Err(fault) => {
            let due = dps.now().plus(pause(errand.tries));
            registry.postpone_errand(errand, due, fault.said()).await?;
            Ok(Some(name))
        }
    }
}

async fn carry_out(
    registry: &Registry,
    remote: &RemoteHub<'_>,
    errand: &Errand,
) -> Result<Result<(), RemoteFault>, StorageError> {
    let device = match remote.device(&errand.device_id).await {
        Ok(Some(device)) => device,
        Ok(None) => return Ok(Ok(())),
        Err(fault) => return Ok(Err(fault)),
    };
    // Should the device have come back in this moment, its hub has another version of it than the one that was read.
    match registry.stands(errand)? {
        true => Ok(change(remote, errand, &device).await),
        false => Ok(Err(remote.changed())),
    }
}

async fn change(
    remote: &RemoteHub<'_>,
    errand: &Errand,
    device: &RemoteDevice,
) -> Result<(), RemoteFault> {
    let id = &errand.device_id;
    let is_blocked = device.status_reason.as_deref() == Some(BLOCKED);
    let body = match (errand.kind, device.status) {
        (ErrandKind::Remove, _) => return remote.delete(id, &device.etag).await,
        (ErrandKind::Disable, Status::Enabled) => device.with_status(Some(BLOCKED)),
        // Written again: an "enable" that is on its way to the hub meets another version then, and comes to nothing.
        (ErrandKind::Disable, Status::Disabled) if is_blocked => device.with_status(Some(BLOCKED)),
        (ErrandKind::Enable, Status::Disabled) if is_blocked => device.with_status(None),
        // As it should be, or as somebody else wants it.
        (ErrandKind::Disable | ErrandKind::Enable, _) => return Ok(()),
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
