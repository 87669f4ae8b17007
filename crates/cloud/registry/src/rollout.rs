//! Staged rollouts: which ring a device belongs to, how it is, and what is next.
//!
//! A rollout holds a deployment back, where its target condition matches, until the ring of a device
//! is open. When the gate fails, it is held back everywhere: devices are then on the deployment of
//! the next lower priority again, without anything to restore.

mod decide;
mod health;
mod plan;
#[cfg(test)]
mod tests;

use ids::{ConfigurationId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::muster_api::rollout::{
    GateDocument, RingDocument, RolloutCounts, RolloutEvent, RolloutState,
};

pub(crate) use decide::{Observation, Pace, Step, decide};
pub(crate) use health::{AgentReport, Health, health, restarts, unsettled};
pub(crate) use plan::{Rings, RolloutPlan};

use crate::StorageError;
use crate::query::ParseError;

/// Most events that a rollout remembers.
const MAX_HISTORY: usize = 200;

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredRollout {
    pub(crate) rings: Vec<RingDocument>,
    pub(crate) gate: GateDocument,
    pub(crate) max_in_change: u32,
    pub(crate) state: RolloutState,
    /// As last counted.
    pub(crate) counts: RolloutCounts,
    pub(crate) history: Vec<RolloutEvent>,
}

impl StoredRollout {
    pub(crate) fn note(&mut self, at: Timestamp, event: impl Into<String>) {
        let event = event.into();
        self.history.push(RolloutEvent { at, event });
        if self.history.len() > MAX_HISTORY {
            self.history.remove(1);
        }
    }

    /// The name of a ring, for people.
    pub(crate) fn ring_name(&self, ring: u32) -> String {
        let document = self.rings.get(ring as usize);
        match document {
            Some(RingDocument {
                name: Some(name), ..
            }) => name.clone(),
            Some(RingDocument {
                percent: Some(percent),
                ..
            }) => format!("{percent} %"),
            _ => format!("ring {}", ring + 1),
        }
    }
}

/// What an operator may do to an active rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutCommand {
    Pause,
    Resume,
    Abort,
}

/// Why a rollout was not begun, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error("'{path}': {problem}")]
    Invalid { path: String, problem: String },
    #[error("the condition at '{path}' cannot be read")]
    Condition {
        path: String,
        #[source]
        cause: ParseError,
    },
    #[error("configuration {0} does not exist")]
    NoConfiguration(ConfigurationId),
    #[error("configuration {0} has no rollout")]
    NotFound(ConfigurationId),
    /// The deployment, or another rollout, is not in the state for it.
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RolloutError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
