//! Brings the active rollouts of a hub one step further: observe, decide, act.

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use store::{ListedRow, RolloutHold, RolloutRow, View, unit};
use wire::muster_api::rollout::{OpenRing, RolloutState};

use super::{Next, lock, stored};
use crate::change::Change;
use crate::error::StorageError;
use crate::registry::Registry;
use crate::rollout::{Pace, Step, StoredRollout, decide, restarts};
use crate::rows;

/// Most devices that one step admits.
const MAX_ADMITTED: usize = 500;
/// Ended rollouts whose devices are forgotten, and how many devices a step.
const FORGET: (usize, usize) = (20, 1000);

impl Registry {
    /// Brings each active rollout of a hub one step further; whether one of them went further. One
    /// that cannot be brought further is logged, and the others go on.
    /// Level-triggered: it starts from what is stored.
    pub async fn step_rollouts(&self, hub: &HubName, now: Timestamp) -> Result<bool, StorageError> {
        let holding = self.inner.store.read(|view| {
            let holding = view.holding_rollouts(hub)?;
            Ok::<_, StorageError>(holding)
        })?;
        let mut moved = false;
        for ListedRow { id, key, row } in holding.into_iter().map(|one| one.listed) {
            let further = match row {
                Ok(row) if row.hold == RolloutHold::NotAdmitted => {
                    self.step_rollout(hub, row, now).await
                }
                Ok(_) => continue,
                Err(error) => Err(error.into()),
            };
            match further {
                Ok(further) => moved |= further,
                Err(error) if error.is_damaged() => {
                    self.inner
                        .configurations
                        .log_damaged_rollout(hub, (id, &key), &error)
                }
                Err(error) => tracing::error!(
                    hub.name = %hub,
                    configuration.id = key,
                    rollout.id = id,
                    error = &error as &dyn std::error::Error,
                    "a rollout was not brought further"
                ),
            }
        }
        self.forget_ended_rollouts(hub).await?;
        Ok(moved)
    }

    async fn step_rollout(
        &self,
        hub: &HubName,
        row: RolloutRow,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let rollout = self.inner.store.read(|view| stored(view, &row))?;
        let (open, paused) = match &rollout.state {
            RolloutState::Running(open) => (*open, false),
            RolloutState::Paused(open) => (*open, true),
            _ => return Ok(false),
        };
        let seen = self.observe(hub, &row, &rollout, open, now).await?;
        let step = match &seen {
            Some(seen) => {
                let pace = Pace {
                    rings: u32::try_from(rollout.rings.len()).unwrap_or(u32::MAX),
                    gate: rollout.gate,
                    max_in_change: rollout.max_in_change,
                };
                decide(pace, open, paused, seen, now)
            }
            None => Step::Return {
                reason: "the deployment was deleted".to_owned(),
            },
        };
        let seen = seen.unwrap_or_default();
        let mut next = rollout.clone();
        next.counts = seen.counts;
        if let RolloutState::Running(open) = &mut next.state
            && seen.unsettled_in_ring > 0
        {
            open.soaking_since = None;
        }
        let admits = enact(&mut next, open, &step, now);
        if step == Step::Wait && next == rollout {
            return Ok(false);
        }
        self.write_step(hub, row, next, admits, now).await?;
        Ok(step != Step::Wait)
    }

