//! Decides what it takes to bring one Edge device up to date.

use std::collections::{BTreeMap, BTreeSet};

use ids::{ConfigurationId, Identity, ModuleId, Timestamp};
use serde_json::{Map, Value};
use store::{IdentityRow, StoreError, TwinRow, View};

use super::{ApplyError, ChangedTwin, MANAGED_BY, Modules, Plan, Stored};
use crate::resolve;
use crate::rows;
use crate::twin::{ConfigurationStatus, Statuses, require_desired};

/// What would change. `statuses` are `None` for content that is applied once.
pub(crate) fn plan(
    view: &View<'_>,
    stored: &Stored,
    modules: Option<Modules>,
    statuses: Option<&Statuses>,
    now: Timestamp,
) -> Result<Plan, ApplyError> {
    let mut plan = Plan::default();
    let named: Option<BTreeSet<String>> = modules
        .as_ref()
        .map(|modules| resolve::module_names(modules).collect());
    let mut modules = modules.unwrap_or_default();
    for both in &stored.rows {
        let (row, _) = both;
        let identity = stored.identity(row, view)?;
        if let Some(module) = &identity.module
            && is_no_longer_named(row, module, named.as_ref())
        {
            plan.remove.push((row.clone(), module.clone()));
            continue;
        }
        let desired = identity
            .module
            .as_ref()
            .and_then(|module| modules.remove(module));
        let changed = changed_twin(view, both, identity, desired.as_ref(), statuses, now)?;
        plan.twins.extend(changed);
    }
    plan.create = missing_modules(view, stored, named)?;
    for (module, desired) in &modules {
        require_fit(module, desired)?;
    }
    plan.first_desired = modules;
    if let Some(statuses) = statuses {
        let targets = targets(statuses);
        let before = view.configuration_targets(stored.hub.as_str(), stored.device.as_str())?;
        plan.targets = (targets != before).then_some(targets);
    }
    Ok(plan)
}

/// A module of an earlier deployment that this content does not name.
fn is_no_longer_named(
    row: &IdentityRow,
    module: &ModuleId,
    named: Option<&BTreeSet<String>>,
) -> bool {
    let ours = row
        .managed_by
        .as_deref()
        .is_some_and(|by| by.eq_ignore_ascii_case(MANAGED_BY));
    ours && !module.is_system() && named.is_some_and(|named| !named.contains(&row.module_id))
}

/// The twin with its new desired properties and statuses; `None` when nothing changes.
fn changed_twin(
    view: &View<'_>,
    (row, twin_row): &(IdentityRow, TwinRow),
    identity: Identity,
    desired: Option<&Map<String, Value>>,
    statuses: Option<&Statuses>,
    now: Timestamp,
) -> Result<Option<ChangedTwin>, ApplyError> {
    let shows_statuses = identity
        .module
        .as_ref()
        .is_none_or(|module| *module == ModuleId::edge_agent());
    let statuses = statuses.filter(|_| shows_statuses);
    if desired.is_none() && statuses.is_none() {
        return Ok(None);
    }
    let mut twin = rows::twin(view, twin_row)?;
    let touched = twin.deploy(desired, statuses, now);
    if let Some(module) = identity
        .module
        .as_ref()
        .filter(|_| touched.desired.is_some())
    {
        require_fit(module, &twin.desired.document)?;
    }
    let row_and_version = || (row.clone(), twin_row.version);
    Ok(touched
        .anything()
        .then(|| (row_and_version(), identity, twin, touched)))
}

/// The named modules that the device does not have.
fn missing_modules(
    view: &View<'_>,
    stored: &Stored,
    named: Option<BTreeSet<String>>,
) -> Result<Vec<ModuleId>, StoreError> {
    let existing: BTreeSet<_> = stored
        .rows
        .iter()
        .map(|(row, _)| row.module_id.as_str())
        .collect();
    let named = named.into_iter().flatten();
    let missing = named.filter(|name| !existing.contains(name.as_str()));
    missing
        .map(|name| view.decoded("module id", name.try_into()))
        .collect()
}

fn require_fit(module: &ModuleId, desired: &Map<String, Value>) -> Result<(), ApplyError> {
    require_desired(desired).map_err(|cause| ApplyError::TooMuch {
        module: module.clone(),
        cause: Box::new(cause),
    })
}

fn targets(statuses: &BTreeMap<ConfigurationId, ConfigurationStatus>) -> Vec<(String, bool)> {
    let applied = |status: &ConfigurationStatus| *status == ConfigurationStatus::Applied;
    statuses
        .iter()
        .map(|(id, status)| (id.to_string(), applied(status)))
        .collect()
}
