use ids::{HubName, Timestamp};
use store::{ConfigurationRow, ContentKind, PassScope, RolloutHold, RolloutRow, View, unit};
use wire::muster_api::rollout::{
    OpenRing, RolloutCounts, RolloutDocument, RolloutRequest, RolloutState,
};

use super::{REMEMBERED, document, lock, text};
use crate::change::Change;
use crate::deployment::parse_condition;
use crate::query::Limits;
use crate::registry::Registry;
use crate::registry::act::Act;
use crate::rollout::{RolloutError, RolloutPlan, StoredRollout};

impl Registry {
    /// Begins a rollout: from the same moment on, the deployment targets what the request says, and
    /// is held back everywhere but in open rings.
    pub async fn start_rollout(
        &self,
        hub: &HubName,
        request: RolloutRequest,
        now: Timestamp,
    ) -> Result<RolloutDocument, RolloutError> {
        let plan = RolloutPlan::new(request.rings, request.gate, request.max_in_change)?;
        let id = request.configuration_id;
        let target = format!("{hub}/{id}");
        let condition = request.target_condition;
        let watchers = self.inner.watchers.clone();
        let start = unit(
            hub.clone(),
            |hub| vec![lock(hub)],
            move |hub, view| {
                let found = view.configuration(hub, &id)?;
                let found = found.ok_or_else(|| RolloutError::NoConfiguration(id.clone()))?;
                require_fresh(view, hub, &found)?;
                let changed = retargeted(&found, condition.as_deref(), now)?;
                Ok((begun(&plan, &found, now), changed))
            },
            move |hub, tx, (row, changed): (RolloutRow, Option<ConfigurationRow>)| {
                let name = hub;
                if let Some(changed) = changed {
                    tx.update_configuration(name, &changed)?;
                }
                tx.release_rollouts(name, row.configuration)?;
                tx.insert_rollout(name, &row)?;
                tx.trim_rollouts(name, REMEMBERED)?;
                tx.begin_full_pass(name, PassScope::EdgeDevices)?;
                watchers.tell(tx, Change::Targeting { hub: hub.clone() });
                document(tx, row)
            },
        );
        self.act(Act::StartRollout, target, start).await
    }
}

/// A deployment that applies nowhere, above another one that devices can go back to.
fn require_fresh(
    view: &View<'_>,
    hub: &HubName,
    configuration: &ConfigurationRow,
) -> Result<(), RolloutError> {
    let id = &configuration.configuration_id;
    if !matches!(
        configuration.kind,
        ContentKind::Deployment | ContentKind::LayeredDeployment
    ) {
        let text = format!("{id} is no deployment; settings of devices have no rollouts");
        return Err(RolloutError::Conflict(text));
    }
    let holding = view.holding_rollouts(hub)?;
    // One that cannot be read ends when another one begins.
    let mut rollouts = holding
        .iter()
        .filter_map(|one| one.listed.row.as_ref().ok());
    let is_active = |row: &RolloutRow| {
        row.configuration == configuration.id && row.hold == RolloutHold::NotAdmitted
    };
    if rollouts.any(is_active) {
        let text = format!("{id} has an active rollout; abort it first");
        return Err(RolloutError::Conflict(text));
    }
    let counts = view.metric_counts(hub, id)?;
    if counts.applied > 0 {
        let text = format!(
            "{id} is applied to {} devices already; a rollout begins with a deployment that is \
             applied nowhere: create it with an empty target condition, and give the condition \
             to the rollout",
            counts.applied
        );
        return Err(RolloutError::Conflict(text));
    }
    let all = view.configurations(hub)?;
    let before = |other: &&ConfigurationRow| {
        other.id != configuration.id
            && other.kind == ContentKind::Deployment
            && (other.priority, other.created) < (configuration.priority, configuration.created)
    };
    let mut readable = all.iter().filter_map(|listed| listed.row.as_ref().ok());
    match readable.find(before) {
        Some(_) => Ok(()),
        None => Err(RolloutError::Conflict(format!(
            "no deployment has a lower priority than {id}: devices could not go back"
        ))),
    }
}

/// The deployment with its new target condition, when that is another one.
fn retargeted(
    found: &ConfigurationRow,
    condition: Option<&str>,
    now: Timestamp,
) -> Result<Option<ConfigurationRow>, RolloutError> {
    let Some(condition) = condition.filter(|condition| *condition != found.target_condition) else {
        return Ok(None);
    };
    let path = "targetCondition".to_owned();
    let read = parse_condition(found.kind, condition, Limits::Usual);
    let read = read.map_err(|cause| RolloutError::Condition { path, cause })?;
    let mut row = found.clone();
    row.revision += 1;
    row.updated = now.ticks();
    row.reads_reported = read.reads_reported();
    condition.clone_into(&mut row.target_condition);
    Ok(Some(row))
}

fn begun(plan: &RolloutPlan, configuration: &ConfigurationRow, now: Timestamp) -> RolloutRow {
    let mut rollout = StoredRollout {
        rings: plan.documents.clone(),
        gate: plan.gate,
        max_in_change: plan.max_in_change,
        state: RolloutState::Running(OpenRing {
            ring: 0,
            soaking_since: None,
            first_good: None,
        }),
        counts: RolloutCounts::default(),
        history: Vec::new(),
    };
    let name = rollout.ring_name(0);
    rollout.note(now, format!("started; ring {name} is open"));
    RolloutRow {
        id: 0,
        configuration: configuration.id,
        configuration_id: configuration.configuration_id.clone(),
        revision: 1,
        hold: RolloutHold::NotAdmitted,
        document: text(&rollout),
        created: now.ticks(),
        updated: now.ticks(),
    }
}