    /// Writes the next state, and admits devices, unless an operator changed the rollout meanwhile.
    async fn write_step(
        &self,
        hub: &HubName,
        row: RolloutRow,
        next: StoredRollout,
        admits: Option<(u32, usize)>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let watchers = self.inner.watchers.clone();
        let write = unit(
            hub.clone(),
            |hub| vec![lock(hub)],
            move |hub, view| {
                let current = view.rollout(hub, row.id)?;
                let Some(current) = current.filter(|current| current.revision == row.revision)
                else {
                    return Ok::<_, StorageError>(None);
                };
                let waiting = match admits {
                    Some((ring, at_most)) => view.waiting_devices(row.id, ring, at_most)?,
                    None => Vec::new(),
                };
                let baseline = |device: DeviceId| {
                    let restarts = restarts_of(view, hub, &device);
                    (device, restarts)
                };
                let admitted = waiting.into_iter().map(baseline).collect();
                Ok(Some((Next::new(current, next.clone(), now)?, admitted)))
            },
            move |hub, tx, plan: Option<(Next, Vec<(DeviceId, String)>)>| {
                let Some((next, admitted)) = plan else {
                    return Ok(());
                };
                next.write(tx, hub, &watchers)?;
                for (device, restarts) in &admitted {
                    let at = (now.ticks(), restarts.as_str());
                    tx.admit_device(hub, device, next.row.id, at)?;
                    tx.queue_device(hub, device)?;
                }
                if !admitted.is_empty() {
                    watchers.tell(tx, Change::Targeting { hub: hub.clone() });
                }
                Ok(())
            },
        );
        self.inner.store.write_in_background(write).await
    }

    async fn forget_ended_rollouts(&self, hub: &HubName) -> Result<(), StorageError> {
        let ended = self.inner.store.read(|view| {
            let latest = view.rollouts(hub, FORGET.0)?;
            let mut ended = Vec::new();
            // One that cannot be read keeps its devices.
            for row in latest.into_iter().filter_map(|listed| listed.row.ok()) {
                if row.hold != RolloutHold::NotAdmitted && view.has_rollout_devices(row.id)? {
                    ended.push(row.id);
                }
            }
            Ok::<_, StorageError>(ended)
        })?;
        for rollout in ended {
            let forget = unit(
                hub.clone(),
                |hub| vec![lock(hub)],
                |_, _| Ok::<_, StorageError>(()),
                move |hub, tx, ()| tx.forget_rollout_devices(hub, rollout, FORGET.1),
            );
            self.inner.store.write_in_background(forget).await?;
        }
        Ok(())
    }
}

/// Enters a step into a rollout; the ring up to which devices are admitted, and how many at most.
fn enact(
    rollout: &mut StoredRollout,
    open: OpenRing,
    step: &Step,
    now: Timestamp,
) -> Option<(u32, usize)> {
    let ring = rollout.ring_name(open.ring);
    match step {
        Step::Wait => {}
        Step::Admit { at_most } => {
            let at_most = usize::try_from(*at_most).unwrap_or(MAX_ADMITTED);
            return Some((open.ring, at_most.min(MAX_ADMITTED)));
        }
        Step::BeginSoak => {
            rollout.state = RolloutState::Running(OpenRing {
                ring: open.ring,
                soaking_since: Some(now),
                first_good: open.first_good.or(Some(now)),
            });
            let devices = rollout.counts.healthy;
            rollout.note(
                now,
                format!("ring {ring} is good on {devices} devices; it soaks"),
            );
        }
        Step::OpenNextRing => {
            let next = open.ring + 1;
            rollout.state = RolloutState::Running(OpenRing {
                ring: next,
                soaking_since: None,
                first_good: None,
            });
            let name = rollout.ring_name(next);
            rollout.note(now, format!("ring {name} is open"));
        }
        Step::Complete => {
            rollout.state = RolloutState::Completed;
            rollout.note(now, "complete");
        }
        Step::Return { reason } => {
            let reason = reason.clone();
            let text = format!("ring {ring}: {reason}; devices go back to the deployment before");
            tracing::warn!(rollout.reason = reason, "a rollout goes back");
            rollout.state = RolloutState::Returned { reason };
            rollout.note(now, text);
        }
    }
    None
}

/// How often the modules of a device have been restarted, as JSON. Of a device that cannot be read
/// nothing is known.
fn restarts_of(view: &View<'_>, hub: &HubName, device: &DeviceId) -> String {
    let agent = Identity::module(hub.clone(), device.clone(), ModuleId::edge_agent());
    let twin = view.twin((&agent).into()).ok().flatten();
    let reported =
        twin.and_then(|(_, twin)| rows::document(view, "reported", twin.reported.as_deref()).ok());
    serde_json::to_string(&restarts(&reported.unwrap_or_default())).unwrap_or_default()
}
