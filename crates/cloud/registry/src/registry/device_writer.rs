//! Writing devices in a transaction of the caller: what registering a device does to its hub.

use std::sync::Arc;

use ids::{Etag, Identity, Thumbprint, Timestamp};
use serde_json::{Map, Value};
use store::{
    AuthKind, DeviceLocation, IdentityKey, IdentityRow, Secret, StoreError, TargetingChange,
    TwinRow, Tx, View,
};
use wire::service_api::identity::{Authentication, CertificateThumbprint, Status};

use super::new_identity::{NewIdentity, Seeds, edge_scope, insert_system_modules};
use super::twins::write_twin;
use super::watchers::Watchers;
use super::{Registry, hub_events};
use crate::change::Change;
use crate::error::StorageError;
use crate::rows::{self, set_authentication};
use crate::twin::{CheckedReport, InitialTwin, TwinReplacement, difference};

/// A device to be created with its first twin.
#[derive(Debug, Clone, Copy)]
pub struct NewDevice<'a> {
    /// What it proves itself with.
    pub authentication: &'a Authentication,
    /// Whether it may connect.
    pub status: Status,
    /// Why, in an operator's words.
    pub status_reason: Option<&'a str>,
    /// Whether it is an IoT Edge device: it gets its scope and its system modules.
    pub iot_edge: bool,
    /// Its tags and desired properties.
    pub twin: &'a InitialTwin,
}

/// Writes devices in transactions of the caller, and reports the changes after the commit. One is
/// for one device: its randomness is drawn before the transaction.
pub struct DeviceWriter {
    seeds: Seeds,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

impl Registry {
    /// A writer for one device.
    #[must_use]
    pub fn device_writer(&self, now: Timestamp) -> DeviceWriter {
        DeviceWriter {
            seeds: Seeds::new(&*self.inner.entropy),
            watchers: self.inner.watchers.clone(),
            now,
        }
    }
}

/// The row of a device.
pub fn find_device(
    view: &View<'_>,
    at: &DeviceLocation,
) -> Result<Option<IdentityRow>, StorageError> {
    Ok(view.identity(device_key(at))?)
}

/// The row of a device, and the certificates by which its hub knows it.
pub fn device_certificates(
    view: &View<'_>,
    at: &DeviceLocation,
) -> Result<Option<(IdentityRow, Vec<CertificateThumbprint>)>, StorageError> {
    let Some(row) = find_device(view, at)? else {
        return Ok(None);
    };
    let certificates = match rows::authentication(view, &row)? {
        Authentication::SelfSigned { primary, secondary } => [primary, secondary],
        _ => [None, None],
    };
    Ok(Some((row, certificates.into_iter().flatten().collect())))
}

/// The etag of a device's twin.
pub fn twin_etag(view: &View<'_>, at: &DeviceLocation) -> Result<Option<Etag>, StorageError> {
    let Some((_, twin)) = view.twin(device_key(at))? else {
        return Ok(None);
    };
    Ok(Some(rows::twin(view, &twin)?.etag))
}

fn device_key(at: &DeviceLocation) -> IdentityKey<'_> {
    IdentityKey::device(&at.hub, &at.device_id)
}

impl DeviceWriter {
    /// Creates a device with its first twin.
    pub fn create(
        &self,
        tx: &Tx<'_>,
        at: &DeviceLocation,
        device: NewDevice<'_>,
    ) -> Result<IdentityRow, StoreError> {
        let new = NewIdentity {
            key: device_key(at),
            now: self.now,
        };
        let mut row = new.row(&self.seeds, 0);
        row.enabled = device.status == Status::Enabled;
        row.status_reason = device.status_reason.map(str::to_owned);
        row.iot_edge = device.iot_edge;
        row.device_scope = row.iot_edge.then(|| new.scope(&self.seeds));
        set_authentication(&mut row, device.authentication);
        let documents = TwinRow {
            tags: device.twin.tags.clone(),
            desired: device.twin.desired.clone(),
            ..new.twin()
        };
        tx.insert_identity(&row, &documents)?;
        hub_events::identity_created(tx, &self.watchers, row.key())?;
        if row.iot_edge {
            insert_system_modules(tx, &row, &self.seeds, self.now)?;
        }
        Ok(row)
    }

