//! Events of the hubs themselves: twins that changed, identities that came and went. An event is
//! written with the change that it is about, when a route wants it, and goes from there to the log.

mod digital_twin;
mod job_device;

use std::sync::Arc;

use events::MAX_RECORD;
use ids::{HubName, Identity, Timestamp};
use serde_json::{Map, Value, json};
use store::{IdentityKey, Lock, StoreError, TwinRow, Tx, View, unit};
use wire::device_api::message::system;
use wire::telemetry::EventSource;

use super::telemetry::{decode, encode};
use super::watchers::Watchers;
use super::{Registry, twin_event};
use crate::change::Change;
use crate::error::StorageError;
use crate::event::{Event, EventError};
use crate::routing::Destinations;
use crate::rows;
use crate::twin::{Touched, Twin};

pub(crate) use job_device::job_device_ended;

/// Events that are relayed together.
const BATCH: usize = 100;

/// Why events stay where they are.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Log(#[from] EventError),
}

/// Events that are in the log of their hub, and still in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedHubEvents {
    /// The row of the last one.
    pub last: i64,
    /// Whether more may wait behind it.
    pub more: bool,
}

/// An event of a hub about a device or module. The time is written when it is appended.
pub(crate) fn event(
    source: EventSource,
    schema: &str,
    operation: &str,
    about: &Identity,
    body: &Value,
) -> Event {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut properties = vec![
        pair(system::CONTENT_TYPE, "application/json"),
        pair(system::CONTENT_ENCODING, "utf-8"),
        pair(system::USER_ID, about.hub.as_str()),
        pair("hubName", about.hub.as_str()),
        pair("deviceId", about.device.as_str()),
    ];
    if let Some(module) = &about.module {
        properties.push(pair("moduleId", module.as_str()));
    }
    properties.push(pair("opType", operation));
    properties.push(pair("iothub-message-schema", schema));
    Event {
        hub: about.hub.clone(),
        device: about.device.clone(),
        module: about.module.clone(),
        enqueued: Timestamp::NEVER,
        source,
        sender: None,
        properties,
        body: body.to_string().into_bytes(),
    }
}

impl Event {
    /// The event of a hub as it is appended.
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        self.enqueued = now;
        let stamp = ("operationTimestamp".to_owned(), now.to_string());
        self.properties.push(stamp);
        self
    }
}

/// The record of an event, unless it is longer than the log takes: it would stop those behind it
/// for ever.
fn fitting(record: Vec<u8>, event: &Event) -> Option<Vec<u8>> {
    if record.len() <= MAX_RECORD {
        return Some(record);
    }
    tracing::error!(
        hub.name = %event.hub,
        device.id = %event.device,
        source = event.source.name(),
        bytes = record.len(),
        "an event of a hub is too large for its log and is dropped"
    );
    None
}

fn enter(tx: &Tx<'_>, watchers: &Arc<Watchers>, event: &Event) -> Result<(), StoreError> {
    let record = encode(event, &Destinations::BuiltIn);
    tx.insert_hub_event(&event.sender_identity(), &record)?;
    let hub = event.hub.clone();
    watchers.tell(tx, Change::HubEvents { hub });
    Ok(())
}

/// Enters that a device or module was created, after its row is written.
pub(crate) fn identity_created(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    key: IdentityKey<'_>,
) -> Result<(), StoreError> {
    lifecycle(tx, watchers, key, "createDeviceIdentity")
}

/// Enters that a device or module is deleted, before its row is.
pub(crate) fn identity_deleted(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    key: IdentityKey<'_>,
) -> Result<(), StoreError> {
    lifecycle(tx, watchers, key, "deleteDeviceIdentity")
}

fn lifecycle(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    key: IdentityKey<'_>,
    operation: &str,
) -> Result<(), StoreError> {
    let source = EventSource::DeviceLifecycleEvents;
    if !watchers.wants(key.hub, source) {
        return Ok(());
    }
    let whole = match tx.twin(key) {
        Ok(None) => return Ok(()),
        Ok(Some((row, twin))) => {
            let twin = rows::twin(tx, &twin).ok();
            twin.map(|twin| twin_event::whole(&row, &twin))
        }
        Err(error) if error.is_damaged() => None,
        Err(error) => return Err(error),
    };
    // What is damaged or too large to be read stops no deletion.
    let ids_only = || json!({"deviceId": key.device_id, "moduleId": key.module_id});
    let body = whole.unwrap_or_else(ids_only);
    let about = Identity {
        hub: key.hub.clone(),
        device: key.device_id.clone(),
        module: key.module_id.cloned(),
    };
    let schema = "deviceLifecycleNotification";
    enter(
        tx,
        watchers,
        &event(source, schema, operation, &about, &body),
    )
}

