//! Telemetry: events as records of the log.
//!
//! A record is the length of a header (4 bytes, little-endian), the header (JSON) and the message.

use ids::Timestamp;
use serde_json::{Value, json};
use store::StoreError;
use store::log::MAX_RECORD;

use super::Registry;
use crate::error::StorageError;
use crate::event::{Event, EventError, StoredEvent};

impl Registry {
    /// Appends an event; returns its offset after it is on disk.
    ///
    /// # Errors
    /// See [`EventError`].
    pub async fn append_telemetry(&self, event: &Event) -> Result<u64, EventError> {
        let record = encode(event);
        if record.len() > MAX_RECORD {
            return Err(EventError::TooLarge {
                size: record.len(),
                max: MAX_RECORD,
            });
        }
        Ok(self.inner.log.append(record).await.map_err(StorageError)?)
    }

    /// Up to `max` events after `offset` (0 for the oldest kept), in order. Empty at the end of the log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn read_events(
        &self,
        after: u64,
        max: usize,
    ) -> Result<Vec<StoredEvent>, EventError> {
        let records = self
            .inner
            .log
            .read(after, max)
            .await
            .map_err(StorageError)?;
        let stored = |record: store::log::Record| {
            let event = decode(&record.payload).ok_or_else(|| {
                let cause = format!("event {} cannot be read", record.offset);
                StorageError(StoreError::damaged(self.inner.store.directory(), cause))
            })?;
            Ok(StoredEvent {
                offset: record.offset,
                event,
            })
        };
        records.into_iter().map(stored).collect()
    }

    /// The offset of the newest event, 0 when there is none.
    #[must_use]
    pub fn last_event(&self) -> u64 {
        self.inner.log.last()
    }

    /// Returns once an event after `offset` is on disk. Cancel-safe.
    pub async fn wait_for_events(&self, after: u64) {
        self.inner.log.wait_after(after).await;
    }
}

fn encode(event: &Event) -> Vec<u8> {
    let header = json!({
        "hub": event.hub,
        "device": event.device,
        "module": event.module,
        "enqueued": event.enqueued.ticks(),
        "properties": event.properties,
    })
    .to_string();
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(4 + header.len() + event.body.len());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(header.as_bytes());
    record.extend_from_slice(&event.body);
    record
}

fn decode(record: &[u8]) -> Option<Event> {
    let (length, rest) = record.split_first_chunk::<4>()?;
    let (header, body) =
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let mut header: Value = serde_json::from_slice(header).ok()?;
    let mut take = |name: &str| header.get_mut(name).map(Value::take);
    Some(Event {
        hub: serde_json::from_value(take("hub")?).ok()?,
        device: serde_json::from_value(take("device")?).ok()?,
        module: serde_json::from_value(take("module")?).ok()?,
        enqueued: Timestamp::from_ticks(take("enqueued")?.as_i64()?),
        properties: serde_json::from_value(take("properties")?).ok()?,
        body: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let event = Event {
            hub: "h".parse().unwrap(),
            device: "d".parse().unwrap(),
            module: Some("m".parse().unwrap()),
            enqueued: Timestamp::from_unix_seconds(5),
            properties: vec![
                ("$.ct".to_owned(), "application/json".to_owned()),
                ("a".to_owned(), "ü".to_owned()),
            ],
            body: vec![0, 255, 10],
        };
        assert_eq!(decode(&encode(&event)), Some(event));
        assert_eq!(decode(b"\xff\xff\xff\xff"), None);
    }
}
