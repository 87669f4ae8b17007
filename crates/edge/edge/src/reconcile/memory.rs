//! The part of the agent's memory that survives a restart of the daemon, so that a crash loop does
//! not start from zero then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ids::{ModuleId, error_chain};

use super::Agent;
use crate::desired::modules::DesiredModules;
use crate::files::durable;
use crate::plan::restart_policy::Restarts;
use crate::plan::{CreationWarnings, Memory, Plan, REMOVAL};

/// The fields of [`Memory`] that are in the file.
pub(super) type SavedMemory = (
    BTreeMap<ModuleId, Restarts>,
    BTreeSet<ModuleId>,
    BTreeMap<ModuleId, CreationWarnings>,
);

pub(super) fn load(path: &Path) -> Memory {
    let kept = durable::read_json(path).unwrap_or_else(|error| {
        tracing::warn!(error = %error_chain(&error), "earlier restarts are forgotten");
        None
    });
    kept.unwrap_or_default()
}

impl<R> Agent<R> {
    /// Takes over what a plan leaves behind, drops modules that are gone, and saves the changes.
    pub(super) fn remember(&mut self, desired: &DesiredModules, planned: Plan) {
        let memory = &mut self.memory;
        memory
            .failures
            .retain(|module, failure| failure.attempt == REMOVAL || desired.contains_key(module));
        memory.restarts = planned.restarts;
        memory.stopped = planned.stopped;
        memory
            .warnings
            .retain(|module, kept| !kept.texts.is_empty() && desired.contains_key(module));
        memory
            .exits
            .retain(|module, _| desired.contains_key(module));
        let saved = Some((
            memory.restarts.clone(),
            memory.stopped.clone(),
            memory.warnings.clone(),
        ));
        if self.saved == saved {
            return;
        }
        match durable::write_json(&self.memory_file, &self.memory) {
            Ok(()) => self.saved = saved,
            Err(error) => {
                tracing::error!(
                    error = %error_chain(&error),
                    "restarts cannot be counted beyond this run"
                );
            }
        }
    }
}
