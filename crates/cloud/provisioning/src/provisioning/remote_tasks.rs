//! What is still to be done to devices of remote hubs: kept until it is done, or the hub
//! is no longer linked.

use ids::{DeviceId, HubName, Timestamp};
use registry::StorageError;
use store::{Lock, RemoteTaskRow, StoreError, View, unit};

use super::Provisioning;
use crate::placement::RemoteTask;
use crate::service::LinkedHub;

impl Provisioning {
    /// Tasks whose time has come, the longest due first; none at one of the hubs in `busy`.
    pub async fn remote_tasks_due(
        &self,
        now: Timestamp,
        busy: &[HubName],
        limit: usize,
    ) -> Result<Vec<RemoteTask>, StorageError> {
        let busy = busy.to_vec();
        let scan = move |view: &View<'_>| {
            let due = view.remote_tasks_due(now.ticks(), &busy, limit)?;
            Ok(due.into_iter().map(read).collect())
        };
        self.registry.store().scan_shortly(scan).await
    }

    /// When the next task is due after `now`.
    pub fn next_remote_task(&self, now: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let next = |view: &View<'_>| view.next_remote_task(now.ticks());
        let next = self.registry.store().read::<_, StoreError>(next)?;
        Ok(next.map(Timestamp::from_ticks))
    }

    /// The task of a device, if it has one.
    pub fn remote_task(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<Option<RemoteTask>, StorageError> {
        self.registry.store().read(|view| {
            let row = view.remote_task(hub, device)?;
            Ok(row.map(read))
        })
    }

    /// Whether a task is still to be done, as it was read.
    pub fn stands(&self, remote_task: &RemoteTask) -> Result<bool, StorageError> {
        let now = self.remote_task(&remote_task.hub, &remote_task.device_id)?;
        Ok(now.is_some_and(|now| now.row == remote_task.row))
    }

    /// How many tasks wait at a hub.
    pub fn remote_tasks_at(&self, hub: &HubName) -> Result<u64, StorageError> {
        let count = |view: &View<'_>| view.remote_tasks_at(hub);
        Ok(self.registry.store().read::<_, StoreError>(count)?)
    }

    /// Forgets a task that is done. Does nothing when it has become another one.
    pub async fn end_remote_task(&self, task: RemoteTask) -> Result<(), StorageError> {
        let end = unit(
            task,
            lock,
            is_current,
            |task, tx, is_current: bool| match is_current {
                true => tx.end_remote_task(&task.row),
                false => Ok(()),
            },
        );
        self.registry.store().write_in_background(end).await
    }

    /// Puts a task off after a try that failed. Does nothing when it has become another one.
    pub async fn postpone_remote_task(
        &self,
        task: RemoteTask,
        due: Timestamp,
        problem: String,
    ) -> Result<(), StorageError> {
        let postpone =
            unit(
                task,
                lock,
                is_current,
                move |task, tx, is_current: bool| match is_current {
                    true => tx.postpone_remote_task(&task.row, due.ticks(), &problem),
                    false => Ok(()),
                },
            );
        self.registry.store().write_in_background(postpone).await
    }

    /// The link to a hub that any service of this directory has.
    #[must_use]
    pub fn any_link(&self, hub: &HubName) -> Option<LinkedHub> {
        let all = self.services();
        let mut services = all.iter();
        services.find_map(|service| service.hub(hub).cloned())
    }
}

fn lock(task: &RemoteTask) -> Vec<Lock<'_>> {
    vec![Lock::Device {
        hub: task.hub.as_str(),
        device_id: task.device_id.as_str(),
    }]
}

fn is_current(task: &RemoteTask, view: &View<'_>) -> Result<bool, StorageError> {
    let now = view.remote_task(&task.hub, &task.device_id)?;
    Ok(now.is_some_and(|now| (now.id, now.revision) == (task.row.id, task.row.revision)))
}

fn read(row: RemoteTaskRow) -> RemoteTask {
    RemoteTask {
        hub: row.hub.clone(),
        device_id: row.device_id.clone(),
        kind: row.kind,
        tries: row.tries,
        row,
    }
}