    /// Writes what a device that exists proves itself with.
    pub fn write_authentication(
        &self,
        tx: &Tx<'_>,
        at: &DeviceLocation,
        authentication: &Authentication,
    ) -> Result<IdentityRow, StoreError> {
        let missing = || tx.damaged("device", "it went away within a transaction");
        let mut row = find_device(tx, at)?.ok_or_else(missing)?;
        let proof = |row: &IdentityRow| -> (AuthKind, Option<Secret>, Option<Secret>) {
            (
                row.auth_kind,
                row.auth_primary.clone(),
                row.auth_secondary.clone(),
            )
        };
        let before = proof(&row);
        set_authentication(&mut row, authentication);
        if proof(&row) != before {
            row.revision += 1;
            tx.update_identity(&row)?;
            let identity = at.identity();
            self.watchers
                .tell(tx, Change::CredentialsChanged { identity });
        }
        Ok(row)
    }

    /// Writes a certificate for a device that is connected with the one that is `kept`. Its session
    /// goes on.
    pub fn renew_certificate(
        &self,
        tx: &Tx<'_>,
        mut row: IdentityRow,
        new: Thumbprint,
        kept: Thumbprint,
    ) -> Result<(), StoreError> {
        let authentication = Authentication::SelfSigned {
            primary: Some(CertificateThumbprint::Sha256(new)),
            secondary: Some(CertificateThumbprint::Sha256(kept)),
        };
        set_authentication(&mut row, &authentication);
        row.revision += 1;
        tx.update_identity(&row)
    }

    /// Replaces tags and desired properties.
    pub fn replace_twin(
        &self,
        tx: &Tx<'_>,
        at: &DeviceLocation,
        initial: &InitialTwin,
    ) -> Result<(), StoreError> {
        let identity = at.identity();
        let Some((row, twin)) = tx.twin(device_key(at))? else {
            return Ok(());
        };
        let stored = (&row, twin.version);
        let mut twin = rows::twin(tx, &twin)?;
        let replacement = TwinReplacement {
            tags: Some(rows::document(tx, "tags", initial.tags.as_deref())?),
            desired: Some(rows::document(tx, "desired", initial.desired.as_deref())?),
        };
        // An initial twin has been checked when it was made.
        let replacement = replacement
            .checked()
            .map_err(|error| tx.damaged("initial twin", error))?;
        let touched = twin.replace(&replacement, self.now);
        write_twin(tx, &self.watchers, &identity, stored, &twin, touched)
    }

    /// Writes what a device reported to the hub that it moved from.
    pub fn write_reported(
        &self,
        tx: &Tx<'_>,
        at: &DeviceLocation,
        reported: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let identity = at.identity();
        let Some((row, twin)) = tx.twin(device_key(at))? else {
            return Ok(());
        };
        let stored = (&row, twin.version);
        let mut twin = rows::twin(tx, &twin)?;
        // Should it be more than a hub of this server keeps, it is left behind: the device reports
        // again when it connects.
        let report = CheckedReport::new(reported);
        if let Ok(touched) = report.and_then(|report| twin.report(&report, self.now)) {
            write_twin(tx, &self.watchers, &identity, stored, &twin, touched)?;
        }
        Ok(())
    }

    /// Moves a device with its modules and twins.
    pub fn move_device(
        &self,
        tx: &Tx<'_>,
        from: &DeviceLocation,
        to: &DeviceLocation,
    ) -> Result<(), StoreError> {
        hub_events::identity_deleted(tx, &self.watchers, device_key(from))?;
        tx.move_device((&from.hub, &from.device_id), (&to.hub, &to.device_id))?;
        hub_events::identity_created(tx, &self.watchers, device_key(to))?;
        let identity = from.identity();
        self.watchers.tell(tx, Change::Gone { identity });
        Ok(())
    }

