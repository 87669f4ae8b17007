//! The end of a pending registration whose record ends otherwise.

use ids::{RegistrationId, Timestamp};
use registry::StorageError;
use store::{DeviceLocation, Lock, RemoteTaskKind, StoreError, Tx, View};

use super::pending::read;
use crate::placement::Plan;

/// A pending registration to be ended. What was created for it in a remote hub is removed there.
pub(in super::super) struct EndPending {
    id_scope: String,
    registration_id: RegistrationId,
    remove: Option<DeviceLocation>,
}

impl EndPending {
    /// `None` when nothing is pending. The device at `stays` is not removed.
    pub(in super::super) fn decide(
        view: &View<'_>,
        id_scope: &str,
        id: &RegistrationId,
        stays: Option<&DeviceLocation>,
    ) -> Result<Option<Self>, StorageError> {
        let Some(row) = view.pending(id_scope, id)? else {
            return Ok(None);
        };
        let pending = read(view, &row)?;
        Ok(Some(Self {
            id_scope: id_scope.to_owned(),
            registration_id: row.registration_id,
            remove: created_in_vain(view, pending.plan.as_ref(), stays)?,
        }))
    }

    pub(in super::super) fn locks(&self) -> Vec<Lock<'_>> {
        self.remove.iter().map(device_lock).collect()
    }

    pub(in super::super) fn apply(self, tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        if let Some(device) = &self.remove {
            put_removal(tx, device, now)?;
        }
        tx.delete_pending(&self.id_scope, &self.registration_id)
    }
}

pub(super) fn device_lock(at: &DeviceLocation) -> Lock<'_> {
    Lock::Device {
        hub: at.hub.as_str(),
        device_id: at.device_id.as_str(),
    }
}

/// The device that a plan may have created in a remote hub, unless it `stays` or is assigned.
pub(super) fn created_in_vain(
    view: &View<'_>,
    plan: Option<&Plan>,
    stays: Option<&DeviceLocation>,
) -> Result<Option<DeviceLocation>, StorageError> {
    let created = plan.and_then(Plan::created);
    let Some(created) = created.filter(|created| Some(*created) != stays) else {
        return Ok(None);
    };
    let owner = view.registration_of_device(&created.hub, &created.device_id)?;
    Ok(owner.is_none().then(|| created.clone()))
}

/// Has a device of a remote hub removed.
pub(super) fn put_removal(
    tx: &Tx<'_>,
    at: &DeviceLocation,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.put_remote_task(at, RemoteTaskKind::Remove, now.ticks())
}
