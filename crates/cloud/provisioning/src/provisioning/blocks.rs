//! One act that shuts a device out everywhere, and the one that takes it back.

use std::sync::Arc;

use ids::{DeviceId, Etag, HubName, Identity, RegistrationId, Timestamp};
use registry::{DeviceWriter, StorageError, find_device};
use serde_json::{Value, json};
use store::{
    AttestationKind, BlockedRow, DeviceLocation, EnrollmentChange, EnrollmentKey, EnrollmentRow,
    IdentityRow, Lock, RemoteTaskKind, StoreError, Tx, Unit, View,
};
use wire::service_api::identity::{KeyText, Status};

use super::Provisioning;
use super::act::Act;
use crate::service::{HubAccess, ProvisioningService};

mod unblock;

use unblock::UnblockDevice;

/// Why a device is not blocked, or not unblocked.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    #[error("registration {0} is blocked already")]
    Blocked(RegistrationId),
    #[error("registration {0} is not blocked")]
    NotBlocked(RegistrationId),
    /// No registration of the service has led to the hub device.
    #[error(
        "no registration is assigned to device {device} of hub {hub}; set the status of a device that did not come through this service to disabled at its hub"
    )]
    NoRegistration { hub: HubName, device: DeviceId },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StoreError> for BlockError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// A device that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub registration_id: RegistrationId,
    /// In the operator's words.
    pub reason: Option<String>,
    pub since: Timestamp,
    /// Its hub device, when it has one here; it is disabled.
    pub device: Option<Identity>,
    /// Its device in a remote hub, which is being disabled.
    pub remote: Option<(HubName, DeviceId)>,
}

/// The `statusReason` of a hub device that is disabled because of a block.
pub const BLOCKED: &str = "blocked by an operator";

impl Provisioning {
    /// Shuts a device out in one transaction: its individual enrollment is disabled, or a disabled
    /// one is created for it, so that no group lets it in; its hub device is disabled, and its
    /// sessions end after the commit. In a remote hub, disabling it is a remote task.
    pub async fn block(
        &self,
        id: &RegistrationId,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Block, BlockError> {
        let block = BlockDevice {
            target: self.block_target(id, now),
            reason,
            keys: [self.fresh_enrollment_key(), self.fresh_enrollment_key()],
        };
        self.act(Act::BlockDevice, id, block).await
    }

    /// Removes a block: what was disabled for it is enabled, what was created for it is deleted.
    pub async fn unblock(&self, id: &RegistrationId, now: Timestamp) -> Result<(), BlockError> {
        let unblock = UnblockDevice(self.block_target(id, now));
        self.act(Act::UnblockDevice, id, unblock).await
    }

    /// The registration that led to a hub device, for an operator who knows the device
    /// by that name only.
    pub fn registration_of(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<RegistrationId, BlockError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.registration_of_device(hub, device)?;
            // Another service's registrations are not this operator's.
            let own = found.filter(|owner| owner.id_scope.as_str() == id_scope);
            let own = own.ok_or_else(|| BlockError::NoRegistration {
                hub: hub.clone(),
                device: device.clone(),
            })?;
            Ok(own.registration_id)
        })
    }

    fn block_target(&self, id: &RegistrationId, now: Timestamp) -> BlockTarget {
        BlockTarget {
            service: self.service(),
            id_scope: self.id_scope(),
            id: id.clone(),
            etag: self.registry.fresh_etag(),
            devices: self.registry.device_writer(now),
            now,
        }
    }
}

/// The device that is blocked or unblocked, and its service.
struct BlockTarget {
    service: Arc<ProvisioningService>,
    id_scope: String,
    id: RegistrationId,
    etag: Etag,
    devices: DeviceWriter,
    now: Timestamp,
}

/// The hub device of a registration.
#[derive(Default)]
struct HubDevice {
    /// In this directory, with its row.
    local: Option<(DeviceLocation, IdentityRow)>,
    /// In a linked remote hub.
    remote: Option<DeviceLocation>,
}

impl HubDevice {
    fn locks(&self) -> Vec<Lock<'_>> {
        let local = self.local.as_ref().map(|(at, _)| at);
        let both = local.into_iter().chain(&self.remote);
        both.map(|at| Lock::Device {
            hub: at.hub.as_str(),
            device_id: at.device_id.as_str(),
        })
        .collect()
    }
}

