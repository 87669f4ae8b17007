//! What is still to be done to devices of remote hubs: kept until it is done, or the hub is no longer linked.

use ids::{DeviceId, HubName, Timestamp};
use registry::{Rows, StorageError};
use serde_json::Value;
use store::{RemoteTaskRow, StoreError, Tx, View};

use super::Provisioning;
use crate::placement::{RemoteTask, RemoteTaskKind};
use crate::service::LinkedHub;

impl Provisioning {
    /// Errands whose time has come, the longest due first; none at one of the hubs in `busy`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remote_tasks_due(
        &self,
        now: Timestamp,
        busy: &[HubName],
        limit: usize,
    ) -> Result<Vec<RemoteTask>, StorageError> {
        let busy: Vec<&str> = busy.iter().map(HubName::as_str).collect();
        let busy = Value::from(busy).to_string();
        let scan = move |view: &View<'_>| {
            let rows = Rows { file: view.file() };
            let due = view
                .remote_tasks_due(now.ticks(), &busy, limit)?
                .into_iter();
            due.map(|row| read(rows, row)).collect()
        };
        self.registry.store().scan_shortly(scan).await
    }

    /// When the next errand is due after `now`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_remote_task(&self, now: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let next = |view: &View<'_>| view.next_remote_task(now.ticks());
        let next = self.registry.store().read::<_, StoreError>(next)?;
        Ok(next.map(Timestamp::from_ticks))
    }

    /// The errand of a device, if it has one.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn remote_task(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<Option<RemoteTask>, StorageError> {
        self.registry.store().read(|view| {
            let rows = Rows { file: view.file() };
            let row = view.remote_task(hub.as_str(), device.as_str())?;
            row.map(|row| read(rows, row)).transpose()
        })
    }

    /// Whether an errand is still to be done, as it was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn stands(&self, remote_task: &RemoteTask) -> Result<bool, StorageError> {
        let now = self.remote_task(&remote_task.hub, &remote_task.device_id)?;
        Ok(now.is_some_and(|now| now.row == remote_task.row))
    }

    /// How many errands wait at a hub.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn remote_tasks_at(&self, hub: &HubName) -> Result<u64, StorageError> {
        let count = |view: &View<'_>| view.remote_tasks_at(hub.as_str());
        Ok(self.registry.store().read::<_, StoreError>(count)?)
    }

    /// Forgets an errand that is done. Does nothing when it has become another one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn end_remote_task(&self, remote_task: RemoteTask) -> Result<(), StorageError> {
        let end = move |tx: &Tx<'_>| Ok(tx.end_remote_task(&remote_task.row)?);
        self.registry.store().behind(end).await
    }

    /// Puts an errand off after a try that failed. Does nothing when it has become another one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn postpone_remote_task(
        &self,
        remote_task: RemoteTask,
        due: Timestamp,
        problem: String,
    ) -> Result<(), StorageError> {
        let postpone = move |tx: &Tx<'_>| {
            Ok(tx.postpone_remote_task(&remote_task.row, due.ticks(), &problem)?)
        };
        self.registry.store().behind(postpone).await
    }

    /// The link to a hub that any service of this directory has.
    #[must_use]
    pub fn any_link(&self, hub: &HubName) -> Option<LinkedHub> {
        let all = self.services();
        let mut services = all.iter();
        services.find_map(|service| service.hub(hub).cloned())
    }
}

fn read(rows: Rows<'_>, row: RemoteTaskRow) -> Result<RemoteTask, StorageError> {
    let kind = RemoteTaskKind::named(&row.kind);
    Ok(RemoteTask {
        hub: rows.id("hub", HubName::parse(&row.hub))?,
        device_id: rows.id("device id", DeviceId::parse(&row.device_id))?,
        kind: kind.ok_or_else(|| rows.damaged("remote task", "is of no kind"))?,
        tries: row.tries,
        row,
    })
}
