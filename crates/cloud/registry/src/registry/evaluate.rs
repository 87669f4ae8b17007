//! The runs of configurations through the devices of a hub. What a device gets is worked out
//! beside the writer; the writer's transaction compares versions and writes.

use std::sync::Arc;

use ids::{DeviceId, HubName, Timestamp};
use store::{FullPassRow, Lock, StoreError, Tx, Unit, View, unit};
use tokio::task::JoinSet;

use super::Registry;
use super::apply::{ApplyError, Plan, Stored, Target, Versions, plan, resolve};
use super::compiled::{ConfigurationCache, Configurations};
use super::new_identity::Seeds;
use super::unreadable::Whose;
use super::watchers::Watchers;
use crate::deployment::EvaluationPass;
use crate::error::StorageError;

/// Devices of one step. Each is a transaction, and those of a step share fsyncs.
const STEP: usize = 128;

impl Registry {
    /// Brings a bounded number of devices up to date with the configurations that target them:
    /// devices that changed since the last pass, then, after a change of configurations, all.
    /// Level-triggered and restartable; each device is one transaction. One that cannot be brought
    /// up to date is logged once, and tried again after the others.
    ///
    /// # Errors
    /// When the storage fails; what was done until then is committed.
    pub async fn evaluate_configurations(
        &self,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let first = |view: &View<'_>| Ok::<_, StorageError>(view.queued_devices(hub, STEP + 1)?);
        let mut queued = self.inner.store.read(first)?;
        let more_queued = queued.len() > STEP;
        queued.truncate(STEP);
        let pass = self.queued_step(hub, queued, now).await?;
        // Also while devices keep changing: the full pass must come to its end.
        let full = self.full_pass_step(hub, now).await?;
        Ok(EvaluationPass {
            examined: pass.examined + full.examined,
            changed: pass.changed + full.changed,
            failed: pass.failed + full.failed,
            // When nothing but what fails is left, it waits for the next time.
            more: (more_queued && pass.failed < pass.examined) || pass.more || full.more,
        })
    }

    /// Devices that changed: each leaves the queue, when it is still what was looked at.
    async fn queued_step(
        &self,
        hub: &HubName,
        queued: Vec<String>,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        if queued.is_empty() {
            return Ok(EvaluationPass::default());
        }
        let (registry, name) = (self.clone(), hub.clone());
        let look = move |view: &View<'_>| registry.look(view, &name, queued, now);
        let looked = self.inner.store.scan_shortly(look).await?;
        self.apply_all(hub, looked, now).await
    }

    fn full_pass_due(&self, hub: &HubName) -> Result<bool, StorageError> {
        self.inner
            .store
            .read(|view| Ok(view.full_pass(hub)?.is_some()))
    }

    /// One page of the full pass. Devices that are up to date cost a read and no transaction.
    async fn full_pass_step(
        &self,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let (registry, name) = (self.clone(), hub.clone());
        let look = move |view: &View<'_>| registry.look_at_page(view, &name, now);
        let Some(page) = self.inner.store.scan_shortly(look).await? else {
            return Ok(EvaluationPass::default());
        };
        let pass = self.apply_all(hub, page.outdated, now).await?;
        let (epoch, more) = (page.epoch, page.next.is_some());
        let advance = unit(
            (hub.clone(), page.next),
            |(hub, _)| vec![Lock::Hub { hub: hub.as_str() }],
            |_, _| Ok::<_, StorageError>(()),
            move |(hub, next), tx, ()| tx.advance_full_pass(hub, epoch, next.as_deref()),
        );
        self.inner.store.write_in_background(advance).await?;
        Ok(EvaluationPass {
            examined: page.examined,
            more: more || pass.more || self.full_pass_due(hub)?,
            ..pass
        })
    }

    /// Reads a page of the full pass and which of its devices something would change for. `None`
    /// when no pass is due.
    fn look_at_page(
        &self,
        view: &View<'_>,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<Option<LookedAt>, StorageError> {
        let Some(FullPassRow {
            epoch,
            cursor,
            scope,
        }) = view.full_pass(hub)?
        else {
            return Ok(None);
        };
        let page = view.pass_devices_after(hub, scope, &cursor, STEP)?;
        let next = page.last().filter(|_| page.len() == STEP).cloned();
        let examined = page.len();
        let mut outdated = self.look(view, hub, page, now)?;
        outdated.retain(|looked| match &looked.found {
            Ok(found) => found.work.is_some(),
            Err(_) => true,
        });
        Ok(Some(LookedAt {
            epoch,
            examined,
            outdated,
            next,
        }))
    }

    /// Works out what would change for devices.
    fn look(
        &self,
        view: &View<'_>,
        hub: &HubName,
        devices: Vec<String>,
        now: Timestamp,
    ) -> Result<Vec<Looked>, StorageError> {
        let configurations = self.inner.configurations.current(view, hub)?;
        let look = |device: String| Looked {
            found: look_at(view, hub, &device, &configurations, now),
            device,
        };
        Ok(devices.into_iter().map(look).collect())
    }

