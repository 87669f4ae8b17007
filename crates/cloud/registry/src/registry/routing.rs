//! The routing of a hub: stored, kept ready in memory, and asked when an event is appended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ids::{EndpointName, Etag, HubName, Timestamp};
use serde_json::{Value, json};
use store::{EndpointCursorRow, Tx, View};
use wire::muster_api::routing::Routing;
use wire::telemetry::EventSource;

use super::readers::kept;
use super::{AuditedStore, Registry};
use crate::error::StorageError;
use crate::etag;
use crate::event::Event;
use crate::routing::{Destinations, RoutingError, RoutingTable, TwinDocument};
use crate::rows;

mod put;

/// The routing of a hub, with the keys of its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingRecord {
    pub document: Routing,
    pub etag: Etag,
}

/// Why a routing document was not written.
#[derive(Debug, thiserror::Error)]
pub enum RoutingWriteError {
    #[error(transparent)]
    Refused(#[from] RoutingError),
    #[error("the routing of hub {0} has another version")]
    PreconditionFailed(HubName),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RoutingWriteError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// The routing of each hub that has one, as of the last commit.
#[derive(Default)]
pub(super) struct RoutingNow {
    tables: RwLock<HashMap<HubName, Arc<RoutingTable>>>,
    /// Whether any hub wants anything but telemetry: nearly every write of a device asks.
    wants_more: AtomicBool,
}

impl RoutingNow {
    /// Reads what is stored. A document that is damaged, or that this version does not accept any
    /// more, is logged, and its hub is without routes: then everything stays in the built-in
    /// endpoint.
    pub(super) fn read(view: &View<'_>, hubs: &[HubName]) -> Result<Self, StorageError> {
        let mut tables = HashMap::new();
        for hub in hubs {
            let Some(stored) = stored(view, hub)? else {
                continue;
            };
            match RoutingTable::check(stored.document) {
                Ok(table) => {
                    tables.insert(hub.clone(), Arc::new(table));
                }
                Err(error) => tracing::error!(
                    hub.name = %hub,
                    error = &error as &dyn std::error::Error,
                    "the stored routes of a hub are not accepted; it is without routes"
                ),
            }
        }
        let now = Self {
            tables: RwLock::new(tables),
            wants_more: AtomicBool::new(false),
        };
        now.change(|_| ());
        Ok(now)
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<HubName, Arc<RoutingTable>>)) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut tables);
        let more = |table: &Arc<RoutingTable>| {
            let mut sources = EventSource::ALL.into_iter();
            sources.any(|source| source != EventSource::DeviceMessages && table.wants(source))
        };
        let wants_more = tables.values().any(more);
        self.wants_more.store(wants_more, Ordering::Release);
    }

    /// Whether a route of a hub wants events of this source, which is not telemetry.
    pub(super) fn wants(&self, hub: &HubName, source: EventSource) -> bool {
        self.wants_more.load(Ordering::Acquire)
            && self.of(hub).is_some_and(|table| table.wants(source))
    }

    fn of(&self, hub: &HubName) -> Option<Arc<RoutingTable>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(hub).cloned()
    }

    /// Takes a table over once it is durable, before anybody is answered.
    fn follow(self: &Arc<Self>, tx: &Tx<'_>, hub: HubName, table: RoutingTable) {
        let (now, table) = (self.clone(), Arc::new(table));
        tx.after_commit(move || {
            now.change(|tables| {
                tables.insert(hub, table);
            });
        });
    }

    /// A deleted hub has none.
    pub(super) fn forget(self: &Arc<Self>, tx: &Tx<'_>, hub: HubName) {
        let now = self.clone();
        tx.after_commit(move || {
            now.change(|tables| {
                tables.remove(&hub);
            });
        });
    }
}

/// What is stored of a hub's routing.
#[derive(Default)]
struct Stored {
    document: Routing,
    /// 0 when nothing is stored.
    revision: i64,
}

