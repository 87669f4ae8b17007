//! Events as documents of the service API and of webhooks.

use registry::StoredEvent;
use wire::telemetry::{EventDocument, EventParts};

pub(crate) fn document(stored: &StoredEvent) -> EventDocument {
    view(stored, &stored.event.body)
}

/// For where the body goes apart.
pub(crate) fn without_body(stored: &StoredEvent) -> EventDocument {
    view(stored, &[])
}

fn view(stored: &StoredEvent, body: &[u8]) -> EventDocument {
    let event = &stored.event;
    EventDocument::new(EventParts {
        offset: stored.offset,
        enqueued: event.enqueued,
        source: event.source,
        device: event.device.clone(),
        module: event.module.clone(),
        sender: event.sender.as_deref(),
        properties: event.properties.clone(),
        body,
    })
}
