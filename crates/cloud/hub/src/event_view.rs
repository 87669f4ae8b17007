//! Events as documents of the service API and of webhooks.

use registry::StoredEvent;
use wire::telemetry::{EventDocument, EventParts};

pub(crate) fn document(stored: &StoredEvent) -> EventDocument {
    let event = &stored.event;
    EventDocument::new(EventParts {
        offset: stored.offset,
        enqueued: event.enqueued,
        source: event.source,
        device: event.device.clone(),
        module: event.module.clone(),
        sender: event.sender.as_deref(),
        properties: event.properties.clone(),
        body: &event.body,
    })
}