impl BlockTarget {
    fn locks(&self) -> Vec<Lock<'_>> {
        let (id_scope, folded) = (&self.id_scope, self.id.folded());
        vec![
            Lock::Enrollment { id_scope, folded },
            Lock::Registration { id_scope, folded },
        ]
    }

    fn enrollment(&self, view: &View<'_>) -> Result<Option<EnrollmentRow>, StoreError> {
        let key = EnrollmentKey::Individual(self.id.clone());
        view.enrollment(&self.id_scope, &key)
    }

    /// The hub device that the registration is assigned to.
    fn hub_device(&self, view: &View<'_>) -> Result<HubDevice, StorageError> {
        let registration = view.registration(&self.id_scope, &self.id)?;
        let Some(at) = registration.and_then(|row| row.device) else {
            return Ok(HubDevice::default());
        };
        // Unlinking took away the right to touch the device, which may be another service's by now.
        let Some(link) = self.service.hub(&at.hub) else {
            return Ok(HubDevice::default());
        };
        if link.access != HubAccess::Local {
            let remote = Some(at);
            return Ok(HubDevice {
                local: None,
                remote,
            });
        }
        let row = find_device(view, &at)?;
        Ok(HubDevice {
            local: row.map(|row| (at, row)),
            remote: None,
        })
    }

    /// The same enrollment, enabled or disabled; with another etag, so that no cache holds
    /// it as it was.
    fn with_status(
        &self,
        view: &View<'_>,
        mut row: EnrollmentRow,
        enabled: bool,
    ) -> Result<StatusChange, StorageError> {
        let mut document: Value =
            view.decoded("enrollment", serde_json::from_str(&row.document))?;
        document["provisioningStatus"] = json!(if enabled { "enabled" } else { "disabled" });
        row.document = document.to_string();
        row.enabled = enabled;
        let before = std::mem::replace(&mut row.etag, self.etag.clone());
        row.updated = self.now.ticks();
        Ok(StatusChange { before, row })
    }

    fn put_task(
        &self,
        tx: &Tx<'_>,
        device: Option<&DeviceLocation>,
        kind: RemoteTaskKind,
    ) -> Result<(), StoreError> {
        let Some(at) = device else {
            return Ok(());
        };
        tx.put_remote_task(at, kind, self.now.ticks())
    }
}

/// An enrollment to be written.
struct StatusChange {
    /// The etag with which it was read.
    before: Etag,
    row: EnrollmentRow,
}

impl StatusChange {
    fn write(&self, tx: &Tx<'_>, id_scope: &str) -> Result<(), StoreError> {
        tx.update_enrollment(id_scope, &self.before, &self.row)
    }
}

struct BlockDevice {
    target: BlockTarget,
    reason: Option<String>,
    keys: [KeyText; 2],
}

/// What is done to the individual enrollment so that it keeps the device out.
enum ClosedEnrollment {
    /// It was disabled before.
    Kept(StatusChange),
    Disabled(StatusChange),
    Created,
}

impl ClosedEnrollment {
    fn change(&self) -> EnrollmentChange {
        match self {
            Self::Kept(_) => EnrollmentChange::None,
            Self::Disabled(_) => EnrollmentChange::Disabled,
            Self::Created => EnrollmentChange::Created,
        }
    }
}

impl BlockDevice {
    /// An enrollment that no device can prove itself against: its keys are not shown to anybody,
    /// and it is disabled besides.
    fn closed_enrollment(&self) -> EnrollmentRow {
        let BlockTarget { id, etag, now, .. } = &self.target;
        let [primary, secondary] = &self.keys;
        let document = json!({
            "registrationId": id,
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
            key: EnrollmentKey::Individual(id.clone()),
            etag: etag.clone(),
            enabled: false,
            attestation: AttestationKind::SymmetricKey,
            document: document.to_string(),
            issuer: None,
            trust_bundle: None,
            created: now.ticks(),
            updated: now.ticks(),
        }
    }
}

impl Unit for BlockDevice {
    type Plan = (ClosedEnrollment, HubDevice);
    type Output = Block;
    type Error = BlockError;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.target.locks()
    }

    fn locks_of_plan<'a>(&'a self, (_, device): &'a Self::Plan) -> Vec<Lock<'a>> {
        device.locks()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, BlockError> {
        let BlockTarget { id_scope, id, .. } = &self.target;
        if view.has_block(id_scope, id)? {
            return Err(BlockError::Blocked(id.clone()));
        }
        let enrollment = match self.target.enrollment(view)? {
            None => ClosedEnrollment::Created,
            Some(row) => {
                let was_enabled = row.enabled;
                let change = self.target.with_status(view, row, false)?;
                match was_enabled {
                    true => ClosedEnrollment::Disabled(change),
                    false => ClosedEnrollment::Kept(change),
                }
            }
        };
        Ok((enrollment, self.target.hub_device(view)?))
    }

    fn apply(&self, tx: &Tx<'_>, (enrollment, device): Self::Plan) -> Result<Block, StoreError> {
        let target = &self.target;
        let enrollment_change = enrollment.change();
        match enrollment {
            ClosedEnrollment::Kept(change) | ClosedEnrollment::Disabled(change) => {
                change.write(tx, &target.id_scope)?;
            }
            ClosedEnrollment::Created => {
                tx.insert_enrollment(&target.id_scope, &self.closed_enrollment())?;
            }
        }
        target.put_task(tx, device.remote.as_ref(), RemoteTaskKind::Disable)?;
        let (at, row) = device.local.unzip();
        let row = row.filter(|row| row.enabled);
        let device_disabled = row.is_some();
        if let Some(row) = row {
            let writer = &target.devices;
            writer.set_status(tx, row, Status::Disabled, Some(BLOCKED))?;
        }
        let row = BlockedRow {
            registration_id: target.id.clone(),
            reason: self.reason.clone(),
            blocked: target.now.ticks(),
            enrollment_change,
            device: at.clone(),
            device_disabled,
        };
        tx.insert_block(&target.id_scope, &row)?;
        Ok(Block {
            registration_id: target.id.clone(),
            reason: self.reason.clone(),
            since: target.now,
            device: at.map(|at| at.identity()),
            remote: device.remote.map(|at| (at.hub, at.device_id)),
        })
    }
}
