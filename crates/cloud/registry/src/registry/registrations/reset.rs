//! A device that starts again from its enrollment's initial twin.

use ids::{Identity, ModuleId};
use store::{IdentityRow, TwinRow, Tx};

use super::assign::AssignJob;
use crate::change::Change;
use crate::register::Place;
use crate::registration::AssignError;
use crate::registry::new_identity::insert_system_modules;
use crate::registry::rows::Rows;
use crate::twin::{InitialTwin, difference};

impl AssignJob {
    /// The device as it was on its first day, with versions that go on: sessions compare them.
    pub(super) fn reset(
        &self,
        tx: &Tx<'_>,
        device: &mut IdentityRow,
        initial: &InitialTwin,
    ) -> Result<(), AssignError> {
        if self.assign.registrant.iot_edge && !device.iot_edge {
            device.iot_edge = true;
            let scope = format!(
                "ms-azure-iot-edge://{}-{}",
                device.device_id, device.generation_id
            );
            device.device_scope = Some(scope);
            device.revision += 1;
            tx.update_identity(device)?;
            insert_system_modules(tx, device, &self.seeds, self.now)?;
        }
        let rows = Rows { file: tx.file() };
        let place = Place {
            hub: device.hub.clone(),
            device_id: device.device_id.clone(),
        };
        let of_device = self.identity(tx, &place)?;
        for (row, twin) in tx.device_and_modules(&device.hub, &device.device_id)? {
            let module = match row.module_id.as_str() {
                "" => None,
                module => Some(rows.id("module id", ModuleId::parse(module))?),
            };
            let identity = Identity {
                module,
                ..of_device.clone()
            };
            match &identity.module {
                None => self.reset_twin(tx, identity, (row.id, &twin), initial)?,
                Some(module) if module.is_system() => {
                    self.reset_twin(tx, identity, (row.id, &twin), &InitialTwin::default())?;
                }
                Some(_) => {
                    tx.delete_module(row.id)?;
                    self.watchers.tell(tx, Change::Gone { identity });
                }
            }
        }
        tx.replace_configuration_targets(&device.hub, &device.device_id, &[])?;
        Ok(())
    }

    fn reset_twin(
        &self,
        tx: &Tx<'_>,
        identity: Identity,
        (row_id, before): (i64, &TwinRow),
        initial: &InitialTwin,
    ) -> Result<(), AssignError> {
        let rows = Rows { file: tx.file() };
        let fresh = TwinRow {
            version: before.version + 1,
            desired_version: before.desired_version + 1,
            reported_version: before.reported_version + 1,
            written: self.now.ticks(),
            tags: initial.tags.clone(),
            desired: initial.desired.clone(),
            ..TwinRow::default()
        };
        tx.reset_twin(row_id, &fresh)?;
        let old = rows.document("desired", before.desired.as_deref())?;
        let patch = difference(&old, &rows.document("desired", initial.desired.as_deref())?);
        let version = fresh.desired_version;
        self.watchers.tell(
            tx,
            Change::Desired {
                identity,
                patch,
                version,
            },
        );
        Ok(())
    }
}
