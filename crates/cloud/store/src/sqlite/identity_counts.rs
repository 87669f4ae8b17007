//! How many devices and modules hubs have. The counts are kept, because counting the rows would
//! read all of them. Units collect what they add; the writer adds it up at the end of the commit,
//! so that units of different devices share no row.

use ids::{DeviceId, HubName};
use rusqlite::{Row, params};

use crate::{IdentityCounts, IdentityRow, StoreError, Tx, View};

/// What rows are counted as.
macro_rules! counted {
    ($rest:literal) => {
        concat!(
            "SELECT count(*) FILTER (WHERE module_id = ''),
                    count(*) FILTER (WHERE module_id = '' AND enabled),
                    count(*) FILTER (WHERE module_id > '') FROM identities ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<Counted> {
    Ok(Counted {
        devices: row.get(0)?,
        enabled: row.get(1)?,
        modules: row.get(2)?,
    })
}

/// What a transaction adds to the counts of hubs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CountChanges(Vec<(HubName, Counted)>);

/// Devices and modules that are added or, below zero, go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    devices: i64,
    /// Devices that may connect.
    enabled: i64,
    modules: i64,
}

impl Counted {
    pub(crate) fn of(row: &IdentityRow) -> Self {
        match row.module_id {
            None => Self {
                devices: 1,
                enabled: row.enabled.into(),
                modules: 0,
            },
            Some(_) => Self::MODULE,
        }
    }

    pub(crate) const MODULE: Self = Self {
        devices: 0,
        enabled: 0,
        modules: 1,
    };

    pub(crate) fn gone(self) -> Self {
        Self {
            devices: -self.devices,
            enabled: -self.enabled,
            modules: -self.modules,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            devices: self.devices + other.devices,
            enabled: self.enabled + other.enabled,
            modules: self.modules + other.modules,
        }
    }
}

impl CountChanges {
    pub(crate) fn add(&mut self, hub: &HubName, counted: Counted) {
        match self.0.iter_mut().find(|(known, _)| known == hub) {
            Some((_, sum)) => *sum = sum.plus(counted),
            None => self.0.push((hub.clone(), counted)),
        }
    }

    pub(crate) fn extend(&mut self, more: Self) {
        for (hub, counted) in more.0 {
            match self.0.iter_mut().find(|(known, _)| *known == hub) {
                Some((_, sum)) => *sum = sum.plus(counted),
                None => self.0.push((hub, counted)),
            }
        }
    }

    /// Writes them: once in a transaction, at its end.
    pub(crate) fn write(self, tx: &Tx<'_>) -> Result<(), StoreError> {
        for (hub, counted) in self.0 {
            let Counted {
                devices,
                enabled,
                modules,
            } = counted;
            if counted == Counted::default() {
                continue;
            }
            let sql = "INSERT INTO identity_counts (hub, devices, enabled, modules)
                       VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hub) DO UPDATE SET
                           devices = devices + excluded.devices,
                           enabled = enabled + excluded.enabled,
                           modules = modules + excluded.modules";
            tx.write_at_end(sql, params![hub.as_str(), devices, enabled, modules])?;
            if devices < 0 {
                // The hub itself may be gone, too.
                let sql = "DELETE FROM identity_counts
                           WHERE hub = ?1 AND devices = 0 AND modules = 0";
                tx.write_at_end(sql, [hub.as_str()])?;
            }
        }
        Ok(())
    }
}

impl View<'_> {
    /// How many devices and modules a hub has, as of the commit before.
    pub fn identity_counts(&self, hub: &HubName) -> Result<IdentityCounts, StoreError> {
        let sql = "SELECT devices, enabled, modules FROM identity_counts WHERE hub = ?1";
        let found = self.one(sql, [hub.as_str()], |row| {
            Ok(IdentityCounts {
                devices: row.get(0)?,
                enabled: row.get(1)?,
                modules: row.get(2)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// A device with its modules, as they are counted.
    pub(super) fn counted_of_device(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Counted, StoreError> {
        let sql = counted!("WHERE hub = ?1 AND device_id = ?2");
        let found = self.one(sql, [hub.as_str(), device_id.as_str()], read)?;
        Ok(found.unwrap_or_default())
    }

    /// The device or module of a row, as it is counted.
    pub(super) fn counted_in_row(&self, identity: i64) -> Result<Counted, StoreError> {
        let found = self.one(counted!("WHERE id = ?1"), [identity], read)?;
        Ok(found.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
