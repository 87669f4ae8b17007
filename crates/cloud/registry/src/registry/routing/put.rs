//! The units that write routing and cursors.

use std::sync::Arc;

use ids::{EndpointName, HubName, Timestamp};
use store::{EndpointCursorRow, Lock, RoutingRow, Secret, StoreError, Tx, Unit, View, unit};
use wire::muster_api::routing::Routing;
use wire::service_api::identity::KeyText;

use super::{RoutingNow, RoutingRecord, RoutingWriteError, cursors, fresh_cursor, stored};
use crate::change::Change;
use crate::entropy::generate_key;
use crate::error::StorageError;
use crate::etag;
use crate::precondition::IfMatch;
use crate::registry::act::Act;
use crate::registry::{Registry, Watchers};
use crate::routing::{RoutingError, RoutingTable};

pub(super) async fn put(
    registry: &Registry,
    hub: &HubName,
    document: Routing,
    if_match: &IfMatch,
    now: Timestamp,
) -> Result<RoutingRecord, RoutingWriteError> {
    let webhooks = document.endpoints.webhooks.len();
    let inner = &registry.inner;
    let put = PutRouting {
        hub: hub.clone(),
        document,
        fresh_keys: (0..webhooks)
            .map(|_| generate_key(&*inner.entropy))
            .collect(),
        if_match: if_match.clone(),
        last_event: registry.last_event(hub),
        routing: inner.routing.clone(),
        watchers: inner.watchers.clone(),
        now,
    };
    registry.act(Act::PutRouting, hub, put).await
}

/// Also used when nobody waits: a delivery is repeated when its cursor is lost.
pub(super) async fn advance(
    registry: &Registry,
    hub: &HubName,
    cursor: EndpointCursorRow,
) -> Result<(), StorageError> {
    let advance = unit(
        (hub.clone(), cursor),
        |(hub, _)| vec![lock(hub)],
        |_, _| Ok::<_, StorageError>(()),
        |(hub, cursor), tx, ()| tx.advance_endpoint_cursor(hub.as_str(), cursor),
    );
    registry.inner.store.write_in_background(advance).await
}

fn lock(hub: &HubName) -> Lock<'_> {
    Lock::Hub { hub: hub.as_str() }
}

/// One PUT of the routing of a hub.
struct PutRouting {
    hub: HubName,
    document: Routing,
    /// One for each webhook, should it have none.
    fresh_keys: Vec<KeyText>,
    if_match: IfMatch,
    /// New endpoints get what comes after it.
    last_event: u64,
    routing: Arc<RoutingNow>,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

/// What is written: the table, its row, and the cursors that come and go.
struct RoutingPlan {
    table: RoutingTable,
    row: RoutingRow,
    begun: Vec<EndpointCursorRow>,
    ended: Vec<EndpointCursorRow>,
}

impl Unit for PutRouting {
    type Plan = RoutingPlan;
    type Output = RoutingRecord;
    type Error = RoutingWriteError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.hub)]
    }

    fn decide(&self, view: &View<'_>) -> Result<RoutingPlan, RoutingWriteError> {
        let before = stored(view, &self.hub)?.unwrap_or_default();
        let revision = before.revision;
        if !self.if_match.allows(&etag::of_revision(revision)) {
            return Err(RoutingWriteError::PreconditionFailed(self.hub.clone()));
        }
        let table = RoutingTable::check(self.complete(&before.document)?)?;
        let document = serde_json::to_string(table.document())
            .map_err(|error| view.damaged("routing", error))?;
        let endpoints = &table.document().endpoints;
        let cursors = cursors(view, &self.hub)?;
        let is_new = |name: &&EndpointName| !cursors.iter().any(|cursor| cursor.endpoint == **name);
        let begun = endpoints.names().map(|(name, _)| name).filter(is_new);
        let begun = begun.map(|name| fresh_cursor(name, self.last_event));
        let begun = begun.collect();
        let is_gone = |cursor: &EndpointCursorRow| {
            !endpoints.names().any(|(name, _)| *name == cursor.endpoint)
        };
        Ok(RoutingPlan {
            row: RoutingRow {
                revision: revision + 1,
                document: Secret::new(document),
                updated: self.now.ticks(),
            },
            begun,
            ended: cursors
                .iter()
                .filter(|cursor| is_gone(cursor))
                .cloned()
                .collect(),
            table,
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: RoutingPlan) -> Result<RoutingRecord, StoreError> {
        let hub = self.hub.as_str();
        match plan.row.revision {
            1 => tx.insert_routing(hub, &plan.row)?,
            _ => tx.update_routing(hub, &plan.row)?,
        }
        for cursor in &plan.ended {
            tx.delete_endpoint_cursor(hub, cursor.endpoint.as_str())?;
        }
        for cursor in &plan.begun {
            tx.insert_endpoint_cursor(hub, cursor)?;
        }
        let record = RoutingRecord {
            document: plan.table.document().clone(),
            etag: etag::of_revision(plan.row.revision),
        };
        self.routing.follow(tx, self.hub.clone(), plan.table);
        let hub = self.hub.clone();
        self.watchers.tell(tx, Change::Routing { hub });
        Ok(record)
    }
}

impl PutRouting {
    /// The document with what its sender was not shown.
    fn complete(&self, before: &Routing) -> Result<Routing, RoutingError> {
        let mut document = self.document.clone();
        let webhooks = document.endpoints.webhooks.iter_mut();
        for (webhook, fresh) in webhooks.zip(&self.fresh_keys) {
            let mut known = before.endpoints.webhooks.iter();
            let known = known.find(|known| known.name == webhook.name);
            if webhook.url.is_mask() {
                let stored = known.filter(|known| webhook.url.is_mask_of(&known.url));
                let stored = stored.ok_or_else(|| RoutingError::Invalid {
                    place: format!("endpoint {}", webhook.name),
                    problem: "the query of its URL is masked, and none is stored".to_owned(),
                })?;
                webhook.url = stored.url.clone();
            }
            if webhook.key.is_none() {
                let stored = known.and_then(|known| known.key.clone());
                webhook.key = Some(stored.unwrap_or_else(|| fresh.clone()));
            }
        }
        for stream in &mut document.endpoints.nats_streams {
            let mut known = before.endpoints.nats_streams.iter();
            // Another server must not learn it.
            let known = known.find(|known| {
                (&known.name, &known.url, &known.user) == (&stream.name, &stream.url, &stream.user)
            });
            if stream.password.is_none() {
                stream.password = known.and_then(|known| known.password.clone());
            }
        }
        Ok(document)
    }
}