/// Enters that a twin changes, before it is written.
pub(crate) fn twin_changed(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    about: &Identity,
    after: &Twin,
    touched: &Touched,
) -> Result<(), StoreError> {
    let source = EventSource::TwinChangeEvents;
    let visible = touched.tags || touched.desired.is_some() || touched.reported;
    let wanted = watchers.wants(&about.hub, source);
    let digital = watchers.wants(&about.hub, EventSource::DigitalTwinChangeEvents);
    if !visible || !(wanted || digital) {
        return Ok(());
    }
    let Some((row, before)) = tx.twin(about.into())? else {
        return Ok(());
    };
    let before = rows::twin(tx, &before).ok();
    if digital {
        digital_twin::changed(tx, watchers, about, (before.as_ref(), after))?;
    }
    if !wanted {
        return Ok(());
    }
    let (operation, body) = match before.filter(|_| !touched.replaced) {
        Some(before) => ("updateTwin", twin_event::patch(&before, after)),
        None => ("replaceTwin", twin_event::whole(&row, after)),
    };
    let schema = "twinChangeNotification";
    enter(
        tx,
        watchers,
        &event(source, schema, operation, about, &body),
    )
}

/// Enters that a twin is as on its first day again, after it is written.
pub(crate) fn twin_reset(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    key: IdentityKey<'_>,
    before: &TwinRow,
) -> Result<(), StoreError> {
    let source = EventSource::TwinChangeEvents;
    let wanted = watchers.wants(key.hub, source);
    let digital = watchers.wants(key.hub, EventSource::DigitalTwinChangeEvents);
    if !(wanted || digital) {
        return Ok(());
    }
    let Some((row, twin)) = tx.twin(key)? else {
        return Ok(());
    };
    let twin = rows::twin(tx, &twin)?;
    if digital {
        let before = rows::twin(tx, before).ok();
        digital_twin::changed(tx, watchers, &row.identity(), (before.as_ref(), &twin))?;
    }
    if !wanted {
        return Ok(());
    }
    let body = twin_event::whole(&row, &twin);
    let schema = "twinChangeNotification";
    let event = event(source, schema, "replaceTwin", &row.identity(), &body);
    enter(tx, watchers, &event)
}

impl Registry {
    /// Appends some events of a hub to its log; `None` when none wait. They stay in the database
    /// until [`Self::delete_hub_events`]: a crash in between appends them again.
    pub async fn append_hub_events(
        &self,
        hub: &HubName,
        now: Timestamp,
    ) -> Result<Option<AppendedHubEvents>, RelayError> {
        let read = |view: &View<'_>| {
            let rows = view.hub_events(hub.as_str(), BATCH)?;
            Ok::<_, StorageError>(rows)
        };
        let rows = self.inner.store.read(read)?;
        let Some((last, _)) = rows.last() else {
            return Ok(None);
        };
        let appended = AppendedHubEvents {
            last: *last,
            more: rows.len() == BATCH,
        };
        let events = rows.iter().filter_map(|(row, record)| {
            let read = decode(record);
            if read.is_none() {
                tracing::error!(hub.name = %hub, row, "an event of a hub is damaged and is dropped");
            }
            read
        });
        let events: Vec<Event> = events.map(|(event, _)| event.at(now)).collect();
        let records = self.records(hub, &events).into_iter().zip(&events);
        let records = records.filter_map(|(record, event)| fitting(record?, event));
        self.append_records(hub, now, records.collect()).await?;
        Ok(Some(appended))
    }

    /// Takes the events of a hub out of the database, up to the row of the last one appended.
    pub async fn delete_hub_events(&self, hub: &HubName, last: i64) -> Result<(), StorageError> {
        let delete = unit(
            hub.clone(),
            |hub| vec![Lock::Hub { hub: hub.as_str() }],
            |_, _| Ok::<_, StorageError>(()),
            move |hub, tx, ()| tx.delete_hub_events(hub.as_str(), last),
        );
        self.inner.store.write_in_background(delete).await
    }

    /// Appends that a device or module connected or disconnected, when a route wants that.
    pub async fn append_connection_state(
        &self,
        about: &Identity,
        connected: bool,
        now: Timestamp,
    ) -> Result<(), EventError> {
        let source = EventSource::DeviceConnectionStateEvents;
        if !self.inner.watchers.wants(&about.hub, source) {
            return Ok(());
        }
        let operation = match connected {
            true => "deviceConnected",
            false => "deviceDisconnected",
        };
        let number = format!("{:064X}", now.ticks());
        let body = Value::Object(Map::from_iter([(
            "sequenceNumber".to_owned(),
            number.into(),
        )]));
        let schema = "deviceConnectionStateNotification";
        let event = event(source, schema, operation, about, &body).at(now);
        self.append_telemetry(&event).await.map(drop)
    }
}
