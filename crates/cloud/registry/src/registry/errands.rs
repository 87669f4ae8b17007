//! What is still to be done to devices of hubs elsewhere: kept until it is done, or the hub is no longer linked.

use ids::{DeviceId, HubName, Timestamp};
use serde_json::Value;
use store::{ErrandRow, StoreError, Tx, View};

use super::Registry;
use super::rows::Rows;
use crate::error::StorageError;
use crate::placing::{Errand, ErrandKind};
use crate::service::LinkedHub;

impl Registry {
    /// Errands whose time has come, the longest due first; none at one of the hubs in `busy`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn errands_due(
        &self,
        now: Timestamp,
        busy: &[HubName],
        limit: usize,
    ) -> Result<Vec<Errand>, StorageError> {
        let busy: Vec<&str> = busy.iter().map(HubName::as_str).collect();
        let busy = Value::from(busy).to_string();
        let scan = move |view: &View<'_>| {
            let rows = Rows { file: view.file() };
            let due = view.errands_due(now.ticks(), &busy, limit)?.into_iter();
            due.map(|row| read(rows, row)).collect()
        };
        self.inner.store.scan_shortly(scan).await
    }

    /// When the next errand is due after `now`.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn next_errand(&self, now: Timestamp) -> Result<Option<Timestamp>, StorageError> {
        let next = |view: &View<'_>| view.next_errand(now.ticks());
        let next = self.inner.store.read::<_, StoreError>(next)?;
        Ok(next.map(Timestamp::from_ticks))
    }

    /// The errand of a device, if it has one.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn errand(&self, hub: &HubName, device: &DeviceId) -> Result<Option<Errand>, StorageError> {
        self.inner.store.read(|view| {
            let rows = Rows { file: view.file() };
            let row = view.errand(hub.as_str(), device.as_str())?;
            row.map(|row| read(rows, row)).transpose()
        })
    }

    /// Whether an errand is still to be done, as it was read.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn stands(&self, errand: &Errand) -> Result<bool, StorageError> {
        let now = self.errand(&errand.hub, &errand.device_id)?;
        Ok(now.is_some_and(|now| now.row == errand.row))
    }

    /// How many errands wait at a hub.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn errands_at(&self, hub: &HubName) -> Result<u64, StorageError> {
        let count = |view: &View<'_>| view.errands_at(hub.as_str());
        Ok(self.inner.store.read::<_, StoreError>(count)?)
    }

    /// Forgets an errand that is done. Does nothing when it has become another one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn end_errand(&self, errand: Errand) -> Result<(), StorageError> {
        let end = move |tx: &Tx<'_>| Ok(tx.end_errand(&errand.row)?);
        self.inner.store.behind(end).await
    }

    /// Puts an errand off after a try that failed. Does nothing when it has become another one.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn postpone_errand(
        &self,
        errand: Errand,
        due: Timestamp,
        problem: String,
    ) -> Result<(), StorageError> {
        let postpone =
            move |tx: &Tx<'_>| Ok(tx.postpone_errand(&errand.row, due.ticks(), &problem)?);
        self.inner.store.behind(postpone).await
    }

    /// The link to a hub that any service of this directory has.
    #[must_use]
    pub fn any_link(&self, hub: &HubName) -> Option<LinkedHub> {
        let served = self.served();
        let mut services = served.services.iter();
        services.find_map(|service| service.hub(hub).cloned())
    }
}

fn read(rows: Rows<'_>, row: ErrandRow) -> Result<Errand, StorageError> {
    let kind = ErrandKind::named(&row.kind);
    Ok(Errand {
        hub: rows.id("hub", HubName::parse(&row.hub))?,
        device_id: rows.id("device id", DeviceId::parse(&row.device_id))?,
        kind: kind.ok_or_else(|| rows.damaged("errand", "is of no kind"))?,
        tries: row.tries,
        row,
    })
}
