//! A query on its way through its candidates.

use std::sync::Arc;

use ids::{HubName, ModuleId, Timestamp};
use serde_json::Value as Json;
use store::{IdentityKind, IdentityRow, StoreError, TagRange, TwinParts, TwinRow, View};

use super::jobs::job_rows;
use super::{Connections, FoundTwin, QueryError};
use crate::page::Continuation;
use crate::query::collect::{self, Groups};
use crate::query::cursor::{Cursor, Position};
use crate::query::needs::Needs;
use crate::query::plan::{Plan, Source};
use crate::query::twin::TwinDocument;
use crate::query::{Connection, Path, Query, Scope, Selection, Value};
use crate::registry::presences::LastSeen;
use crate::registry::unreadable::{Unreadable, Whose};
use crate::rows;

mod sources;

/// Candidates of one step.
const STEP: usize = 250;
/// Bytes of documents after which a page ends.
const MAX_BYTES: usize = 8 << 20;

/// What is made of the rows that meet the condition.
pub(super) enum Collected {
    Twins(Vec<FoundTwin>),
    Rows(Vec<Json>),
    Groups(Groups),
    Count(u64),
    Jobs(Vec<Json>),
}

pub(super) struct Walk {
    pub(super) hub: HubName,
    pub(super) kind: IdentityKind,
    pub(super) query: Arc<Query>,
    pub(super) needs: Needs,
    pub(super) chosen: usize,
    pub(super) plan: Plan,
    /// Rows of this page at most.
    pub(super) wanted: u64,
    /// Rows that `TOP` allows from this page on.
    pub(super) remaining: Option<u64>,
    /// The candidate looked at last.
    pub(super) at: Option<Position>,
    pub(super) collected: Collected,
    pub(super) found: u64,
    pub(super) examined: usize,
    /// Of the documents that were collected.
    pub(super) bytes: usize,
    /// Whether the page is full or there are no more candidates.
    pub(super) ended: bool,
    pub(super) unreadable: Unreadable,
    pub(super) connections: Arc<dyn Connections>,
}

/// Whether there may be more candidates after those of a step.
#[derive(PartialEq, Eq)]
enum Rest {
    None,
    Some,
    /// The page is full.
    NotWanted,
}

impl Walk {
    /// Whether the answer comes in pages.
    pub(super) fn pages(&self) -> bool {
        !matches!(self.collected, Collected::Groups(_) | Collected::Count(_))
    }

    /// Where the next page starts, when there may be one.
    pub(super) fn continuation(&self) -> Option<Continuation> {
        if !self.pages() {
            return None;
        }
        let remaining = self
            .remaining
            .map(|remaining| remaining.saturating_sub(self.found));
        if remaining == Some(0) {
            return None;
        }
        let cursor = Cursor {
            plan: self.chosen,
            remaining,
            at: self.at.clone()?,
        };
        Some(cursor.to_continuation(&self.query))
    }

    /// Looks at some candidates more.
    pub(super) fn step(&mut self, view: &View<'_>) -> Result<(), QueryError> {
        if self.counted_by_index(view)? {
            self.ended = true;
            return Ok(());
        }
        let source = self.plan.source.clone();
        let rest = match &source {
            Source::Devices(ranges) => self.devices(view, ranges)?,
            Source::Tags(ranges) => self.tags(view, ranges)?,
            Source::Configuration { id, applied } => self.configuration(view, id, *applied)?,
            Source::Jobs => self.jobs(view)?,
        };
        if rest == Rest::None {
            self.at = None;
        }
        self.ended = rest != Rest::Some;
        Ok(())
    }

    /// Counts without looking at rows, where an index is exact.
    fn counted_by_index(&mut self, view: &View<'_>) -> Result<bool, QueryError> {
        let counts = match &self.collected {
            Collected::Count(_) => true,
            Collected::Groups(groups) => groups.counts_only(),
            _ => false,
        };
        if !(counts && self.plan.exact) {
            return Ok(false);
        }
        let hub = (&self.hub, self.kind);
        let counted = match &self.plan.source {
            Source::Tags(ranges) => {
                let count =
                    |range: &TagRange| view.count_tag_entries(hub, range, u64::from(u32::MAX));
                ranges.iter().map(count).sum::<Result<u64, _>>()?
            }
            Source::Devices(_) if self.query.condition.is_none() => {
                let counts = view.identity_counts(hub.0)?;
                match self.kind {
                    IdentityKind::Device => counts.devices,
                    IdentityKind::Module => counts.modules,
                }
            }
            _ => return Ok(false),
        };
        match &mut self.collected {
            Collected::Groups(groups) => groups.count(counted),
            Collected::Count(count) => *count = counted,
            _ => {}
        }
        Ok(true)
    }

    /// The parts of candidates to read: all, when each of them is an answer.
    fn parts(&self) -> TwinParts {
        match self.collected {
            Collected::Twins(_) if self.plan.exact => TwinParts::ALL,
            _ => self.needs.parts,
        }
    }

    /// How many candidates to read: no more than are missing, when each is an answer.
    fn batch(&self) -> usize {
        if !(self.pages() && self.plan.exact) {
            return STEP;
        }
        let missing = self.wanted.saturating_sub(self.found);
        usize::try_from(missing).map_or(STEP, |missing| missing.clamp(1, STEP))
    }

    fn is_full(&self) -> bool {
        self.pages() && (self.found >= self.wanted || self.bytes >= MAX_BYTES)
    }

