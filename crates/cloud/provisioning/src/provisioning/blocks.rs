//! One act that shuts a device out everywhere, and the one that takes it back.

use std::sync::Arc;

use ids::{DeviceId, Etag, HubName, Identity, RegistrationId, Timestamp};
use registry::{DeviceLocation, DeviceWriter, Rows, StorageError, find_device};
use serde_json::{Value, json};
use store::{BlockedRow, EnrollmentRow, IdentityRow, RemoteTaskKind, Tx};
use wire::service_api::identity::{KeyText, Status};

use super::Provisioning;
use super::act::Act;
use crate::service::{HubReach, ProvisioningService};

/// Why a device is not blocked, or not unblocked.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// It is already.
    #[error("registration {0} is blocked already")]
    Blocked(RegistrationId),
    /// It is not.
    #[error("registration {0} is not blocked")]
    NotBlocked(RegistrationId),
    /// No registration of the service has led to the hub device.
    #[error(
        "no registration is assigned to device {device} of hub {hub}; set the status of a device that did not come through this service to disabled at its hub"
    )]
    NoRegistration {
        /// The hub.
        hub: HubName,
        /// The device.
        device: DeviceId,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for BlockError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// A device that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Who.
    pub registration_id: RegistrationId,
    /// In the operator's words.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Its hub device, when it has one here; it is disabled.
    pub device: Option<Identity>,
    /// Its device in a remote hub, which is being disabled.
    pub remote: Option<(HubName, DeviceId)>,
}

/// The `statusReason` of a hub device that is disabled because of a block.
pub const BLOCKED: &str = "blocked by an operator";

struct BlockJob {
    service: Arc<ProvisioningService>,
    id_scope: String,
    id: RegistrationId,
    etag: Etag,
    now: Timestamp,
    devices: DeviceWriter,
}

impl Provisioning {
    /// Shuts a device out in one transaction: its individual enrollment is disabled, or a disabled one is made for it, so that no
    /// group lets it in; its hub device is disabled, and what it has open ends after the commit. In a remote hub that is an errand.
    ///
    /// # Errors
    /// See [`BlockError`].
    pub async fn block(
        &self,
        id: &RegistrationId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Block, BlockError> {
        let job = self.block_job(id, now);
        let keys = [self.fresh_enrollment_key(), self.fresh_enrollment_key()];
        let work = move |tx: &Tx<'_>| job.block(tx, reason, &keys);
        self.act(Act::BlockDevice, id, work).await
    }

    /// Takes a block back: what was disabled for it is enabled, what was made for it is deleted.
    ///
    /// # Errors
    /// See [`BlockError`].
    pub async fn unblock(&self, id: &RegistrationId, now: Timestamp) -> Result<(), BlockError> {
        let job = self.block_job(id, now);
        let work = move |tx: &Tx<'_>| job.unblock(tx);
        self.act(Act::UnblockDevice, id, work).await
    }

    /// The registration that led to a hub device, for whoever knows the device by that name only.
    ///
    /// # Errors
    /// When there is none, or the storage fails.
    pub fn registration_of(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<RegistrationId, BlockError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.registration_of_device(hub.as_str(), device.as_str())?;
            // Another service's registrations are not this operator's.
            let own = found.filter(|(scope, _)| *scope == id_scope);
            let (_, spelled) = own.ok_or_else(|| BlockError::NoRegistration {
                hub: hub.clone(),
                device: device.clone(),
            })?;
            let rows = Rows { file: view.file() };
            Ok(rows.id("registration id", RegistrationId::try_from(spelled))?)
        })
    }

    fn block_job(&self, id: &RegistrationId, now: Timestamp) -> BlockJob {
        BlockJob {
            service: self.service(),
            id_scope: self.id_scope(),
            id: id.clone(),
            etag: self.registry.fresh_etag(),
            now,
            devices: self.registry.device_writer(now),
        }
    }
}

