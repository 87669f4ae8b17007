//! What the configurations of a hub together give one device and its modules.

use std::collections::BTreeMap;

use ids::ModuleId;
use serde_json::{Map, Value};
use store::{IdentityRow, RolloutDeviceRow, StoreError, TargetRow, TwinRow, View};

use super::{Modules, Stored};
use crate::condition::Facts;
use crate::error::StorageError;
use crate::registry::compiled::{Compiled, CompiledRollout, Effect};
use crate::resolve::{self, Candidate};
use crate::rows;
use crate::settings::{Settings, SettingsCandidate, SettingsContent, resolve_settings};
use crate::twin::{ConfigurationStatus, Statuses};

/// What the configurations of a hub give a device.
pub(crate) struct Given {
    /// Desired properties of modules, from deployments. `None` without a base: they stay.
    pub(crate) modules: Option<Modules>,
    pub(crate) automatic: Automatic,
}

/// What is kept up to date, beside the content of deployments.
#[derive(Default)]
pub(crate) struct Automatic {
    deployments: Statuses,
    /// By module, `None` for the device.
    settings: BTreeMap<Option<ModuleId>, Settings>,
    /// The rings that the device waits in, where that changes; `None` where it does no longer.
    pub(super) rings: Vec<(i64, Option<u32>)>,
}

impl Automatic {
    pub(super) fn settings(&self, module_id: &Option<ModuleId>) -> Option<&Settings> {
        self.settings.get(module_id)
    }

    /// What the twin's `configurations` says. Deployments stand in the twins of the device and of
    /// its agent.
    pub(super) fn statuses(&self, module_id: &Option<ModuleId>) -> Statuses {
        let shows_deployments = module_id
            .as_ref()
            .is_none_or(|module| module.as_str() == "$edgeAgent");
        let mut statuses = match shows_deployments {
            true => self.deployments.clone(),
            false => Statuses::new(),
        };
        let settings = self.settings(module_id).map(|settings| &settings.statuses);
        statuses.extend(
            settings
                .into_iter()
                .flatten()
                .map(|(id, s)| (id.clone(), *s)),
        );
        statuses
    }

    /// The configurations that concern the device and its modules, by module and id.
    pub(super) fn targets(&self) -> Vec<TargetRow> {
        let of_settings = self.settings.iter().flat_map(|(module_id, settings)| {
            let statuses = settings.statuses.iter();
            statuses.map(move |(id, status)| (module_id.as_ref(), id, *status))
        });
        let of_deployments = self
            .deployments
            .iter()
            .map(|(id, status)| (None, id, *status));
        let all = of_deployments.chain(of_settings);
        let mut targets: Vec<_> = all
            .map(|(module_id, id, status)| TargetRow {
                module_id: module_id.cloned(),
                configuration_id: id.clone(),
                applied: status == ConfigurationStatus::Applied,
            })
            .collect();
        targets.sort();
        targets
    }
}

/// The documents that conditions look at.
struct Documents {
    tags: Map<String, Value>,
    reported: Map<String, Value>,
}

impl Documents {
    fn read(view: &View<'_>, twin: &TwinRow) -> Result<Self, StorageError> {
        rows::require_read(view, twin)?;
        Ok(Self {
            tags: rows::document(view, "tags", twin.tags.as_deref())?,
            reported: rows::document(view, "reported", twin.reported.as_deref())?,
        })
    }

    fn facts<'a>(&'a self, row: &'a IdentityRow) -> Facts<'a> {
        Facts {
            device_id: row.device_id.as_str(),
            module_id: row.module_id.as_ref().map(ModuleId::as_str),
            tags: &self.tags,
            reported: &self.reported,
        }
    }
}

