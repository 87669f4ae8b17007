//! Configurations as they are stored, and read once for many devices.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ids::{ConfigurationId, DeviceId, HubName, Timestamp, error_chain};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    ConfigurationRow, ConfigurationVersion, ContentKind, ListedRow, RolloutHold, RolloutRow,
    StoreError, View,
};

use super::rollouts;
use crate::condition::Condition;
use crate::deployment::{ConfigurationError, ConfigurationRecord, parse_condition};
use crate::etag;
use crate::query::Limits;
use crate::resolve::Content;
use crate::rollout::Rings;
use crate::settings::SettingsContent;

/// A configuration with what was read out of it once.
pub(crate) struct Compiled {
    pub(crate) record: Arc<ConfigurationRecord>,
    pub(crate) condition: Condition,
    pub(crate) effect: Effect,
    /// What holds it back.
    pub(crate) rollout: Option<CompiledRollout>,
}

/// A rollout that holds a deployment back.
pub(crate) struct CompiledRollout {
    pub(crate) id: i64,
    /// Who belongs to which ring; `None` when the rollout went back or cannot be read: nobody is
    /// admitted.
    pub(crate) rings: Option<Rings>,
}

/// What a configuration does to what meets its condition.
pub(crate) enum Effect {
    Deploy(Content),
    SetOnDevice(SettingsContent),
    SetOnModule(SettingsContent),
    /// Nothing: it was stored by a version that did not check device and module configurations, and
    /// cannot be read.
    Nothing,
}

/// The configurations of a hub.
#[derive(Default)]
pub(crate) struct Configurations {
    pub(crate) readable: Vec<Compiled>,
    /// By id, also of those whose condition or content cannot be read.
    pub(crate) records: Vec<Arc<ConfigurationRecord>>,
    /// What these give is not known: devices that have one of them keep what they have.
    unreadable: BTreeSet<String>,
    /// Whether one of them is known by no id: devices keep all that no other configuration gives.
    unnamed: bool,
}

impl Configurations {
    pub(crate) fn is_unreadable(&self, id: &ConfigurationId) -> bool {
        let known = |compiled: &Compiled| compiled.record.id == *id;
        self.unreadable.contains(id.as_str()) || (self.unnamed && !self.readable.iter().any(known))
    }

    /// Whether a device or one of its modules has a configuration that cannot be read.
    pub(crate) fn is_fixed(
        &self,
        view: &View<'_>,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<bool, StoreError> {
        if self.unreadable.is_empty() {
            return Ok(false);
        }
        let targets = view.configuration_targets(hub, device)?;
        let mut targets = targets.iter();
        Ok(targets.any(|target| self.is_unreadable(&target.configuration_id)))
    }
}

/// The configurations of each hub as last read. Each use asks the database whether their versions
/// are still the same.
#[derive(Clone, Default)]
pub(crate) struct ConfigurationCache {
    remembered: Arc<Mutex<HashMap<HubName, Remembered>>>,
    /// Row ids of configurations, and negative ones of rollouts, whose damage was logged.
    damaged: Arc<Mutex<HashSet<(HubName, i64)>>>,
}

struct Remembered {
    versions: Vec<ConfigurationVersion>,
    configurations: Arc<Configurations>,
}

