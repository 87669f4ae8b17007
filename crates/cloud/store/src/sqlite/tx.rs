use std::cell::{Cell, RefCell, RefMut};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use ids::HubName;
use rusqlite::{Connection, Params};

use crate::audit::Entry;
use crate::sqlite::certificate_log::LogAppends;
use crate::sqlite::identity_counts::{CountChanges, Counted};
use crate::sqlite::rehearsal::Trace;
use crate::{Lock, StoreError, View};

/// A callback that runs after the commit, on the writer's thread.
pub(crate) type AfterCommit = Box<dyn FnOnce() + Send>;

/// Reads and writes rows in the transaction of one run of a unit.
pub struct Tx<'c> {
    view: View<'c>,
    wrote: Cell<bool>,
    effects: RefCell<TxEffects>,
    /// What the units before this one leave for the end of the transaction.
    before: Option<&'c TxEffects>,
    trace: Option<Trace>,
}

/// What a run leaves for the end of its transaction. Dropped when the run does not count.
#[derive(Default)]
pub(crate) struct TxEffects {
    pub(crate) after: Vec<AfterCommit>,
    /// Records for the audit.
    pub(crate) entries: Vec<Entry>,
    /// Whether another enrollment group may match a device than before.
    pub(crate) bumps_group_generation: bool,
    /// Whether a certificate was revoked, held or restored.
    pub(crate) bumps_revocations: bool,
    pub(crate) counts: CountChanges,
    pub(crate) log_appends: LogAppends,
}

impl TxEffects {
    pub(crate) fn add(&mut self, more: Self) {
        self.after.extend(more.after);
        self.entries.extend(more.entries);
        self.bumps_group_generation |= more.bumps_group_generation;
        self.bumps_revocations |= more.bumps_revocations;
        self.counts.extend(more.counts);
        self.log_appends.extend(more.log_appends);
    }
}

impl<'c> Deref for Tx<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c Connection, file: &'c Arc<Path>, batch: u64) -> Self {
        Self {
            view: View {
                connection,
                file,
                batch,
            },
            wrote: Cell::new(false),
            effects: RefCell::default(),
            before: None,
            trace: None,
        }
    }

    /// The same, after units that left `before` for the end of the transaction.
    pub(crate) fn after(self, before: &'c TxEffects) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    /// The same, and keeps a trace of what the run writes.
    pub(crate) fn traced(self) -> Self {
        Self {
            trace: Some(Trace::default()),
            ..self
        }
    }

    /// Calls `tell` once the transaction is durable, in the order of commits. It must not wait.
    pub fn after_commit(&self, tell: impl FnOnce() + Send + 'static) {
        self.effects.borrow_mut().after.push(Box::new(tell));
    }

    /// Says that another enrollment group may match a device than before.
    pub(crate) fn bump_group_generation(&self) {
        self.effects.borrow_mut().bumps_group_generation = true;
    }

    /// Says that a certificate was revoked, held or restored.
    pub(crate) fn bump_revocations(&self) {
        self.effects.borrow_mut().bumps_revocations = true;
    }

    /// Notes devices and modules that a hub has more or fewer.
    pub(crate) fn count(&self, hub: &HubName, counted: Counted) {
        if counted != Counted::default() {
            self.effects.borrow_mut().counts.add(hub, counted);
        }
    }

    pub(super) fn effects(&self) -> RefMut<'_, TxEffects> {
        self.effects.borrow_mut()
    }

    /// What the units before this one append to logs.
    pub(super) fn log_appends_before(&self) -> Option<&LogAppends> {
        self.before.map(|before| &before.log_appends)
    }

    pub(crate) fn enter(&self, entry: Entry) {
        self.effects.borrow_mut().entries.push(entry);
    }

    /// The trace of a rehearsed run.
    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    pub(crate) fn has_written(&self) -> bool {
        self.wrote.get()
    }

    pub(crate) fn into_parts(self) -> (TxEffects, Option<Trace>) {
        (self.effects.into_inner(), self.trace)
    }

    /// Runs a statement that writes rows under `lock`; returns how many rows it changed.
    pub(crate) fn write(
        &self,
        lock: Lock<'_>,
        sql: &'static str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        self.require(lock)?;
        self.run(sql, params)
    }

    /// Refuses to write what the unit did not name, when it is rehearsed.
    pub(super) fn require(&self, lock: Lock<'_>) -> Result<(), StoreError> {
        match &self.trace {
            Some(trace) => trace.require(lock, self.file),
            None => Ok(()),
        }
    }

    /// Like [`write`](Self::write), for a row that was read at a version: when it has another one
    /// by now, or is gone, the unit runs again.
    pub(crate) fn write_version(
        &self,
        lock: Lock<'_>,
        sql: &'static str,
        params: impl Params,
    ) -> Result<(), StoreError> {
        match self.write(lock, sql, params)? {
            0 => Err(StoreError::changed(self.file)),
            _ => Ok(()),
        }
    }

    /// The number of the row that was inserted last.
    pub(crate) fn last_row(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Runs a statement on a table that the writer fills at the end of a commit, from what units
    /// left for it: the audit, counts, logs of certificates.
    pub(crate) fn write_at_end(
        &self,
        sql: &'static str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        self.run(sql, params)
    }

    /// Runs a statement; returns how many rows it changed.
    fn run(&self, sql: &'static str, params: impl Params) -> Result<usize, StoreError> {
        self.wrote.set(true);
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let changed = statement.execute(params)?;
            if let Some(trace) = &self.trace {
                trace.statement(statement.expanded_sql().unwrap_or_default());
            }
            Ok(changed)
        };
        run().map_err(|error| StoreError::sql("writing", self.file, error))
    }
}
