//! The rehearse mode: every unit is run, rolled back and run again before it counts.
//!
//! Both runs must write the same rows with the same values, and every written row must be under a
//! lock that the unit named. A unit for which that is not so fails, so that tests find it before an
//! engine with several writers does.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::sqlite::tx::TxEffects;
use crate::{Lock, StoreError};

/// What one run of a unit did.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    held: RefCell<BTreeSet<String>>,
    /// Statements that wrote, with their values.
    statements: RefCell<Vec<String>>,
}

impl Trace {
    /// Notes the locks that a unit names.
    pub(crate) fn hold(&self, locks: Vec<Lock<'_>>) {
        let keys = locks.into_iter().map(key);
        self.held.borrow_mut().extend(keys);
    }

    /// Refuses a write to a row for which the unit named no lock.
    pub(crate) fn require(&self, lock: Lock<'_>, file: &Arc<Path>) -> Result<(), StoreError> {
        let held = self.held.borrow();
        let mut covering = Some(lock);
        while let Some(lock) = covering {
            if held.contains(&key(lock)) {
                return Ok(());
            }
            covering = lock.parent();
        }
        let cause = format!("a unit wrote under {lock:?} and did not name it");
        Err(StoreError::words("rehearsing a write of", file, cause))
    }

    pub(crate) fn statement(&self, text: String) {
        self.statements.borrow_mut().push(text);
    }
}

fn key(lock: Lock<'_>) -> String {
    format!("{lock:?}")
}

/// One run with what it leaves for the end.
pub(crate) struct Run {
    pub(crate) trace: Trace,
    pub(crate) effects: TxEffects,
    pub(crate) kept: bool,
    pub(crate) changed: bool,
}

/// Where two runs of a unit differ.
pub(crate) fn difference(first: &Run, second: &Run) -> Option<String> {
    if first.kept != second.kept {
        return Some("one run was refused and the other one not".to_owned());
    }
    let (before, now) = (
        first.trace.statements.borrow(),
        second.trace.statements.borrow(),
    );
    if before.len() != now.len() {
        let (before, now) = (before.len(), now.len());
        return Some(format!("one run wrote {before} times, the other one {now}"));
    }
    // The values may be secret: only the statement is named.
    let differs = before
        .iter()
        .zip(now.iter())
        .find(|(one, other)| one != other);
    if let Some((statement, _)) = differs {
        let statement: String = statement.chars().take(60).collect();
        return Some(format!("both runs wrote other values: {statement}…"));
    }
    if first.effects.entries != second.effects.entries {
        return Some("both runs entered other records into the audit".to_owned());
    }
    if first.effects.counts != second.effects.counts {
        return Some("both runs counted other devices".to_owned());
    }
    if first.effects.log_appends != second.effects.log_appends {
        return Some("both runs appended other certificates to the log".to_owned());
    }
    let effects = |run: &Run| {
        let TxEffects {
            after,
            bumps_group_generation,
            bumps_revocations,
            ..
        } = &run.effects;
        (after.len(), *bumps_group_generation, *bumps_revocations)
    };
    (effects(first) != effects(second)).then(|| "both runs had other effects".to_owned())
}

#[cfg(test)]
mod tests;