impl ConfigurationCache {
    /// The configurations as `view` sees them; remembered for the next time.
    pub(crate) fn current(
        &self,
        view: &View<'_>,
        hub: &HubName,
    ) -> Result<Arc<Configurations>, StoreError> {
        let versions = view.configuration_versions(hub)?;
        if let Some(known) = self.known(hub, &versions) {
            return Ok(known);
        }
        let configurations = self.read_all(view, hub)?;
        let remembered = Remembered {
            versions,
            configurations: configurations.clone(),
        };
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hub.clone(), remembered);
        Ok(configurations)
    }

    /// The configurations inside a transaction. Not remembered: a neighbour's write that is seen
    /// here may yet be undone.
    pub(crate) fn in_transaction(
        &self,
        view: &View<'_>,
        hub: &HubName,
    ) -> Result<Arc<Configurations>, StoreError> {
        let versions = view.configuration_versions(hub)?;
        self.known(hub, &versions)
            .map_or_else(|| self.read_all(view, hub), Ok)
    }

    fn known(
        &self,
        hub: &HubName,
        versions: &[ConfigurationVersion],
    ) -> Option<Arc<Configurations>> {
        let all = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.get(hub)
            .filter(|known| known.versions == versions)
            .map(|known| known.configurations.clone())
    }

    /// Logs, once, that a configuration cannot be read.
    fn log_damaged(&self, hub: &HubName, (row, id): (i64, &str), error: &StoreError) {
        if self.is_new_damage(hub, row) {
            tracing::error!(
                hub.name = %hub,
                configuration.id = %id,
                error = error as &dyn std::error::Error,
                "a configuration cannot be read: devices that have it keep what they have"
            );
        }
    }

    /// Logs, once, that a rollout cannot be read.
    pub(crate) fn log_damaged_rollout(
        &self,
        hub: &HubName,
        (row, id): (i64, &str),
        error: &(dyn std::error::Error + 'static),
    ) {
        if self.is_new_damage(hub, -row) {
            tracing::error!(
                hub.name = %hub,
                configuration.id = %id,
                rollout.id = row,
                error,
                "a rollout cannot be read: abort it, or start another one of its deployment"
            );
        }
    }

    fn is_new_damage(&self, hub: &HubName, row: i64) -> bool {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.insert((hub.clone(), row))
    }

    fn read_all(&self, view: &View<'_>, hub: &HubName) -> Result<Arc<Configurations>, StoreError> {
        let listed = view.configurations(hub)?;
        let mut rollouts = self.holding_rollouts(view, hub, &listed)?;
        let mut all = Configurations::default();
        for ListedRow { id, key, row } in listed {
            let rollout = rollouts.remove(&id);
            let compiled = row
                .and_then(|row| record(view, row))
                .map(Arc::new)
                .inspect(|record| all.records.push(record.clone()))
                .and_then(|record| compile(view, record, rollout));
            match compiled {
                Ok(compiled) => all.readable.push(compiled),
                Err(error) if error.is_damaged() => {
                    self.log_damaged(hub, (id, &key), &error);
                    all.unnamed |= ConfigurationId::parse(&key).is_err();
                    all.unreadable.insert(key);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(all))
    }

    /// The rollouts that hold deployments back, by the row of the deployment. One that cannot be
    /// read holds its deployment back everywhere.
    fn holding_rollouts(
        &self,
        view: &View<'_>,
        hub: &HubName,
        listed: &[ListedRow<ConfigurationRow>],
    ) -> Result<HashMap<i64, CompiledRollout>, StoreError> {
        let mut found = HashMap::new();
        for holding in view.holding_rollouts(hub)? {
            let ListedRow { id, key, row } = holding.listed;
            let named = |listed: &&ListedRow<_>| match holding.configuration {
                Some(configuration) => listed.id == configuration,
                None => listed.key == key,
            };
            let Some(deployment) = listed.iter().find(named) else {
                continue;
            };
            let rings = row
                .and_then(|row| held_rings(view, &row))
                .unwrap_or_else(|error| {
                    self.log_damaged_rollout(hub, (id, &key), &error);
                    None
                });
            found.insert(deployment.id, CompiledRollout { id, rings });
        }
        Ok(found)
    }
}

/// The rings of an active rollout; `None` when it went back.
fn held_rings(view: &View<'_>, row: &RolloutRow) -> Result<Option<Rings>, StoreError> {
    match row.hold {
        RolloutHold::NotAdmitted => rings(view, row).map(Some),
        RolloutHold::Nothing | RolloutHold::All => Ok(None),
    }
}

fn rings(view: &View<'_>, row: &RolloutRow) -> Result<Rings, StoreError> {
    let documents = rollouts::stored(view, row)?.rings;
    view.decoded(
        "rings",
        Rings::new(&documents, Limits::Stored).map_err(|error| error_chain(&error)),
    )
}

fn compile(
    view: &View<'_>,
    record: Arc<ConfigurationRecord>,
    rollout: Option<CompiledRollout>,
) -> Result<Compiled, StoreError> {
    let read = read_effect(&record);
    let (condition, effect) = match record.kind {
        ContentKind::Deployment | ContentKind::LayeredDeployment => {
            let read = read.map_err(|error| error_chain(&error));
            view.decoded(&format!("configuration {}", record.id), read)?
        }
        ContentKind::Device | ContentKind::Module => read.unwrap_or_else(|error| {
            tracing::warn!(
                configuration.id = %record.id, error = &error as &dyn std::error::Error,
                "a configuration is not applied: create it again"
            );
            (Condition::none(), Effect::Nothing)
        }),
    };
    Ok(Compiled {
        record,
        condition,
        effect,
        rollout,
    })
}

fn read_effect(record: &ConfigurationRecord) -> Result<(Condition, Effect), ConfigurationError> {
    let condition = parse_condition(record.kind, &record.target_condition, Limits::Stored)?;
    let member = |name: &str| &record.content[name];
    let effect = match record.kind {
        ContentKind::Deployment | ContentKind::LayeredDeployment => {
            Effect::Deploy(Content::read(member("modulesContent"))?)
        }
        ContentKind::Device => {
            let name = "deviceContent";
            Effect::SetOnDevice(SettingsContent::read(name, member(name))?)
        }
        ContentKind::Module => {
            let name = "moduleContent";
            Effect::SetOnModule(SettingsContent::read(name, member(name))?)
        }
    };
    Ok((condition, effect))
}

/// The parts of a configuration that nothing is looked up by.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) schema_version: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) content: Value,
    pub(crate) metric_queries: BTreeMap<String, String>,
}

pub(crate) fn record(
    view: &View<'_>,
    row: ConfigurationRow,
) -> Result<ConfigurationRecord, StoreError> {
    let document: Document = serde_json::from_str(&row.document)
        .map_err(|error| view.damaged(&format!("configuration {}", row.configuration_id), error))?;
    Ok(ConfigurationRecord {
        id: row.configuration_id,
        schema_version: document.schema_version,
        labels: document.labels,
        target_condition: row.target_condition,
        priority: row.priority,
        kind: row.kind,
        content: document.content,
        metric_queries: document.metric_queries,
        etag: etag::of_revision(row.revision),
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}