impl BlockJob {
    fn block(
        &self,
        tx: &Tx<'_>,
        reason: Option<String>,
        keys: &[KeyText; 2],
    ) -> Result<Block, BlockError> {
        if tx.block(&self.id_scope, self.id.folded())?.is_some() {
            return Err(BlockError::Blocked(self.id.clone()));
        }
        let entry = self.close_entry(tx, keys)?;
        let device = self.device(tx)?;
        let remote = self.remote(tx)?;
        self.send(tx, remote.as_ref(), RemoteTaskKind::Disable)?;
        let device_disabled = match &device {
            Some(device) => self.disable_device(tx, device)?,
            None => false,
        };
        let row = BlockedRow {
            folded: self.id.folded().to_owned(),
            spelled: self.id.to_string(),
            reason: reason.clone(),
            blocked: self.now.ticks(),
            entry: entry.to_owned(),
            device: device
                .as_ref()
                .map(|of| (of.hub.to_string(), of.device_id.to_string())),
            device_disabled,
        };
        tx.insert_block(&self.id_scope, &row)?;
        Ok(Block {
            registration_id: self.id.clone(),
            reason,
            since: self.now,
            device: device.map(|device| device.identity()),
            remote,
        })
    }

    fn unblock(&self, tx: &Tx<'_>) -> Result<(), BlockError> {
        let block = tx.block(&self.id_scope, self.id.folded())?;
        let block = block.ok_or_else(|| BlockError::NotBlocked(self.id.clone()))?;
        let entry = tx.enrollment(&self.id_scope, "individual", self.id.folded())?;
        match (block.entry.as_str(), entry) {
            ("made", Some(row)) => tx.delete_enrollment(&row)?,
            ("disabled", Some(row)) => self.set_entry(tx, row, true)?,
            // It was disabled before, and stays so; with another etag, so that nobody remembers it as blocked.
            ("kept", Some(row)) => self.set_entry(tx, row, false)?,
            // The entry of a blocked device is not written or deleted by anybody else.
            _ => {}
        }
        if block.device_disabled
            && let Some(device) = self.device(tx)?
        {
            self.enable_device(tx, &device)?;
        }
        // Whether it was disabled for this block, its hub tells by the reason that it has.
        let remote = self.remote(tx)?;
        self.send(tx, remote.as_ref(), RemoteTaskKind::Enable)?;
        Ok(tx.delete_block(&self.id_scope, self.id.folded())?)
    }

