//! Decides what it takes to bring one device up to date.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ids::{Identity, ModuleId, Timestamp};
use serde_json::{Map, Value};
use store::{IdentityRow, SettingsRow, StoreError, TwinRow, View};

use super::given::Automatic;
use super::{ApplyError, MANAGED_BY, Modules, Plan, Stored};
use crate::resolve;
use crate::rows;
use crate::settings::{Owned, Settings};
use crate::twin::require_desired;

/// What would change. `automatic` is `None` for content that is applied once.
pub(crate) fn plan(
    view: &View<'_>,
    stored: &Stored,
    modules: Option<Modules>,
    automatic: Option<&Automatic>,
    now: Timestamp,
) -> Result<Plan, ApplyError> {
    let mut plan = Plan::default();
    let named: Option<BTreeSet<String>> = modules
        .as_ref()
        .map(|modules| resolve::module_names(modules).collect());
    let mut modules = modules.unwrap_or_default();
    let mut owned = match automatic {
        Some(_) => read_owned(view, stored)?,
        None => BTreeMap::new(),
    };
    for both in &stored.rows {
        let (row, _) = both;
        if is_no_longer_named(row, named.as_ref()) {
            plan.remove.push(row.clone());
            continue;
        }
        let identity = row.identity();
        let wanted = Wanted {
            deployed: identity
                .module
                .as_ref()
                .and_then(|module| modules.remove(module)),
            automatic,
            owned: owned.remove(&row.module_id).unwrap_or_default(),
        };
        wanted.enter(&mut plan, view, both, identity, now)?;
    }
    plan.create = missing_modules(view, stored, named)?;
    for (module, desired) in &modules {
        require_fit(Some(module), desired)?;
    }
    plan.first_desired = modules;
    if let Some(automatic) = automatic {
        plan.rings.clone_from(&automatic.rings);
        let targets = automatic.targets();
        let before = view.configuration_targets(&stored.hub, &stored.device)?;
        plan.targets = (targets != before).then_some(targets);
    }
    Ok(plan)
}

fn read_owned(
    view: &View<'_>,
    stored: &Stored,
) -> Result<BTreeMap<Option<ModuleId>, Owned>, StoreError> {
    let found = view.configuration_settings(&stored.hub, &stored.device)?;
    let read = |row: SettingsRow| {
        let owned = serde_json::from_str(&row.document);
        Ok((
            row.module_id,
            view.decoded("configuration settings", owned)?,
        ))
    };
    found.into_iter().map(read).collect()
}

/// A module of an earlier deployment that this content does not name.
fn is_no_longer_named(row: &IdentityRow, named: Option<&BTreeSet<String>>) -> bool {
    let Some(module) = &row.module_id else {
        return false;
    };
    let ours = row
        .managed_by
        .as_deref()
        .is_some_and(|by| by.eq_ignore_ascii_case(MANAGED_BY));
    ours && !module.is_system() && named.is_some_and(|named| !named.contains(module.as_str()))
}

/// What one twin is to get.
struct Wanted<'a> {
    /// All its desired properties, when a deployment names the module.
    deployed: Option<Map<String, Value>>,
    automatic: Option<&'a Automatic>,
    /// What earlier configurations set.
    owned: Owned,
}

impl Wanted<'_> {
    /// Adds to a plan what changes of the twin: its desired properties and statuses in one write.
    fn enter(
        self,
        plan: &mut Plan,
        view: &View<'_>,
        (row, twin_row): &(IdentityRow, TwinRow),
        identity: Identity,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        let module_id = &row.module_id;
        let none = Settings::default();
        let settings = self.automatic.and_then(|all| all.settings(module_id));
        let settings = settings.unwrap_or(&none);
        let statuses = self.automatic.map(|all| all.statuses(module_id));
        let no_statuses =
            statuses.as_ref().is_none_or(|new| new.is_empty()) && twin_row.configurations.is_none();
        let sets = !settings.is_empty() || !self.owned.is_empty();
        if self.deployed.is_none() && !sets && no_statuses {
            return Ok(());
        }
        let mut twin = rows::twin(view, twin_row)?;
        let (desired, owned) = match (&self.deployed, sets) {
            (None, false) => (None, Owned::default()),
            (Some(deployed), false) => (Some(Cow::Borrowed(deployed)), Owned::default()),
            // A deployment's content has nothing of what configurations set before.
            (Some(deployed), true) => {
                let (desired, owned) = settings.lay(deployed, &Owned::default());
                (Some(Cow::Owned(desired)), owned)
            }
            (None, true) => {
                let (desired, owned) = settings.lay(&twin.desired.document, &self.owned);
                (Some(Cow::Owned(desired)), owned)
            }
        };
        let touched = twin.deploy(desired.as_deref(), statuses.as_ref(), now);
        if touched.desired.is_some() {
            require_fit(identity.module.as_ref(), &twin.desired.document)?;
        }
        if self.automatic.is_some() && owned != self.owned {
            plan.owned.push((row.module_id.clone(), owned));
        }
        if touched.anything() {
            let row_and_version = (row.clone(), twin_row.version);
            plan.twins.push((row_and_version, identity, twin, touched));
        }
        Ok(())
    }
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
        .filter_map(|(row, _)| Some(row.module_id.as_ref()?.as_str()))
        .collect();
    let named = named.into_iter().flatten();
    let missing = named.filter(|name| !existing.contains(name.as_str()));
    missing
        .map(|name| view.decoded("module id", name.try_into()))
        .collect()
}

fn require_fit(module: Option<&ModuleId>, desired: &Map<String, Value>) -> Result<(), ApplyError> {
    require_desired(desired).map_err(|cause| ApplyError::TooMuch {
        module: module.cloned(),
        cause: Box::new(cause),
    })
}
