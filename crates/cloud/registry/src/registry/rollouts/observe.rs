//! What is seen of the devices of a rollout.

use ids::{HubName, Timestamp};
use store::{AdmittedRow, ListedAdmitted, Lock, RolloutRow, View, unit};
use wire::muster_api::rollout::OpenRing;

use crate::error::StorageError;
use crate::registry::Registry;
use crate::registry::unreadable::Whose;
use crate::rollout::{AgentReport, Health, Observation, StoredRollout, health, unsettled};
use crate::rows;

/// Devices that are read at once.
const PAGE: usize = 500;

/// An admitted device that was looked at.
struct Seen {
    device: String,
    ring: u32,
    health: Health,
    /// Since when it owes an answer, where that changes.
    unsettled: Option<Option<Timestamp>>,
}

impl Registry {
    /// What is seen of the devices of a rollout; `None` when its deployment is gone.
    pub(super) async fn observe(
        &self,
        hub: &HubName,
        row: &RolloutRow,
        rollout: &StoredRollout,
        open: OpenRing,
        now: Timestamp,
    ) -> Result<Option<Observation>, StorageError> {
        let Some(mut seen) = self.observe_queues(hub, row, open)? else {
            return Ok(None);
        };
        let mut after = String::new();
        loop {
            let (name, of, from, gate) = (hub.clone(), row.clone(), after, rollout.gate);
            let unreadable = self.inner.undeployed.clone();
            let look = move |view: &View<'_>| {
                let page = view.admitted_devices_after(&name, &of, &from, PAGE)?;
                let look = |device: ListedAdmitted| {
                    let report = device.row.map_err(StorageError::from);
                    let report = report.and_then(|row| report_of(view, row));
                    let whose = Whose::module(&name, &device.device_id, "$edgeAgent");
                    let (health, unsettled) = match unreadable.kept(whose, report) {
                        Some(report) => {
                            let health = health(&report, gate, now);
                            let unsettled = unsettled(&report, &health, now);
                            (health, unsettled)
                        }
                        None => (Health::Failed("cannot be read".to_owned()), None),
                    };
                    Seen {
                        device: device.device_id,
                        ring: device.ring,
                        health,
                        unsettled,
                    }
                };
                Ok::<_, StorageError>(page.into_iter().map(look).collect::<Vec<_>>())
            };
            let page = self.inner.store.scan_shortly(look).await?;
            let full = page.len() == PAGE;
            after = page
                .last()
                .map(|seen| seen.device.clone())
                .unwrap_or_default();
            self.note_unsettled(hub, row.id, &page).await?;
            for found in page {
                count(
                    &mut seen,
                    &found.device,
                    found.health,
                    found.ring == open.ring,
                );
            }
            if !full {
                return Ok(Some(seen));
            }
        }
    }

    /// What is seen of a rollout before its devices are looked at; `None` when its deployment is
    /// gone.
    fn observe_queues(
        &self,
        hub: &HubName,
        row: &RolloutRow,
        open: OpenRing,
    ) -> Result<Option<Observation>, StorageError> {
        self.inner.store.read(|view| {
            let found = view.configuration(hub, &row.configuration_id)?;
            if found.is_none_or(|found| found.id != row.configuration) {
                return Ok(None);
            }
            let all = self.inner.configurations.current(view, hub)?;
            if all.is_unreadable(&row.configuration_id) {
                let column = format!("configuration {}", row.configuration_id);
                return Err(view.damaged(&column, "its rollout waits").into());
            }
            let found = view.count_rollout_devices(row.id, open.ring)?;
            let mut seen = Observation {
                admitted_in_ring: found.admitted_in_ring,
                unsettled_in_ring: found.waiting_in_ring,
                complete: view.full_pass(hub)?.is_none(),
                ..Observation::default()
            };
            seen.counts.waiting = found.waiting;
            Ok(Some(seen))
        })
    }

    /// Writes since when devices owe an answer, where that changes.
    async fn note_unsettled(
        &self,
        hub: &HubName,
        rollout: i64,
        page: &[Seen],
    ) -> Result<(), StorageError> {
        let changed = |seen: &Seen| Some((seen.device.clone(), seen.unsettled?));
        let changes: Vec<_> = page.iter().filter_map(changed).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let note = unit(
            (hub.clone(), changes),
            |(hub, changes)| {
                let locks = changes.iter().map(|(device_id, _)| Lock::Device {
                    hub: hub.as_str(),
                    device_id,
                });
                locks.collect()
            },
            |_, _| Ok::<_, StorageError>(()),
            move |(hub, changes), tx, ()| {
                changes.iter().try_for_each(|(device, since)| {
                    tx.write_unsettled(hub, device, rollout, since.map(Timestamp::ticks))
                })
            },
        );
        self.inner.store.write_in_background(note).await
    }
}

/// Counts a device that was looked at.
fn count(seen: &mut Observation, device: &str, health: Health, is_in_open_ring: bool) {
    let in_ring = u64::from(is_in_open_ring);
    match health {
        Health::Changing => {
            seen.counts.changing += 1;
            seen.unsettled_in_ring += in_ring;
        }
        Health::Healthy => seen.counts.healthy += 1,
        Health::Failed(problem) => {
            seen.counts.failed += 1;
            seen.failure
                .get_or_insert_with(|| format!("{device}: {problem}"));
        }
        Health::Superseded => {
            seen.superseded += 1;
            seen.admitted_in_ring = seen.admitted_in_ring.saturating_sub(in_ring);
        }
    }
}

fn report_of(view: &View<'_>, row: AdmittedRow) -> Result<AgentReport, StorageError> {
    let restarts = row.restarts.as_deref().unwrap_or("{}");
    let changed = row.desired_changed.as_deref();
    let changed = changed.and_then(|text| Timestamp::parse(text).ok());
    let changed = changed.unwrap_or_else(|| Timestamp::from_ticks(row.written));
    Ok(AgentReport {
        since: changed.max(Timestamp::from_ticks(row.admitted)),
        unsettled: row.unsettled.map(Timestamp::from_ticks),
        applied: row.applied,
        superseded: row.superseded,
        desired_version: row.desired_version,
        desired: rows::document(view, "desired", row.desired.as_deref())?,
        reported: rows::document(view, "reported", row.reported.as_deref())?,
        restarts_before: view.decoded("restarts", serde_json::from_str(restarts))?,
    })
}
