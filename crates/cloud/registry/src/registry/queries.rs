//! Queries of twins and jobs, run page by page. Between the steps of a query others get their turn,
//! and one that nobody waits for any more ends there.

use std::sync::Arc;

use ids::{HubName, Identity};
use serde_json::Value as Json;
use store::{IdentityKind, View};

use super::Registry;
use super::presences::LastSeen;
use crate::error::StorageError;
use crate::page::{BadContinuation, Continuation, PageRequest};
use crate::query::collect::{Groups, MAX_GROUPS};
use crate::query::cursor::Cursor;
use crate::query::needs::Needs;
use crate::query::plan::{Plan, plans};
use crate::query::{Collection, Connection, ParseError, Query, Selection};
use crate::twin::TwinRecord;

mod choose;
mod jobs;
mod walk;

pub(crate) use jobs::job_device_document;

use walk::{Collected, Walk};

/// Rows looked at for one page. A page may be short, or empty, and still have a continuation.
const MAX_EXAMINED: usize = 50_000;

/// What knows the live connections of devices and modules.
pub trait Connections: Send + Sync {
    /// What is known of one; `stored` is what earlier connections left.
    fn connection(&self, identity: &Identity, stored: LastSeen) -> Connection;
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Continuation(#[from] BadContinuation),
    #[error("the continuation belongs to another query")]
    OtherQuery,
    #[error(
        "the query has more than {MAX_GROUPS} groups, or more than 8 MiB of what they are grouped by \
         and of the strings of MIN and MAX; narrow it with WHERE"
    )]
    TooManyGroups,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for QueryError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// One page of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPage {
    pub rows: QueryRows,
    pub continuation: Option<Continuation>,
    /// How the rows were found, for operators.
    pub plan: String,
}

/// A twin that was found, with what is known of its connection.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTwin {
    pub record: TwinRecord,
    pub connection: Connection,
}

#[derive(Debug, Clone, PartialEq)]
pub enum QueryRows {
    /// Of `SELECT *`.
    Twins(Vec<FoundTwin>),
    /// Projections and totals.
    Raw(Vec<Json>),
    /// Of `devices.jobs`.
    Jobs(Vec<Json>),
}

impl Registry {
    /// One page of the rows of a query. Totals are answered whole.
    pub async fn query(
        &self,
        hub: &HubName,
        query: &Arc<Query>,
        connections: &Arc<dyn Connections>,
        page: &PageRequest,
    ) -> Result<QueryPage, QueryError> {
        let collected = match (&query.selection, query.from) {
            (_, Collection::Jobs) => Collected::Jobs(Vec::new()),
            (Selection::All, _) => Collected::Twins(Vec::new()),
            (Selection::Items(items), _) if query.is_aggregated() => {
                Collected::Groups(Groups::new(items, &query.group_by))
            }
            (Selection::Items(_), _) => Collected::Rows(Vec::new()),
        };
        let walk = self.begin(hub, query, connections, page, collected).await?;
        let walk = self.run(walk).await?;
        let continuation = walk.continuation();
        let plan = walk.plan.to_string();
        let rows = match walk.collected {
            Collected::Jobs(rows) => QueryRows::Jobs(rows),
            Collected::Twins(records) => QueryRows::Twins(records),
            Collected::Rows(rows) => QueryRows::Raw(rows),
            Collected::Groups(groups) => {
                let mut rows = groups.into_rows();
                let top = query.top.and_then(|top| usize::try_from(top).ok());
                rows.truncate(top.unwrap_or(usize::MAX));
                QueryRows::Raw(rows)
            }
            Collected::Count(_) => QueryRows::Raw(Vec::new()),
        };
        Ok(QueryPage {
            rows,
            continuation,
            plan,
        })
    }

    /// How many rows a query has, without reading more of them than its condition asks for.
    pub async fn count_rows(
        &self,
        hub: &HubName,
        query: &Arc<Query>,
        connections: &Arc<dyn Connections>,
    ) -> Result<u64, QueryError> {
        let groups = match &query.selection {
            Selection::Items(items) if query.is_aggregated() => {
                Some(Groups::new(items, &query.group_by))
            }
            _ => None,
        };
        let collected = groups.map_or(Collected::Count(0), Collected::Groups);
        let page = PageRequest::first(1);
        let walk = self
            .begin(hub, query, connections, &page, collected)
            .await?;
        let counted = match self.run(walk).await?.collected {
            Collected::Groups(groups) => groups.into_rows().len() as u64,
            Collected::Count(counted) => counted,
            _ => 0,
        };
        Ok(counted.min(query.top.unwrap_or(u64::MAX)))
    }

    async fn begin(
        &self,
        hub: &HubName,
        query: &Arc<Query>,
        connections: &Arc<dyn Connections>,
        page: &PageRequest,
        collected: Collected,
    ) -> Result<Walk, QueryError> {
        let all = plans(query);
        let cursor = page
            .after
            .as_ref()
            .map(|after| Cursor::parse(after, query, &all).ok_or(QueryError::OtherQuery));
        let cursor = cursor.transpose()?;
        let kind = match query.from {
            Collection::Modules => IdentityKind::Module,
            Collection::Devices | Collection::Jobs => IdentityKind::Device,
        };
        let chosen = match &cursor {
            Some(cursor) => cursor.plan,
            None if all.len() == 1 => 0,
            None => self.choose(hub, kind, all.clone()).await?,
        };
        let plan = all.into_iter().nth(chosen);
        let remaining = match &cursor {
            Some(cursor) => cursor.remaining,
            None => query.top,
        };
        let limit = page.limit() as u64;
        Ok(Walk {
            hub: hub.clone(),
            kind,
            query: query.clone(),
            needs: Needs::of_query(query),
            chosen,
            plan: plan.ok_or(BadContinuation)?,
            wanted: remaining.map_or(limit, |remaining| remaining.min(limit)),
            remaining,
            at: cursor.map(|cursor| cursor.at),
            collected,
            found: 0,
            examined: 0,
            bytes: 0,
            ended: false,
            unreadable: self.inner.unreadable.clone(),
            connections: connections.clone(),
        })
    }

    async fn choose(
        &self,
        hub: &HubName,
        kind: IdentityKind,
        all: Vec<Plan>,
    ) -> Result<usize, QueryError> {
        let hub = hub.clone();
        let choose = move |view: &View<'_>| choose::choose(view, (&hub, kind), &all);
        self.inner.store.scan(choose).await
    }

    async fn run(&self, mut walk: Walk) -> Result<Walk, QueryError> {
        while !(walk.ended || (walk.pages() && walk.examined >= MAX_EXAMINED)) {
            let step = move |view: &View<'_>| {
                walk.step(view)?;
                Ok::<_, QueryError>(walk)
            };
            walk = self.inner.store.scan(step).await?;
        }
        Ok(walk)
    }
}
