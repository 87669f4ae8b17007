use registry::Event;
use wire::telemetry::EventSource;

use crate::{Bench, device, hub};

/// A telemetry message of the device `d`.
pub(crate) fn event(bench: &Bench, body: &str) -> Event {
    Event {
        hub: hub(),
        device: device("d"),
        module: None,
        enqueued: bench.now(),
        source: EventSource::DeviceMessages,
        sender: None,
        properties: vec![("a".to_owned(), "b".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) async fn events_are_read_in_order(bench: Bench) {
    let event = |body: &str| event(&bench, body);
    assert_eq!(bench.registry.last_event(&hub()), 0);
    let events = [event("one"), event("two"), event("three")];
    for (offset, event) in (1..).zip(&events) {
        assert_eq!(
            bench.registry.append_telemetry(event).await.unwrap(),
            offset
        );
    }
    bench.registry.wait_for_events(&hub(), 2).await.unwrap();
    let page = bench.registry.read_events(&hub(), 1, 10).await.unwrap();
    assert_eq!((&page.missing, page.next), (&vec![], 3));
    let read = page.events;
    assert_eq!(
        read.iter().map(|stored| stored.offset).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(read[1].event, events[2]);
    let large = Event {
        body: vec![0; 600_000],
        ..event("")
    };
    assert!(bench.registry.append_telemetry(&large).await.is_err());
}