    /// Takes a candidate into the answer when it meets the condition.
    fn offer(
        &mut self,
        view: &View<'_>,
        row: IdentityRow,
        twin: TwinRow,
    ) -> Result<(), QueryError> {
        self.examined += 1;
        if self.plan.exact && matches!(self.collected, Collected::Twins(_)) {
            self.take_twin(view, row, twin);
            return Ok(());
        }
        let document = self.document(view, (&row, &twin));
        let Some(document) = self.unreadable.kept(self.whose(&row), document) else {
            return Ok(());
        };
        let condition = self.query.condition.as_ref().filter(|_| !self.plan.exact);
        if condition.is_some_and(|condition| !condition.holds(&document)) {
            return Ok(());
        }
        match &mut self.collected {
            Collected::Count(count) => *count += 1,
            Collected::Groups(groups) => {
                let added = groups.add(&document);
                added.map_err(|_| QueryError::TooManyGroups)?;
            }
            Collected::Rows(rows) => {
                if let Selection::Items(items) = &self.query.selection {
                    let made = collect::row(items, &document);
                    self.bytes += made.to_string().len();
                    rows.push(made);
                }
            }
            Collected::Twins(_) | Collected::Jobs(_) => {
                drop(document);
                let whole = view.twin_in_row(row.id, TwinParts::ALL)?;
                if let Some((row, twin)) = whole.and_then(|whole| self.readable(whole)) {
                    self.take_twin(view, row, twin);
                }
                return Ok(());
            }
        }
        self.found += 1;
        Ok(())
    }

    /// A candidate with what the query needs of it.
    fn document<'a>(
        &self,
        view: &View<'_>,
        (row, twin): (&'a IdentityRow, &'a TwinRow),
    ) -> Result<TwinDocument<'a>, StoreError> {
        let connection = match self.needs.connection {
            true => Some(self.connection(view, row)?),
            false => None,
        };
        let enabled = !self.needs.device || self.enabled(view, row)?;
        TwinDocument::read(view, (row, twin), self.needs, enabled, connection)
    }

    /// Whether the device may connect: the module's device, of modules.
    fn enabled(&self, view: &View<'_>, row: &IdentityRow) -> Result<bool, StoreError> {
        if row.module_id.is_none() {
            return Ok(row.enabled);
        }
        let enabled = view.device_enabled(&row.hub, row.device_id.as_str())?;
        Ok(enabled.unwrap_or(true))
    }

    fn whose(&self, row: &IdentityRow) -> Whose {
        let module = row.module_id.as_ref().map_or("", ModuleId::as_str);
        Whose::module(&self.hub, row.device_id.as_str(), module)
    }

    /// Takes a whole twin into the answer.
    fn take_twin(&mut self, view: &View<'_>, row: IdentityRow, twin: TwinRow) {
        let whose = self.whose(&row);
        let documents = [&twin.tags, &twin.desired, &twin.reported];
        let bytes: usize = documents.into_iter().flatten().map(String::len).sum();
        let found = self.found_twin(view, row, twin);
        if let (Some(found), Collected::Twins(twins)) =
            (self.unreadable.kept(whose, found), &mut self.collected)
        {
            twins.push(found);
            self.bytes += bytes;
            self.found += 1;
        }
    }

    fn found_twin(
        &self,
        view: &View<'_>,
        row: IdentityRow,
        twin: TwinRow,
    ) -> Result<FoundTwin, StoreError> {
        let (connection, enabled) = (self.connection(view, &row)?, self.enabled(view, &row)?);
        Ok(FoundTwin {
            record: rows::twin_record(view, (row, twin), enabled)?,
            connection,
        })
    }

    fn connection(&self, view: &View<'_>, row: &IdentityRow) -> Result<Connection, StoreError> {
        let identity = row.identity();
        let stored = view.presence_in_row(row.id)?;
        let stored = stored.map_or(LastSeen::NEVER, |stored| LastSeen {
            changed: Timestamp::from_ticks(stored.changed),
            active: Timestamp::from_ticks(stored.active),
            model_id: stored.model_id,
        });
        Ok(Connection {
            pending_messages: view.count_messages_in_row(row.id)?,
            ..self.connections.connection(&identity, stored)
        })
    }

    fn jobs(&mut self, view: &View<'_>) -> Result<Rest, QueryError> {
        let after = match &self.at {
            Some(Position::Job(key)) => key.clone(),
            _ => String::new(),
        };
        let page = job_rows(view, &self.hub, &after, (STEP, MAX_BYTES))?;
        let rest = !page.is_empty();
        for (key, job) in page {
            self.examined += 1;
            self.at = Some(Position::Job(key));
            let condition = self.query.condition.as_ref();
            if condition.is_none_or(|condition| condition.holds(&Job(&job))) {
                self.found += 1;
                match &mut self.collected {
                    Collected::Count(count) => *count += 1,
                    Collected::Jobs(rows) => {
                        self.bytes += job.to_string().len();
                        rows.push(job);
                    }
                    _ => {}
                }
            }
            if self.is_full() {
                return Ok(Rest::NotWanted);
            }
        }
        Ok(if rest { Rest::Some } else { Rest::None })
    }
}

/// A row of `devices.jobs`.
struct Job<'a>(&'a Json);

impl Scope for Job<'_> {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        // Azure's documents ask for it by this name, and answer it by the other.
        if path.root() == "createdTimeUtc" {
            return self.0.get("createdDateTimeUtc").into();
        }
        Path::find(&path.segments, self.0).into()
    }
}
