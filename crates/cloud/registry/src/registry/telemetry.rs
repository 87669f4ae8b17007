//! Telemetry: events in the log of their hub.

mod record;

use events::{EventLog, EventLogError, MAX_RECORD};
use ids::{EndpointName, HubName, Timestamp};

use super::Registry;
use crate::event::{Event, EventError, EventPage, StoredEvent, TelemetryState};
use record::encode_routed;
pub(super) use record::{decode, encode};

impl Registry {
    /// Appends an event; returns its number after it is on disk.
    pub async fn append_telemetry(&self, event: &Event) -> Result<u64, EventError> {
        self.append_all_telemetry(std::slice::from_ref(event)).await
    }

    /// Appends events of one hub together; returns the number of the last one after
    /// all are on disk.
    pub async fn append_all_telemetry(&self, events: &[Event]) -> Result<u64, EventError> {
        let Some(newest) = events.last() else {
            return Ok(0);
        };
        let records = self.records(&newest.hub, events);
        let records: Vec<_> = records.into_iter().flatten().collect();
        if let Some(record) = records.iter().find(|record| record.len() > MAX_RECORD) {
            return Err(EventError::TooLarge {
                size: record.len(),
                max: MAX_RECORD,
            });
        }
        self.append_records(&newest.hub, newest.enqueued, records)
            .await
    }

    /// The record of each event; `None` of one that goes nowhere.
    pub(super) fn records(&self, hub: &HubName, events: &[Event]) -> Vec<Option<Vec<u8>>> {
        let table = self.routing_table(hub);
        let record = |event: &Event| {
            let destinations = self.destinations(table.as_deref(), event);
            encode_routed(event, &destinations)
        };
        events.iter().map(record).collect()
    }

    /// Appends records, none of which is longer than [`MAX_RECORD`].
    pub(super) async fn append_records(
        &self,
        hub: &HubName,
        at: Timestamp,
        records: Vec<Vec<u8>>,
    ) -> Result<u64, EventError> {
        let log = self.log_of(hub).await?;
        Ok(log.append_all(at.ticks(), records).await?)
    }

    async fn log_of(&self, hub: &HubName) -> Result<EventLog, EventLogError> {
        let is_there = || self.hubs().named(hub).is_some();
        self.inner.logs.of(hub, is_there).await
    }

    /// Up to `max` events of a hub's built-in endpoint after a number (0 for the oldest kept), in
    /// order. None at the end of its log.
    pub async fn read_events(
        &self,
        hub: &HubName,
        after: u64,
        max: usize,
    ) -> Result<EventPage, EventError> {
        let endpoint = EndpointName::built_in();
        self.read_endpoint(hub, &endpoint, after, max).await
    }

    /// The same for any endpoint. It looks at `max` events, of which the page has those that are
    /// for the endpoint, with the enrichments for it.
    pub async fn read_endpoint(
        &self,
        hub: &HubName,
        endpoint: &EndpointName,
        after: u64,
        max: usize,
    ) -> Result<EventPage, EventError> {
        let log = self.log_of(hub).await?;
        let page = log.read(after, max).await?;
        let lost: u64 = page
            .missing
            .iter()
            .map(|range| range.end() - range.start() + 1)
            .sum();
        let found = u64::try_from(page.records.len()).unwrap_or(u64::MAX);
        let expired = (page.next - after.min(page.next)).saturating_sub(lost + found);
        let mut missing = page.missing;
        let mut events = Vec::with_capacity(page.records.len());
        for record in page.records {
            match decode(&record.payload) {
                Some((event, destinations)) => {
                    if let Some(enrichments) = destinations.enrichments(endpoint) {
                        events.push(StoredEvent {
                            offset: record.offset,
                            event: event.enriched(enrichments),
                        });
                    }
                }
                // Whole, but not by our hand.
                None => missing.push(record.offset..=record.offset),
            }
        }
        missing.sort_unstable_by_key(|range| *range.start());
        Ok(EventPage {
            events,
            missing,
            expired,
            next: page.next,
        })
    }

    /// The number of a hub's newest event, 0 before the first event.
    #[must_use]
    pub fn last_event(&self, hub: &HubName) -> u64 {
        self.inner.logs.opened(hub).map_or(0, |log| log.last())
    }

    /// Returns once an event of a hub after this number is on disk. Cancel-safe.
    pub async fn wait_for_events(&self, hub: &HubName, after: u64) -> Result<(), EventError> {
        self.log_of(hub).await?.wait_after(after).await;
        Ok(())
    }

    /// Forgets events that are older than they are kept, also where no new ones come.
    pub async fn expire_telemetry(&self, now: Timestamp) {
        for (_, log) in self.inner.logs.all() {
            log.trim(now.ticks()).await;
        }
    }

    /// Asks the logs that could not be opened or written whether they can be now.
    pub(super) async fn require_telemetry_writable(&self) -> Result<(), EventLogError> {
        for hub in self.inner.logs.refused() {
            self.log_of(&hub).await?;
        }
        for (_, log) in self.inner.logs.all() {
            log.require_writable().await?;
        }
        Ok(())
    }

    /// How the logs of the hubs are.
    pub async fn telemetry_state(&self) -> Vec<TelemetryState> {
        let mut states = Vec::new();
        for (hub, log) in self.inner.logs.all() {
            // What cannot be read has no age; a reader of events gets the reason.
            let oldest = log.oldest().await.ok().flatten();
            states.push(TelemetryState {
                hub,
                bytes: log.bytes(),
                oldest: oldest.map(|record| Timestamp::from_ticks(record.at)),
                failing: log.is_failing(),
            });
        }
        states.extend(
            self.inner
                .logs
                .refused()
                .into_iter()
                .map(|hub| TelemetryState {
                    hub,
                    bytes: 0,
                    oldest: None,
                    failing: true,
                }),
        );
        states
    }
}
