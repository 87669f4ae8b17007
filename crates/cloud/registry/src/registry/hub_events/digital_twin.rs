//! Events about digital twins: the JSON patch that the change is, as operators read digital twins.

use std::sync::Arc;

use ids::Identity;
use serde_json::Value;
use store::{StoreError, Tx};
use wire::device_api::message::system;
use wire::service_api::digital_twin;
use wire::telemetry::EventSource;

use super::{enter, event};
use crate::registry::watchers::Watchers;
use crate::twin::{Section, Twin};

/// Enters that a digital twin changes. Changes of tags alone are none.
pub(super) fn changed(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    about: &Identity,
    (before, after): (Option<&Twin>, &Twin),
) -> Result<(), StoreError> {
    let before = before.map_or(Value::Object(Default::default()), |twin| {
        document(about, twin)
    });
    let operations = digital_twin::difference(&before, &document(about, after));
    if operations.is_empty() {
        return Ok(());
    }
    let source = EventSource::DigitalTwinChangeEvents;
    let (schema, operation) = ("digitalTwinChangeNotification", "updateTwin");
    let mut event = event(source, schema, operation, about, &operations.into());
    for (name, value) in &mut event.properties {
        if name == system::CONTENT_TYPE {
            "application/json-patch+json".clone_into(value);
        }
    }
    enter(tx, watchers, &event)
}

/// Without the model, which no write of a twin changes.
fn document(about: &Identity, twin: &Twin) -> Value {
    let (desired, reported) = (section(&twin.desired), section(&twin.reported));
    digital_twin::document(about.device.as_str(), "", &desired, &reported)
}

fn section(section: &Section) -> wire::twin::Section {
    wire::twin::Section {
        properties: section.document.clone(),
        metadata: section.metadata.clone().into(),
        version: section.version,
    }
}