/// The stored routing of a hub. A damaged document is logged and is as none, so that it can be
/// written again.
fn stored(view: &View<'_>, hub: &HubName) -> Result<Option<Stored>, StorageError> {
    let Some(row) = view.routing(hub.as_str())? else {
        return Ok(None);
    };
    let document = serde_json::from_str(row.document.reveal()).unwrap_or_else(|error| {
        tracing::error!(
            hub.name = %hub,
            error = &error as &dyn std::error::Error,
            "the stored routing of a hub is damaged; the hub is without routes until they are \
             written again"
        );
        Routing::default()
    });
    let revision = row.revision;
    Ok(Some(Stored { document, revision }))
}

/// How far the endpoints of a hub are, as far as that can be read.
fn cursors(view: &View<'_>, hub: &HubName) -> Result<Vec<EndpointCursorRow>, StorageError> {
    let rows = view.endpoint_cursors(hub.as_str())?;
    Ok(kept(rows, hub, "how far an endpoint is"))
}

impl Registry {
    /// The routing of a hub; without one, what holds then.
    pub async fn routing(&self, hub: &HubName) -> Result<RoutingRecord, StorageError> {
        let found = self.inner.store.read(|view| stored(view, hub))?;
        let Stored { document, revision } = found.unwrap_or_default();
        Ok(RoutingRecord {
            document,
            etag: etag::of_revision(revision),
        })
    }

    /// The endpoints of a hub with their keys, as of the last commit. No I/O.
    #[must_use]
    pub fn routing_table(&self, hub: &HubName) -> Option<Arc<RoutingTable>> {
        self.inner.routing.of(hub)
    }

    /// Replaces the routing of a hub. A masked URL keeps what is stored; an endpoint without a key
    /// keeps its key, a new one gets one.
    pub async fn put_routing(
        &self,
        hub: &HubName,
        document: Routing,
        if_match: &crate::IfMatch,
        now: Timestamp,
    ) -> Result<RoutingRecord, RoutingWriteError> {
        put::put(self, hub, document, if_match, now).await
    }

    /// How far the endpoints of a hub are.
    pub async fn endpoint_cursors(
        &self,
        hub: &HubName,
    ) -> Result<Vec<EndpointCursorRow>, StorageError> {
        let read = |view: &View<'_>| cursors(view, hub);
        self.inner.store.read(read)
    }

    /// Where events of a hub go.
    pub(super) fn destinations(&self, table: Option<&RoutingTable>, event: &Event) -> Destinations {
        let read_twin = || twin_document(&self.inner.store, event);
        table.map_or(Destinations::BuiltIn, |table| {
            table.destinations(event, &read_twin)
        })
    }
}

/// The twin of the sender. One that cannot be read is as none: conditions on it do not hold.
fn twin_document(store: &AuditedStore, event: &Event) -> Option<TwinDocument> {
    let read = store.read(|view| {
        let Some((_, row)) = view.twin((&event.sender_identity()).into())? else {
            return Ok::<_, StorageError>(None);
        };
        let twin = rows::twin(view, &row)?;
        Ok(Some(json!({
            "tags": Value::Object(twin.tags),
            "properties": {
                "desired": twin.desired.with_metadata(),
                "reported": twin.reported.with_metadata(),
            },
        })))
    });
    read.unwrap_or_else(|error| {
        tracing::error!(
            hub.name = %event.hub,
            device.id = %event.device,
            error = &error as &dyn std::error::Error,
            "the twin that routes look at cannot be read"
        );
        None
    })
}

impl Registry {
    /// Notes how far an endpoint is, behind everything that somebody waits for.
    pub async fn advance_endpoint(
        &self,
        hub: &HubName,
        cursor: EndpointCursorRow,
    ) -> Result<(), StorageError> {
        put::advance(self, hub, cursor).await
    }
}

/// A cursor of an endpoint that has got nothing yet.
fn fresh_cursor(endpoint: &EndpointName, position: u64) -> EndpointCursorRow {
    EndpointCursorRow {
        endpoint: endpoint.clone(),
        position,
        delivered: 0,
        dead_lettered: 0,
        missed: 0,
    }
}
