//! Rollouts of a hub: begun, read, paused, resumed and aborted by operators.

mod observe;
mod start;
mod step;

use std::sync::Arc;

use ids::{ConfigurationId, HubName, Timestamp};
use store::{ListedRow, Lock, PassScope, RolloutHold, RolloutRow, StoreError, Tx, View, unit};
use wire::muster_api::rollout::{
    GateDocument, OpenRing, RolloutCounts, RolloutDocument, RolloutState,
};

use super::Registry;
use super::act::Act;
use super::watchers::Watchers;
use crate::change::Change;
use crate::rollout::{RolloutCommand, RolloutError, StoredRollout};

/// Rollouts that are remembered, of each hub.
const REMEMBERED: usize = 100;

impl Registry {
    /// The rollouts of a hub, the latest first, with their history. One that is damaged is logged
    /// and left out.
    pub async fn list_rollouts(&self, hub: &HubName) -> Result<Vec<RolloutDocument>, RolloutError> {
        let (hub, configurations) = (hub.clone(), self.inner.configurations.clone());
        let list = move |view: &View<'_>| {
            let rows = view.rollouts(&hub, REMEMBERED)?;
            let mut documents = Vec::with_capacity(rows.len());
            for ListedRow { id, key, row } in rows {
                match row.and_then(|row| document(view, row)) {
                    Ok(document) => documents.push(document),
                    Err(error) => configurations.log_damaged_rollout(&hub, (id, &key), &error),
                }
            }
            Ok(documents)
        };
        self.inner.store.scan(list).await
    }

    /// The latest rollout of a deployment.
    pub async fn rollout(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<RolloutDocument, RolloutError> {
        self.inner.store.read(|view| {
            let row = view.latest_rollout(hub, id)?;
            let row = row.ok_or_else(|| RolloutError::NotFound(id.clone()))?;
            Ok(document(view, row)?)
        })
    }

    /// Pauses, resumes or aborts the active rollout of a deployment.
    pub async fn command_rollout(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
        command: RolloutCommand,
        now: Timestamp,
    ) -> Result<RolloutDocument, RolloutError> {
        let target = format!("{hub}/{id}");
        let act = match command {
            RolloutCommand::Pause => Act::PauseRollout,
            RolloutCommand::Resume => Act::ResumeRollout,
            RolloutCommand::Abort => Act::AbortRollout,
        };
        let (id, watchers) = (id.clone(), self.inner.watchers.clone());
        let change = unit(
            hub.clone(),
            |hub| vec![lock(hub)],
            move |hub, view| {
                let row = view.latest_rollout(hub, &id)?;
                let row = row.ok_or_else(|| RolloutError::NotFound(id.clone()))?;
                let next = match stored(view, &row) {
                    // What is damaged can be ended.
                    Err(_) if command == RolloutCommand::Abort => unread(&row, now)?,
                    stored => commanded(stored?, command, now)?,
                };
                Ok(Next::new(row, next, now)?)
            },
            move |hub, tx, next: Next| {
                next.write(tx, hub, &watchers)?;
                document(tx, next.row)
            },
        );
        self.act(act, target, change).await
    }
}

/// An aborted rollout in place of one that cannot be read.
fn unread(row: &RolloutRow, now: Timestamp) -> Result<StoredRollout, RolloutError> {
    if row.hold != RolloutHold::NotAdmitted {
        return Err(RolloutError::Conflict("the rollout has ended".to_owned()));
    }
    let mut rollout = StoredRollout {
        rings: Vec::new(),
        gate: GateDocument::default(),
        max_in_change: 0,
        state: RolloutState::Aborted,
        counts: RolloutCounts::default(),
        history: Vec::new(),
    };
    let event =
        "aborted, and what was stored of it is lost: devices go back to the deployment before";
    rollout.note(now, event);
    Ok(rollout)
}

/// What a rollout is after a command.
fn commanded(
    mut rollout: StoredRollout,
    command: RolloutCommand,
    now: Timestamp,
) -> Result<StoredRollout, RolloutError> {
    use RolloutCommand::{Abort, Pause, Resume};
    let (state, event) = match (&rollout.state, command) {
        (RolloutState::Running(open), Pause) => (RolloutState::Paused(*open), "paused"),
        (RolloutState::Paused(open), Resume) => {
            // The time of the pause is no soak.
            let open = OpenRing {
                ring: open.ring,
                soaking_since: None,
                first_good: None,
            };
            (RolloutState::Running(open), "resumed")
        }
        (RolloutState::Running(_) | RolloutState::Paused(_), Abort) => {
            let event = "aborted: devices go back to the deployment before";
            (RolloutState::Aborted, event)
        }
        (RolloutState::Running(_), Resume) => {
            return Err(RolloutError::Conflict("the rollout is running".to_owned()));
        }
        (RolloutState::Paused(_), Pause) => {
            return Err(RolloutError::Conflict("the rollout is paused".to_owned()));
        }
        (_, _) => {
            return Err(RolloutError::Conflict("the rollout has ended".to_owned()));
        }
    };
    rollout.state = state;
    rollout.note(now, event);
    Ok(rollout)
}

/// The next state of a rollout, to be written.
struct Next {
    row: RolloutRow,
    /// Whether other devices are held back than before: all devices are looked at again.
    holds_otherwise: bool,
}

impl Next {
    fn new(
        mut row: RolloutRow,
        rollout: StoredRollout,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let hold = match &rollout.state {
            RolloutState::Running(_) | RolloutState::Paused(_) => RolloutHold::NotAdmitted,
            RolloutState::Completed => RolloutHold::Nothing,
            RolloutState::Returned { .. } | RolloutState::Aborted => RolloutHold::All,
        };
        let holds_otherwise = hold != row.hold;
        row.hold = hold;
        row.document = text(&rollout);
        row.revision += 1;
        row.updated = now.ticks();
        Ok(Self {
            row,
            holds_otherwise,
        })
    }

    fn write(
        &self,
        tx: &Tx<'_>,
        hub: &HubName,
        watchers: &Arc<Watchers>,
    ) -> Result<(), StoreError> {
        tx.update_rollout(hub, &self.row)?;
        if self.holds_otherwise {
            tx.begin_full_pass(hub, PassScope::EdgeDevices)?;
            watchers.tell(tx, Change::Targeting { hub: hub.clone() });
        }
        Ok(())
    }
}

fn lock(hub: &HubName) -> Lock<'_> {
    Lock::hub(hub)
}

fn text(rollout: &StoredRollout) -> String {
    // Texts, numbers and dates have nothing that cannot be written.
    serde_json::to_string(rollout).unwrap_or_default()
}

pub(super) fn stored(view: &View<'_>, row: &RolloutRow) -> Result<StoredRollout, StoreError> {
    view.decoded("rollout", serde_json::from_str(&row.document))
}

fn document(view: &View<'_>, row: RolloutRow) -> Result<RolloutDocument, StoreError> {
    let rollout = stored(view, &row)?;
    Ok(RolloutDocument {
        configuration_id: row.configuration_id,
        state: rollout.state,
        rings: rollout.rings,
        gate: rollout.gate,
        max_in_change: rollout.max_in_change,
        counts: rollout.counts,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
        history: rollout.history,
    })
}