/// What the configurations of a hub give a device.
pub(crate) fn resolve(
    view: &View<'_>,
    stored: &Stored,
    configurations: &[Compiled],
) -> Result<Given, StorageError> {
    let mut automatic = Automatic::default();
    let mut modules = None;
    for (row, twin) in &stored.rows {
        let of_device = row.module_id.is_none();
        let concerns = |compiled: &&Compiled| match compiled.effect {
            Effect::Deploy(_) => of_device && row.iot_edge,
            Effect::SetOnDevice(_) => of_device,
            Effect::SetOnModule(_) => !of_device,
            Effect::Nothing => false,
        };
        let possible: Vec<_> = configurations.iter().filter(concerns).collect();
        if possible.is_empty() {
            continue;
        }
        let documents = Documents::read(view, twin)?;
        let facts = documents.facts(row);
        let matching = possible.into_iter();
        let matching: Vec<_> = matching
            .filter(|compiled| compiled.condition.matches(facts))
            .collect();
        if of_device {
            let mut gates = Gates::read(view, stored, configurations)?;
            let held = |compiled: &Compiled| gates.hold(compiled, facts);
            let resolution = resolve::resolve(&deployments(&matching, held));
            automatic.rings = gates.changes();
            automatic.deployments = resolution.statuses;
            modules = resolution.modules;
        }
        let settings = resolve_settings(&settings(&matching));
        if !settings.statuses.is_empty() {
            automatic.settings.insert(row.module_id.clone(), settings);
        }
    }
    Ok(Given { modules, automatic })
}

/// What the rollouts of a hub say of one device.
struct Gates {
    before: Vec<RolloutDeviceRow>,
    /// The rollouts whose deployment matches the device, with its ring.
    matching: Vec<(i64, u32)>,
}

impl Gates {
    fn read(
        view: &View<'_>,
        stored: &Stored,
        configurations: &[Compiled],
    ) -> Result<Self, StoreError> {
        let before = match configurations.iter().any(|one| one.rollout.is_some()) {
            true => view.device_rollouts(&stored.hub, stored.device.as_str())?,
            false => Vec::new(),
        };
        Ok(Self {
            before,
            matching: Vec::new(),
        })
    }

    /// Whether a deployment that matches the device is held back from it.
    fn hold(&mut self, compiled: &Compiled, facts: Facts<'_>) -> bool {
        let Some(CompiledRollout { id, rings }) = &compiled.rollout else {
            return false;
        };
        let Some(rings) = rings else {
            return true;
        };
        let ring = rings.ring_of(compiled.record.id.as_str(), facts);
        self.matching.push((*id, ring));
        let known = self.before.iter().find(|row| row.rollout == *id);
        known.is_none_or(|row| row.admitted.is_none())
    }

    /// What of the device's rings changes. A device that is admitted keeps its ring.
    fn changes(self) -> Vec<(i64, Option<u32>)> {
        let known = |id: i64| self.before.iter().find(|row| row.rollout == id);
        let moved = self.matching.iter().filter(|(id, ring)| {
            known(*id).is_none_or(|row| row.admitted.is_none() && row.ring != *ring)
        });
        let matches =
            |row: &&RolloutDeviceRow| self.matching.iter().any(|(id, _)| *id == row.rollout);
        let gone = self.before.iter().filter(|row| !matches(row));
        let moved = moved.map(|(id, ring)| (*id, Some(*ring)));
        moved.chain(gone.map(|row| (row.rollout, None))).collect()
    }
}

fn deployments<'a>(
    matching: &[&'a Compiled],
    mut held: impl FnMut(&Compiled) -> bool,
) -> Vec<Candidate<'a>> {
    let candidate = |compiled: &&'a Compiled| match &compiled.effect {
        Effect::Deploy(content) => Some(Candidate {
            id: &compiled.record.id,
            priority: compiled.record.priority,
            created: compiled.record.created,
            content,
            held: held(compiled),
        }),
        _ => None,
    };
    matching.iter().filter_map(candidate).collect()
}

fn settings<'a>(matching: &[&'a Compiled]) -> Vec<SettingsCandidate<'a>> {
    let content = |compiled: &&'a Compiled| -> Option<&'a SettingsContent> {
        match &compiled.effect {
            Effect::SetOnDevice(content) | Effect::SetOnModule(content) => Some(content),
            Effect::Deploy(_) | Effect::Nothing => None,
        }
    };
    let candidate = |compiled: &&'a Compiled| {
        Some(SettingsCandidate {
            id: &compiled.record.id,
            priority: compiled.record.priority,
            created: compiled.record.created,
            content: content(compiled)?,
        })
    };
    matching.iter().filter_map(candidate).collect()
}
