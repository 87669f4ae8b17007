//! Events as records of a log.
//!
//! A record is the length of a header (4 bytes, little-endian), the header (JSON) and the message.

use std::sync::Arc;

use ids::{DeviceId, GenerationId, HubName, ModuleId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::telemetry::{AuthMethod, EventSource, SenderStamp};

use crate::event::Event;
use crate::routing::{Destination, Destinations};

/// The header as it is written. What is usual is left out.
#[derive(Serialize)]
struct Header<'a> {
    hub: &'a HubName,
    device: &'a DeviceId,
    module: Option<&'a ModuleId>,
    enqueued: i64,
    properties: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<&'a GenerationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a [Destination]>,
}

/// The header as it is read. Older versions wrote the first five fields.
#[derive(Deserialize)]
struct StoredHeader {
    hub: HubName,
    device: DeviceId,
    module: Option<ModuleId>,
    enqueued: i64,
    properties: Vec<(String, String)>,
    source: Option<String>,
    generation: Option<GenerationId>,
    auth: Option<String>,
    model: Option<String>,
    to: Option<Vec<Destination>>,
}

/// Bytes of a header with few properties.
const USUAL_HEADER: usize = 256;

pub(in crate::registry) fn encode(event: &Event, destinations: &Destinations) -> Vec<u8> {
    let sender = event.sender.as_deref();
    let header = Header {
        hub: &event.hub,
        device: &event.device,
        module: event.module.as_ref(),
        enqueued: event.enqueued.ticks(),
        properties: &event.properties,
        source: match event.source {
            EventSource::DeviceMessages => None,
            other => Some(other.name()),
        },
        generation: sender.map(|sender| &sender.generation_id),
        auth: sender.map(|sender| sender.auth.name()),
        model: sender.and_then(|sender| sender.model_id.as_deref()),
        to: match destinations {
            Destinations::BuiltIn => None,
            Destinations::Listed(listed) => Some(listed),
        },
    };
    let mut record = Vec::with_capacity(4 + USUAL_HEADER + event.body.len());
    record.extend_from_slice(&[0; 4]);
    // Texts and numbers written to memory do not fail.
    if serde_json::to_writer(&mut record, &header).is_err() {
        record.truncate(4);
    }
    let length = u32::try_from(record.len() - 4).unwrap_or(u32::MAX);
    record[..4].copy_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&event.body);
    record
}

pub(in crate::registry) fn decode(record: &[u8]) -> Option<(Event, Destinations)> {
    let (length, rest) = record.split_first_chunk::<4>()?;
    let (header, body) =
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let header: StoredHeader = serde_json::from_slice(header).ok()?;
    let auth = header.auth.as_deref().and_then(AuthMethod::named);
    let sender = header.generation.zip(auth);
    let destinations = header
        .to
        .map_or(Destinations::BuiltIn, Destinations::Listed);
    let event = Event {
        hub: header.hub,
        device: header.device,
        module: header.module,
        enqueued: Timestamp::from_ticks(header.enqueued),
        source: match header.source {
            Some(name) => name.parse().ok()?,
            None => EventSource::DeviceMessages,
        },
        sender: sender.map(|(generation_id, auth)| {
            Arc::new(SenderStamp {
                generation_id,
                auth,
                model_id: header.model,
            })
        }),
        properties: header.properties,
        body: body.to_vec(),
    };
    Some((event, destinations))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            hub: "h".parse().unwrap(),
            device: "d".parse().unwrap(),
            module: Some("m".parse().unwrap()),
            enqueued: Timestamp::from_unix_seconds(5),
            source: EventSource::DeviceMessages,
            sender: None,
            properties: vec![
                ("$.ct".to_owned(), "application/json".to_owned()),
                ("a".to_owned(), "ü".to_owned()),
            ],
            body: vec![0, 255, 10],
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let plain = event();
        let built_in = Destinations::BuiltIn;
        assert_eq!(decode(&encode(&plain, &built_in)), Some((plain, built_in)));
        let routed = Event {
            source: EventSource::TwinChangeEvents,
            sender: Some(Arc::new(SenderStamp {
                generation_id: "g1".parse().unwrap(),
                auth: AuthMethod::ModuleX509,
                model_id: Some("dtmi:a;1".to_owned()),
            })),
            ..event()
        };
        let enrichments = vec![("site".to_owned(), "Busan".to_owned())];
        let listed = Destinations::Listed(vec![Destination {
            endpoint: "hook".parse().unwrap(),
            enrichments,
        }]);
        assert_eq!(decode(&encode(&routed, &listed)), Some((routed, listed)));
        assert_eq!(decode(b"\xff\xff\xff\xff"), None);
    }

    #[test]
    fn a_record_of_an_older_version_is_for_the_built_in_endpoint() {
        let header = br#"{"hub":"h","device":"d","module":null,"enqueued":5,"properties":[]}"#;
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        let read = decode(&[&length, &header[..], b"body"].concat());
        let (read, destinations) = read.unwrap();
        assert_eq!((read.sender, destinations), (None, Destinations::BuiltIn));
        assert_eq!(
            (read.source, read.body),
            (EventSource::DeviceMessages, b"body".to_vec())
        );
    }
}
