//! Brings one device with its modules to what configurations say: first what they give it
//! ([`resolve`]), then what would change ([`plan`]), then the change ([`Target::write`]).

mod content;
mod given;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use serde_json::{Map, Value};
use store::{
    ConfigurationVersion, IdentityKey, IdentityRow, IdentityVersion, RolloutDeviceRow, StoreError,
    TargetRow, TwinRow, Tx, View,
};

pub(crate) use self::given::resolve;
pub(crate) use self::plan::plan;
use super::hub_events;
use super::new_identity::{NewIdentity, Seeds};
use super::twins::write_twin;
use super::watchers::Watchers;
use crate::change::Change;
use crate::deployment::ConfigurationError;
use crate::error::StorageError;
use crate::rows;
use crate::settings::Owned;
use crate::twin::{Touched, Twin, TwinError};

/// Who manages the modules that deployments make.
const MANAGED_BY: &str = "IotEdge";

type Modules = BTreeMap<ModuleId, Map<String, Value>>;

/// Why one device was not brought up to date. Others go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It cannot be read, or the storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Its configurations are each within the limits of twins, and together are not.
    #[error("its configurations together give {} more than a twin may hold", named(.module))]
    TooMuch {
        /// `None` for the device itself.
        module: Option<ModuleId>,
        #[source]
        cause: Box<TwinError>,
    },
}

fn named(module: &Option<ModuleId>) -> String {
    match module {
        Some(module) => format!("module {module}"),
        None => "the device".to_owned(),
    }
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<ApplyError> for ConfigurationError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Storage(error) => Self::Storage(error),
            ApplyError::TooMuch { module, cause } => Self::Content {
                path: module.map_or_else(
                    || "modulesContent".to_owned(),
                    |module| format!("modulesContent.{module}"),
                ),
                problem: cause.to_string(),
            },
        }
    }
}

/// The row with the version of its twin, the identity, the new twin, what of it is new.
type ChangedTwin = ((IdentityRow, u64), Identity, Twin, Touched);

/// What it takes to bring one device up to date. Empty when it is.
#[derive(Default)]
pub(crate) struct Plan {
    /// Modules that need an identity.
    create: Vec<ModuleId>,
    /// Modules of an earlier deployment that this one does not name.
    remove: Vec<IdentityRow>,
    twins: Vec<ChangedTwin>,
    /// Desired properties of modules that do not exist yet.
    first_desired: Modules,
    /// What of each twin came from configurations, where that changes; by module id.
    owned: Vec<(Option<ModuleId>, Owned)>,
    /// The rings that the device waits in, where that changes; `None` where it does no longer.
    rings: Vec<(i64, Option<u32>)>,
    /// The new list of configurations that concern the device.
    targets: Option<Vec<TargetRow>>,
}

impl Plan {
    /// Whether the device gets modules that configurations of modules have not seen yet.
    pub(crate) fn creates_modules(&self) -> bool {
        !self.create.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty()
            && self.remove.is_empty()
            && self.twins.is_empty()
            && self.owned.is_empty()
            && self.rings.is_empty()
            && self.targets.is_none()
    }
}

/// What a plan was made from: configurations, and the device with its modules. The same versions
/// make the same plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    configurations: Vec<ConfigurationVersion>,
    rollouts: Vec<RolloutDeviceRow>,
    identities: Vec<IdentityVersion>,
}

impl Versions {
    pub(crate) fn read(view: &View<'_>, hub: &HubName, device: &str) -> Result<Self, StorageError> {
        let configurations = view.configuration_versions(hub)?;
        Ok(Self {
            // Rollouts have negative numbers.
            rollouts: match configurations.first() {
                Some(version) if version.id < 0 => view.device_rollouts(hub, device)?,
                _ => Vec::new(),
            },
            configurations,
            identities: view.device_versions(hub, device)?,
        })
    }
}

/// A device with its modules, as stored.
pub(crate) struct Stored {
    hub: HubName,
    device: DeviceId,
    rows: Vec<(IdentityRow, TwinRow)>,
}

impl Stored {
    pub(crate) fn read(
        view: &View<'_>,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<Option<Self>, StorageError> {
        let rows = view.device_and_modules(hub, device)?;
        let exists = rows.first().is_some_and(|(row, _)| row.module_id.is_none());
        Ok(exists.then(|| Self {
            hub: hub.clone(),
            device: device.clone(),
            rows,
        }))
    }

    pub(crate) fn device(&self) -> &DeviceId {
        &self.device
    }

    pub(crate) fn is_edge(&self) -> bool {
        self.rows.first().is_some_and(|(row, _)| row.iot_edge)
    }
}

/// Where a plan is written, and who hears of it.
pub(crate) struct Target<'a> {
    pub(crate) tx: &'a Tx<'a>,
    pub(crate) stored: &'a Stored,
    pub(crate) watchers: &'a Arc<Watchers>,
    pub(crate) now: Timestamp,
}

impl Target<'_> {
    /// Writes a plan. Removes before it adds, and tells sessions of new desired properties.
    pub(crate) fn write(&self, plan: &Plan, seeds: &[Seeds]) -> Result<(), StoreError> {
        for row in &plan.remove {
            hub_events::identity_deleted(self.tx, self.watchers, row.key())?;
            self.tx.delete_module(row.key(), row.revision)?;
            let identity = row.identity();
            self.watchers.tell(self.tx, Change::Gone { identity });
        }
        for ((row, version), identity, twin, touched) in &plan.twins {
            write_twin(
                self.tx,
                self.watchers,
                identity,
                (row, *version),
                twin,
                touched.clone(),
            )?;
        }
        for (module, seeds) in plan.create.iter().zip(seeds) {
            let desired = plan.first_desired.get(module);
            self.create(module.clone(), seeds, desired)?;
        }
        let (hub, device) = (&self.stored.hub, &self.stored.device);
        for (module, owned) in &plan.owned {
            let key = IdentityKey {
                hub,
                device_id: device,
                module_id: module.as_ref(),
            };
            let text = (!owned.is_empty()).then(|| owned.to_string());
            self.tx.write_configuration_settings(key, text.as_deref())?;
        }
        for (rollout, ring) in &plan.rings {
            self.tx.write_rollout_ring(hub, device, *rollout, *ring)?;
        }
        if let Some(targets) = &plan.targets {
            self.tx
                .replace_configuration_targets(hub, device, targets)?;
        }
        Ok(())
    }

    fn module(&self, module: ModuleId) -> Identity {
        Identity::module(self.stored.hub.clone(), self.stored.device.clone(), module)
    }

    fn create(
        &self,
        module: ModuleId,
        seeds: &Seeds,
        desired: Option<&Map<String, Value>>,
    ) -> Result<(), StoreError> {
        let identity = self.module(module);
        let key = IdentityKey::from(&identity);
        let new = NewIdentity { key, now: self.now };
        let mut row = new.row(seeds, 0);
        row.managed_by = Some(MANAGED_BY.to_owned());
        self.tx.insert_identity(&row, &new.twin())?;
        hub_events::identity_created(self.tx, self.watchers, row.key())?;
        let Some(desired) = desired else {
            return Ok(());
        };
        let Some((row, twin)) = self.tx.twin(key)? else {
            return Ok(());
        };
        let stored = (&row, twin.version);
        let mut twin = rows::twin(self.tx, &twin)?;
        let touched = twin.deploy(Some(desired), None, self.now);
        write_twin(self.tx, self.watchers, &identity, stored, &twin, touched)
    }
}
