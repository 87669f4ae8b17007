//! The end of a block.

use store::{
    EnrollmentChange, EnrollmentRow, EnrollmentVersion, IdentityRow, Lock, RemoteTaskKind,
    StoreError, Tx, Unit, View,
};
use wire::service_api::identity::Status;

use super::{BLOCKED, BlockError, BlockTarget, HubDevice, StatusChange};

pub(super) struct UnblockDevice(pub(super) BlockTarget);

/// What is written of the individual enrollment.
pub(super) enum ReopenedEnrollment {
    Delete(EnrollmentRow),
    Update(StatusChange),
    /// It is not there.
    Leave,
}

impl Unit for UnblockDevice {
    /// The enrollment, and the hub device. A local one is there only when it is to be enabled.
    type Plan = (ReopenedEnrollment, HubDevice);
    type Output = ();
    type Error = BlockError;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.0.locks()
    }

    fn locks_of_plan<'a>(&'a self, (_, device): &'a Self::Plan) -> Vec<Lock<'a>> {
        device.locks()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, BlockError> {
        let target = &self.0;
        let block = view.block(&target.id_scope, &target.id)?;
        let block = block.ok_or_else(|| BlockError::NotBlocked(target.id.clone()))?;
        let enrollment = match (block.enrollment_change, target.enrollment(view)?) {
            (_, None) => ReopenedEnrollment::Leave,
            (EnrollmentChange::Created, Some(row)) => ReopenedEnrollment::Delete(row),
            (EnrollmentChange::Disabled, Some(row)) => {
                ReopenedEnrollment::Update(target.with_status(view, row, true)?)
            }
            // It was disabled before, and stays so.
            (EnrollmentChange::None, Some(row)) => {
                ReopenedEnrollment::Update(target.with_status(view, row, false)?)
            }
        };
        let mut device = target.hub_device(view)?;
        // One that an operator of the hub has disabled since, with another reason or none, stays
        // so.
        let is_blocked = |row: &IdentityRow| row.status_reason.as_deref() == Some(BLOCKED);
        device.local = device
            .local
            .filter(|(_, row)| block.device_disabled && !row.enabled && is_blocked(row));
        Ok((enrollment, device))
    }

    fn apply(&self, tx: &Tx<'_>, (enrollment, device): Self::Plan) -> Result<(), StoreError> {
        let target = &self.0;
        match enrollment {
            ReopenedEnrollment::Delete(row) => {
                let version = EnrollmentVersion {
                    id: row.id,
                    etag: row.etag,
                };
                tx.delete_enrollment(&target.id_scope, &row.key, &version)?;
            }
            ReopenedEnrollment::Update(change) => change.write(tx, &target.id_scope)?,
            ReopenedEnrollment::Leave => {}
        }
        if let Some((_, row)) = device.local {
            target.devices.set_status(tx, row, Status::Enabled, None)?;
        }
        // Whether it was disabled for this block, its hub knows by the reason that it has.
        target.put_task(tx, device.remote.as_ref(), RemoteTaskKind::Enable)?;
        tx.delete_block(&target.id_scope, &target.id)
    }
}
