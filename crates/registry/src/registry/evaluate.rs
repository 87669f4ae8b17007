//! The deployment engine's passes over the Edge devices of a hub.

use std::sync::Arc;

use ids::{DeviceId, HubName, Timestamp};
use store::{Tx, View};
use tokio::task::JoinSet;

use super::Registry;
use super::apply::{Stored, Target, plan, resolve};
use super::rows::Rows;
use crate::deployment::EvaluationPass;
use crate::error::StorageError;

/// Devices of one step. Each is a transaction, and those of a step share fsyncs.
const STEP: usize = 128;

impl Registry {
    /// Brings a bounded number of Edge devices up to date with the deployments that target them: devices that changed since
    /// the last pass, then, after a change of configurations, all. Level-triggered and restartable; each device is one transaction.
    ///
    /// # Errors
    /// When the storage fails; what was done until then is committed.
    pub async fn evaluate_deployments(
        &self,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let first =
            |view: &View<'_>| Ok::<_, StorageError>(view.queued_devices(hub.as_str(), STEP + 1)?);
        let mut queued = self.inner.store.read(first)?;
        let more_queued = queued.len() > STEP;
        queued.truncate(STEP);
        let pass = self.apply_all(hub, queued, now).await?;
        // Also while devices keep changing: the full pass must come to its end.
        let full = self.full_pass_step(hub, now).await?;
        Ok(EvaluationPass {
            examined: pass.examined + full.examined,
            changed: pass.changed + full.changed,
            more: more_queued || full.more,
        })
    }

    fn full_pass_due(&self, hub: &HubName) -> Result<bool, StorageError> {
        self.inner
            .store
            .read(|view| Ok(view.full_pass(hub.as_str())?.is_some()))
    }

    /// One page of the full pass. Devices that are up to date cost a read and no transaction.
    async fn full_pass_step(
        &self,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let (registry, name) = (self.clone(), hub.clone());
        let look = move |view: &View<'_>| registry.look(view, &name, now);
        let Some(page) = self.inner.store.scan(look).await? else {
            return Ok(EvaluationPass::default());
        };
        let changed = self.apply_all(hub, page.outdated, now).await?.changed;
        let (name, epoch, more) = (hub.clone(), page.epoch, page.next.is_some());
        let next = page.next;
        let advance = move |tx: &Tx<'_>| -> Result<(), StorageError> {
            Ok(tx.advance_full_pass(name.as_str(), epoch, next.as_deref())?)
        };
        self.inner.store.of_itself(advance).await?;
        Ok(EvaluationPass {
            examined: page.examined,
            changed,
            more: more || self.full_pass_due(hub)?,
        })
    }

    /// Reads a page of the full pass and which of its devices something would change for. `None` when no pass is due.
    fn look(
        &self,
        view: &View<'_>,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<Option<LookedAt>, StorageError> {
        let Some((epoch, cursor)) = view.full_pass(hub.as_str())? else {
            return Ok(None);
        };
        let page = view.edge_devices_after(hub.as_str(), &cursor, STEP)?;
        let configurations = self.inner.configurations.current(view, hub.as_str())?;
        let rows = Rows { file: view.file() };
        let mut outdated = Vec::new();
        for device in &page {
            let id: DeviceId = rows.id("device id", device.parse())?;
            let Some(stored) = Stored::read(view, hub, &id)? else {
                continue;
            };
            let resolution = resolve(rows, &stored, &configurations)?;
            let plan = plan(
                view,
                &stored,
                resolution.modules,
                Some(&resolution.statuses),
                now,
            )?;
            if !plan.is_empty() {
                outdated.push(device.clone());
            }
        }
        let next = page.last().filter(|_| page.len() == STEP).cloned();
        Ok(Some(LookedAt {
            epoch,
            examined: page.len(),
            outdated,
            next,
        }))
    }

    async fn apply_all(
        &self,
        hub: &HubName,
        devices: Vec<String>,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let mut pass = EvaluationPass {
            examined: devices.len(),
            ..EvaluationPass::default()
        };
        let mut running = JoinSet::new();
        for device in devices {
            let (registry, hub) = (self.clone(), hub.clone());
            running.spawn(async move { registry.apply_one(hub, device, now).await });
        }
        while let Some(applied) = running.join_next().await {
            // A panic inside a job comes back as an error of the store; this one cannot happen otherwise.
            let Ok(applied) = applied else { continue };
            pass.changed += usize::from(applied?);
        }
        Ok(pass)
    }

    /// Brings one device up to date; says whether something was written for it.
    async fn apply_one(
        &self,
        hub: HubName,
        device: String,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let inner = Arc::clone(&self.inner);
        let seeds = self.module_seeds();
        let (configurations, watchers) = (inner.configurations.clone(), inner.watchers.clone());
        let apply = move |tx: &Tx<'_>| {
            let rows = Rows { file: tx.file() };
            let id: DeviceId = rows.id("device id", device.parse())?;
            tx.unqueue_device(hub.as_str(), &device)?;
            let Some(stored) = Stored::read(tx, &hub, &id)? else {
                return Ok(false);
            };
            let configurations = configurations.in_transaction(tx, hub.as_str())?;
            let resolution = resolve(rows, &stored, &configurations)?;
            let plan = plan(
                tx,
                &stored,
                resolution.modules,
                Some(&resolution.statuses),
                now,
            )?;
            let changed = !plan.is_empty();
            Target {
                tx,
                stored: &stored,
                watchers: &watchers,
                now,
            }
            .write(plan, &seeds)?;
            Ok::<_, StorageError>(changed)
        };
        inner.store.of_itself(apply).await
    }
}

/// A page of the full pass.
struct LookedAt {
    epoch: i64,
    examined: usize,
    /// Devices that something would change for.
    outdated: Vec<String>,
    /// Where the pass goes on; `None` when it is done.
    next: Option<String>,
}