    /// Deletes a device with its modules and twins.
    pub fn delete(&self, tx: &Tx<'_>, at: &DeviceLocation) -> Result<(), StoreError> {
        hub_events::identity_deleted(tx, &self.watchers, device_key(at))?;
        tx.delete_device(&at.hub, &at.device_id)?;
        let identity = at.identity();
        self.watchers.tell(tx, Change::Gone { identity });
        Ok(())
    }

    /// Enables or disables a device.
    pub fn set_status(
        &self,
        tx: &Tx<'_>,
        mut row: IdentityRow,
        status: Status,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        row.enabled = status == Status::Enabled;
        row.status_reason = reason.map(str::to_owned);
        row.status_updated = self.now.ticks();
        row.revision += 1;
        tx.update_identity(&row)?;
        if status == Status::Disabled {
            let identity = row.identity();
            self.watchers.tell(tx, Change::Disabled { identity });
        }
        Ok(())
    }

    /// Has configurations evaluated for a device that was created or changed.
    pub fn queue_for_configurations(
        &self,
        tx: &Tx<'_>,
        device: &IdentityRow,
    ) -> Result<(), StoreError> {
        let change = match device.iot_edge {
            true => TargetingChange::EdgeDeviceOrModule,
            false => TargetingChange::Device,
        };
        if tx.targeting_follows(&device.hub, change)? {
            tx.queue_device(&device.hub, &device.device_id)?;
            let hub = device.hub.clone();
            self.watchers.tell(tx, Change::Targeting { hub });
        }
        Ok(())
    }

    /// Resets a device to its first day, with versions that go on: sessions compare them. One that
    /// is to be an IoT Edge device becomes one.
    pub fn reset(
        &self,
        tx: &Tx<'_>,
        device: &mut IdentityRow,
        iot_edge: bool,
        initial: &InitialTwin,
    ) -> Result<(), StoreError> {
        if iot_edge && !device.iot_edge {
            device.iot_edge = true;
            device.device_scope = Some(edge_scope(&device.device_id, &device.generation_id));
            device.revision += 1;
            tx.update_identity(device)?;
            insert_system_modules(tx, device, &self.seeds, self.now)?;
        }
        for (row, twin) in tx.device_and_modules(&device.hub, &device.device_id)? {
            let identity = row.identity();
            match &identity.module {
                None => self.reset_twin(tx, identity, (&row, &twin), initial)?,
                Some(module) if module.is_system() => {
                    self.reset_twin(tx, identity, (&row, &twin), &InitialTwin::default())?;
                }
                Some(_) => {
                    hub_events::identity_deleted(tx, &self.watchers, row.key())?;
                    tx.delete_module(row.key(), row.revision)?;
                    self.watchers.tell(tx, Change::Gone { identity });
                }
            }
        }
        tx.replace_configuration_targets(&device.hub, &device.device_id, &[])?;
        tx.forget_configuration_settings(&device.hub, &device.device_id)?;
        Ok(())
    }

    fn reset_twin(
        &self,
        tx: &Tx<'_>,
        identity: Identity,
        (row, before): (&IdentityRow, &TwinRow),
        initial: &InitialTwin,
    ) -> Result<(), StoreError> {
        let fresh = TwinRow {
            version: before.version + 1,
            desired_version: before.desired_version + 1,
            reported_version: before.reported_version + 1,
            written: self.now.ticks(),
            tags: initial.tags.clone(),
            desired: initial.desired.clone(),
            ..TwinRow::default()
        };
        tx.reset_twin(row, before.version, &fresh)?;
        hub_events::twin_reset(tx, &self.watchers, row.key(), before)?;
        let old = rows::document(tx, "desired", before.desired.as_deref())?;
        let patch = difference(
            &old,
            &rows::document(tx, "desired", initial.desired.as_deref())?,
        );
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