    async fn apply_all(
        &self,
        hub: &HubName,
        devices: Vec<Looked>,
        now: Timestamp,
    ) -> Result<EvaluationPass, StorageError> {
        let mut pass = EvaluationPass {
            examined: devices.len(),
            ..EvaluationPass::default()
        };
        let mut running = JoinSet::new();
        for Looked { device, found } in devices {
            let (registry, hub) = (self.clone(), hub.clone());
            running.spawn(async move {
                let applied = match found {
                    Ok(found) => registry.apply_one(hub, device.clone(), found, now).await,
                    Err(error) => Err(error),
                };
                (device, applied)
            });
        }
        let mut failed = Vec::new();
        while let Some(ended) = running.join_next().await {
            // A panic inside a job comes back as an error of the store; this one cannot happen
            // otherwise.
            let Ok((device, applied)) = ended else {
                continue;
            };
            let whose = Whose::device(hub, &device);
            match self.inner.undeployed.kept(whose, applied) {
                Some(applied) => {
                    pass.changed += usize::from(applied != Applied::UpToDate);
                    pass.more |= applied == Applied::ChangedAndQueued;
                }
                None => failed.push(device),
            }
        }
        pass.failed = failed.len();
        if !failed.is_empty() {
            let requeue = unit(
                (hub.clone(), failed),
                |(hub, failed)| {
                    let locks = failed.iter().map(|device_id| Lock::Device {
                        hub: hub.as_str(),
                        device_id,
                    });
                    locks.collect()
                },
                |_, _| Ok::<_, StorageError>(()),
                |(hub, failed), tx, ()| {
                    failed
                        .iter()
                        .try_for_each(|device| tx.requeue_device(hub, device))
                },
            );
            self.inner.store.write_in_background(requeue).await?;
        }
        Ok(pass)
    }

    /// Brings one device up to date.
    async fn apply_one(
        &self,
        hub: HubName,
        device: String,
        found: Found,
        now: Timestamp,
    ) -> Result<Applied, ApplyError> {
        let makes_modules = found.may_make_modules;
        let apply = ApplyOne {
            hub,
            device,
            found,
            seeds: match makes_modules {
                true => self.module_seeds(),
                false => Vec::new(),
            },
            configurations: self.inner.configurations.clone(),
            watchers: self.inner.watchers.clone(),
            now,
        };
        self.inner.store.write_in_background(apply).await
    }
}

/// What came of bringing one device up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    UpToDate,
    Changed,
    /// It has modules now that it did not have before, and has to be looked at again.
    ChangedAndQueued,
}

/// Brings one device up to date.
struct ApplyOne {
    hub: HubName,
    device: String,
    found: Found,
    seeds: Vec<Seeds>,
    configurations: ConfigurationCache,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

/// What is to be written for one device.
enum Work {
    /// What was found beside the writer still holds.
    AsFound,
    /// The device has changed since it was looked at.
    Fresh(Option<Box<(Stored, Plan)>>),
}

impl Unit for ApplyOne {
    type Plan = Work;
    type Output = Applied;
    type Error = ApplyError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::Device {
            hub: self.hub.as_str(),
            device_id: &self.device,
        }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Work, ApplyError> {
        let (hub, device) = (&self.hub, &self.device);
        if Versions::read(view, hub, device)? == self.found.versions {
            return Ok(Work::AsFound);
        }
        // Rare; to look again beside the writer, and again, might never end.
        let configurations = self.configurations.in_transaction(view, hub)?;
        let found = look_at(view, hub, device, &configurations, self.now)?;
        Ok(Work::Fresh(found.work.map(Box::new)))
    }

    fn apply(&self, tx: &Tx<'_>, work: Work) -> Result<Applied, StoreError> {
        tx.unqueue_device(&self.hub, &self.device)?;
        let work = match &work {
            Work::AsFound => self.found.work.as_ref(),
            Work::Fresh(work) => work.as_deref(),
        };
        let Some((stored, plan)) = work else {
            return Ok(Applied::UpToDate);
        };
        let target = Target {
            tx,
            stored,
            watchers: &self.watchers,
            now: self.now,
        };
        target.write(plan, &self.seeds)?;
        let hub = &self.hub;
        // Configurations of modules are evaluated for modules that exist; a device that has just
        // become an Edge device had no seeds for its modules.
        let again = self.seeds.is_empty() || tx.has_module_configurations(hub)?;
        if plan.creates_modules() && again {
            tx.queue_device(hub, stored.device())?;
            return Ok(Applied::ChangedAndQueued);
        }
        Ok(Applied::Changed)
    }
}

/// Works out what would change for one device.
fn look_at(
    view: &View<'_>,
    hub: &HubName,
    device: &str,
    configurations: &Configurations,
    now: Timestamp,
) -> Result<Found, ApplyError> {
    let id: DeviceId = view.decoded("device id", device.parse())?;
    let versions = Versions::read(view, hub, device)?;
    let nothing = |versions| Found {
        versions,
        may_make_modules: false,
        work: None,
    };
    // Without a configuration that it has and that cannot be read, it would lose modules. Another
    // full pass begins when the configuration is written or deleted.
    if configurations.is_fixed(view, hub, &id)? {
        return Ok(nothing(versions));
    }
    let Some(stored) = Stored::read(view, hub, &id)? else {
        return Ok(nothing(versions));
    };
    let given = resolve(view, &stored, &configurations.readable)?;
    let plan = plan(view, &stored, given.modules, Some(&given.automatic), now)?;
    Ok(Found {
        versions,
        may_make_modules: stored.is_edge(),
        work: (!plan.is_empty()).then_some((stored, plan)),
    })
}

/// A device that was looked at.
struct Looked {
    device: String,
    found: Result<Found, ApplyError>,
}

/// What was found of a device.
struct Found {
    /// When these are others, it has to be looked at again.
    versions: Versions,
    /// Whether it is an Edge device. One that becomes an Edge device is queued again.
    may_make_modules: bool,
    /// What is to be written, if anything.
    work: Option<(Stored, Plan)>,
}

/// A page of the full pass.
struct LookedAt {
    epoch: i64,
    examined: usize,
    /// Devices that something would change for, or that cannot be read.
    outdated: Vec<Looked>,
    /// Where the pass goes on; `None` when it is done.
    next: Option<String>,
}
