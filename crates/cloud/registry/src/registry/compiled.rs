//! Configurations as they are stored, and read once for many devices.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ids::{HubName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ConfigurationRow, ConfigurationVersion, ContentKind, RolloutHold, StoreError, View};

use super::rollouts;
use crate::condition::Condition;
use crate::deployment::{ConfigurationError, ConfigurationRecord, parse_condition};
use crate::etag;
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
    /// Who belongs to which ring; `None` when the rollout went back and nobody is admitted.
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

/// The configurations of each hub as last read. Each use asks the database whether their versions
/// are still the same.
#[derive(Clone, Default)]
pub(crate) struct ConfigurationCache(Arc<Mutex<HashMap<HubName, Remembered>>>);

struct Remembered {
    versions: Vec<ConfigurationVersion>,
    configurations: Arc<Vec<Compiled>>,
}

impl ConfigurationCache {
    /// The configurations as `view` sees them; remembered for the next time.
    pub(crate) fn current(
        &self,
        view: &View<'_>,
        hub: &HubName,
    ) -> Result<Arc<Vec<Compiled>>, StoreError> {
        let versions = view.configuration_versions(hub)?;
        if let Some(known) = self.known(hub, &versions) {
            return Ok(known);
        }
        let configurations = read_all(view, hub)?;
        let remembered = Remembered {
            versions,
            configurations: configurations.clone(),
        };
        self.0
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
    ) -> Result<Arc<Vec<Compiled>>, StoreError> {
        let versions = view.configuration_versions(hub)?;
        self.known(hub, &versions)
            .map_or_else(|| read_all(view, hub), Ok)
    }

    fn known(
        &self,
        hub: &HubName,
        versions: &[ConfigurationVersion],
    ) -> Option<Arc<Vec<Compiled>>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(hub)
            .filter(|known| known.versions == versions)
            .map(|known| known.configurations.clone())
    }
}

fn read_all(view: &View<'_>, hub: &HubName) -> Result<Arc<Vec<Compiled>>, StoreError> {
    let mut rollouts = holding_rollouts(view, hub)?;
    let whole = |row: ConfigurationRow| {
        let rollout = rollouts.remove(&row.id);
        compile(view, record(view, row)?, rollout)
    };
    let all = view
        .configurations(hub)?
        .into_iter()
        .map(whole)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(all))
}

/// The rollouts that hold deployments back, by the row of the deployment.
fn holding_rollouts(
    view: &View<'_>,
    hub: &HubName,
) -> Result<HashMap<i64, CompiledRollout>, StoreError> {
    let mut found = HashMap::new();
    for row in view.holding_rollouts(hub)? {
        let rings = match row.hold {
            RolloutHold::NotAdmitted => {
                let documents = rollouts::stored(view, &row)?.rings;
                Some(view.decoded("rings", Rings::new(&documents))?)
            }
            RolloutHold::Nothing | RolloutHold::All => None,
        };
        let id = row.id;
        found.insert(row.configuration, CompiledRollout { id, rings });
    }
    Ok(found)
}

fn compile(
    view: &View<'_>,
    record: ConfigurationRecord,
    rollout: Option<CompiledRollout>,
) -> Result<Compiled, StoreError> {
    let read = read_effect(&record);
    let (condition, effect) = match record.kind {
        ContentKind::Deployment | ContentKind::LayeredDeployment => {
            view.decoded("configuration", read)?
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
        record: Arc::new(record),
        condition,
        effect,
        rollout,
    })
}

fn read_effect(record: &ConfigurationRecord) -> Result<(Condition, Effect), ConfigurationError> {
    let condition = parse_condition(record.kind, &record.target_condition)?;
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
        .map_err(|error| view.damaged("configuration", error))?;
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
