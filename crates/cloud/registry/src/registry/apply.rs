//! Brings one Edge device to what its deployments say: first what would change ([`plan`]),
//! then the change ([`Target::write`]).

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use serde_json::{Map, Value};
use store::{IdentityRow, Lock, StoreError, TwinRow, Tx, View, unit};

pub(crate) use self::plan::plan;
use super::Registry;
use super::act::Act;
use super::compiled::Compiled;
use super::new_identity::{NewIdentity, Seeds};
use super::twins::write_twin;
use super::watchers::Watchers;
use crate::change::Change;
use crate::condition::Facts;
use crate::deployment::ConfigurationError;
use crate::error::StorageError;
use crate::resolve::{self, Candidate, Content, Resolution};
use crate::rows::{self, key};
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
    /// Its deployments are each within the limits of twins, and together are not.
    #[error("its deployments together give module {module} more than a twin may hold")]
    TooMuch {
        module: ModuleId,
        #[source]
        cause: Box<TwinError>,
    },
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
                path: format!("modulesContent.{module}"),
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
    remove: Vec<(IdentityRow, ModuleId)>,
    twins: Vec<ChangedTwin>,
    /// Desired properties of modules that do not exist yet.
    first_desired: Modules,
    /// The new list of configurations that concern the device.
    targets: Option<Vec<(String, bool)>>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty()
            && self.remove.is_empty()
            && self.twins.is_empty()
            && self.targets.is_none()
    }
}

/// What a plan was made from: configurations, and the device with its modules. The same versions
/// make the same plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    configurations: Vec<(i64, i64)>,
    identities: Vec<(i64, i64, u64)>,
}

impl Versions {
    pub(crate) fn read(view: &View<'_>, hub: &HubName, device: &str) -> Result<Self, StorageError> {
        Ok(Self {
            configurations: view.configuration_versions(hub.as_str())?,
            identities: view.device_versions(hub.as_str(), device)?,
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
    /// `None` unless it is an Edge device.
    pub(crate) fn read(
        view: &View<'_>,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<Option<Self>, StorageError> {
        let rows = view.device_and_modules(hub.as_str(), device.as_str())?;
        let edge = rows
            .first()
            .is_some_and(|(row, _)| row.module_id.is_empty() && row.iot_edge);
        Ok(edge.then(|| Self {
            hub: hub.clone(),
            device: device.clone(),
            rows,
        }))
    }

    fn identity(&self, row: &IdentityRow, view: &View<'_>) -> Result<Identity, StorageError> {
        let (hub, device) = (self.hub.clone(), self.device.clone());
        Ok(match row.module_id.as_str() {
            "" => Identity::device(hub, device),
            module => Identity::module(hub, device, view.decoded("module id", module.parse())?),
        })
    }
}

/// What the deployments of a hub give a device.
pub(crate) fn resolve(
    view: &View<'_>,
    stored: &Stored,
    configurations: &[Compiled],
) -> Result<Resolution, StorageError> {
    let Some((_, twin)) = stored.rows.first() else {
        return Ok(Resolution::default());
    };
    rows::require_read(view, twin)?;
    let tags = rows::document(view, "tags", twin.tags.as_deref())?;
    let reported = rows::document(view, "reported", twin.reported.as_deref())?;
    let facts = Facts {
        device_id: stored.device.as_str(),
        module_id: None,
        tags: &tags,
        reported: &reported,
    };
    let candidates: Vec<_> = configurations
        .iter()
        .filter_map(|compiled| {
            let (condition, content) = compiled.deployment.as_ref()?;
            let record = &compiled.record;
            condition.matches(facts).then_some(Candidate {
                id: &record.id,
                priority: record.priority,
                created: record.created,
                content,
            })
        })
        .collect();
    Ok(resolve::resolve(&candidates))
}

/// What a unit must have to itself that writes a plan.
pub(crate) fn device_lock<'a>(hub: &'a HubName, device: &'a DeviceId) -> Lock<'a> {
    Lock::Device {
        hub: hub.as_str(),
        device_id: device.as_str(),
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
        for (row, module) in &plan.remove {
            self.tx.delete_module(row)?;
            let identity = self.module(module.clone());
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
        if let Some(targets) = &plan.targets {
            let (hub, device) = (self.stored.hub.as_str(), self.stored.device.as_str());
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
        let key = key(&identity);
        let (hub, device_id, module_id) = (key.hub, key.device_id, key.module_id);
        let new = NewIdentity {
            hub,
            device_id,
            module_id,
            now: self.now,
        };
        let mut row = new.row(seeds, 0);
        row.managed_by = Some(MANAGED_BY.to_owned());
        self.tx.insert_identity(&row, &new.twin())?;
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

impl Registry {
    /// `applyConfigurationContent`: writes `modulesContent` to one Edge device, once. A deployment
    /// that targets the device takes it back at the next evaluation.
    pub async fn apply_content(
        &self,
        hub: &HubName,
        device: &DeviceId,
        content: &Value,
        now: Timestamp,
    ) -> Result<(), ConfigurationError> {
        let modules = resolve::alone(&Content::parse(&content["modulesContent"])?);
        let (hub, device) = (hub.clone(), device.clone());
        let watchers = self.inner.watchers.clone();
        let seeds = self.module_seeds();
        let target = format!("{hub}/{device}");
        let apply = unit(
            (hub, device),
            |(hub, device)| vec![device_lock(hub, device)],
            move |(hub, device), view| {
                let Some(stored) = Stored::read(view, hub, device)? else {
                    let identity = Identity::device(hub.clone(), device.clone());
                    return Err(match view.identity(key(&identity))? {
                        Some(_) => ConfigurationError::NoEdgeDevice(device.clone()),
                        None => ConfigurationError::NoDevice(device.clone()),
                    });
                };
                let plan = plan(view, &stored, Some(modules.clone()), None, now)?;
                Ok((stored, plan))
            },
            move |_, tx, (stored, plan)| {
                let target = Target {
                    tx,
                    stored: &stored,
                    watchers: &watchers,
                    now,
                };
                target.write(&plan, &seeds)
            },
        );
        self.act(Act::ApplyConfiguration, target, apply).await
    }

    /// Randomness for as many modules as a deployment may make.
    pub(crate) fn module_seeds(&self) -> Vec<Seeds> {
        (0..crate::limits::MAX_MODULES)
            .map(|_| Seeds::new(&*self.inner.entropy))
            .collect()
    }
}