    /// What is done to the individual enrollment so that it keeps the device out.
    fn close_entry(&self, tx: &Tx<'_>, keys: &[KeyText; 2]) -> Result<&'static str, BlockError> {
        match tx.enrollment(&self.id_scope, "individual", self.id.folded())? {
            Some(row) if !row.enabled => {
                self.set_entry(tx, row, false)?;
                Ok("kept")
            }
            Some(row) => {
                self.set_entry(tx, row, false)?;
                Ok("disabled")
            }
            None => {
                tx.insert_enrollment(&self.id_scope, &self.made(keys))?;
                Ok("made")
            }
        }
    }

    /// An entry that nobody can prove himself against: its keys are told to nobody, and it is disabled besides.
    fn made(&self, [primary, secondary]: &[KeyText; 2]) -> EnrollmentRow {
        let document = json!({
            "registrationId": self.id,
            "attestation": {"type": "symmetricKey", "symmetricKey": {
                "primaryKey": primary.reveal(), "secondaryKey": secondary.reveal(),
            }},
            "capabilities": {"iotEdge": false},
            "initialTwin": {"tags": {}, "properties": {"desired": {}}},
            "provisioningStatus": "disabled",
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
        });
        EnrollmentRow {
            id: 0,
            kind: "individual".to_owned(),
            folded: self.id.folded().to_owned(),
            spelled: self.id.to_string(),
            etag: self.etag.to_string(),
            enabled: false,
            attestation: "symmetricKey".to_owned(),
            document: document.to_string(),
            created: self.now.ticks(),
            updated: self.now.ticks(),
        }
    }

    fn set_entry(
        &self,
        tx: &Tx<'_>,
        mut row: EnrollmentRow,
        enabled: bool,
    ) -> Result<(), BlockError> {
        let rows = Rows { file: tx.file() };
        let mut document: Value = rows.json("enrollment", &row.document)?;
        document["provisioningStatus"] = json!(if enabled { "enabled" } else { "disabled" });
        row.document = document.to_string();
        row.enabled = enabled;
        row.etag = self.etag.to_string();
        row.updated = self.now.ticks();
        Ok(tx.update_enrollment(&row)?)
    }

    /// Where the registration is assigned to.
    fn place(&self, tx: &Tx<'_>) -> Result<Option<(HubName, DeviceId)>, BlockError> {
        let rows = Rows { file: tx.file() };
        let registration = tx.registration(&self.id_scope, self.id.folded())?;
        let place = registration.and_then(|row| row.hub.zip(row.device_id));
        let Some((hub, device)) = place else {
            return Ok(None);
        };
        let hub = rows.id("hub", HubName::try_from(hub))?;
        let device = rows.id("device id", DeviceId::try_from(device))?;
        Ok(Some((hub, device)))
    }

    /// The same, when it is in a linked remote hub.
    fn remote(&self, tx: &Tx<'_>) -> Result<Option<(HubName, DeviceId)>, BlockError> {
        let is_remote = |hub: &HubName| {
            let link = self.service.hub(hub);
            link.is_some_and(|link| link.reach != HubReach::Here)
        };
        Ok(self.place(tx)?.filter(|(hub, _)| is_remote(hub)))
    }

    fn send(
        &self,
        tx: &Tx<'_>,
        device: Option<&(HubName, DeviceId)>,
        kind: RemoteTaskKind,
    ) -> Result<(), BlockError> {
        let Some((hub, device)) = device else {
            return Ok(());
        };
        let place = (hub.as_str(), device.as_str());
        Ok(tx.put_remote_task(place, kind, self.now.ticks())?)
    }

    /// The hub device that the registration is assigned to.
    fn device(&self, tx: &Tx<'_>) -> Result<Option<DeviceLocation>, BlockError> {
        let Some((hub, device_id)) = self.place(tx)? else {
            return Ok(None);
        };
        // Unlinking took away the right to touch what is in the hub, which may be another service's by now.
        let link = self.service.hub(&hub);
        if link.is_none_or(|link| link.reach != HubReach::Here) {
            return Ok(None);
        }
        let device = DeviceLocation { hub, device_id };
        // One that was deleted cannot be disabled.
        let is_here = find_device(tx, &device)?.is_some();
        Ok(is_here.then_some(device))
    }

    /// Disables a hub device; whether that changed it.
    fn disable_device(&self, tx: &Tx<'_>, device: &DeviceLocation) -> Result<bool, BlockError> {
        let row = find_device(tx, device)?;
        let Some(row) = row.filter(|row| row.enabled) else {
            return Ok(false);
        };
        self.devices
            .set_status(tx, row, Status::Disabled, Some(BLOCKED))?;
        Ok(true)
    }

    /// Enables a hub device that is disabled because of a block. One that somebody at the hub has disabled since, with another reason
    /// or none, stays so.
    fn enable_device(&self, tx: &Tx<'_>, device: &DeviceLocation) -> Result<(), BlockError> {
        let row = find_device(tx, device)?;
        let is_blocked = |row: &IdentityRow| row.status_reason.as_deref() == Some(BLOCKED);
        if let Some(row) = row.filter(|row| !row.enabled && is_blocked(row)) {
            self.devices.set_status(tx, row, Status::Enabled, None)?;
        }
        Ok(())
    }
}
