//! Events as records of a log.
//!
//! A record is the length of a header (4 bytes, little-endian), the header (JSON) and the message.

use std::collections::HashSet;
use std::sync::Arc;

use ids::{DeviceId, GenerationId, HubName, ModuleId, Timestamp};
use serde::{Deserialize, Serialize};
use wire::telemetry::{AuthMethod, EventSource, SenderStamp};

use crate::event::Event;
use crate::routing::{Destination, Destinations, ListedDestinations};
use events::MAX_RECORD;

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
    /// Of all destinations, which name theirs by index.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    enrichments: &'a [(String, String)],
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
    #[serde(default)]
    enrichments: Vec<(String, String)>,
}

/// Bytes of a header with few properties.
const USUAL_HEADER: usize = 256;

pub(in crate::registry) fn encode(event: &Event, destinations: &Destinations) -> Vec<u8> {
    let sender = event.sender.as_deref();
    let listed = match destinations {
        Destinations::BuiltIn => None,
        Destinations::Listed(listed) => Some(listed),
    };
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
        to: listed.map(|listed| listed.endpoints.as_slice()),
        enrichments: listed.map_or(&[], |listed| &listed.enrichments),
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

/// The record of an event as it is routed; `None` when it goes nowhere. Where the enrichments do not
/// all have room in a record, the endpoints that they are for do not get the event. So a record is
/// longer than the log takes only when the event itself is.
pub(in crate::registry) fn encode_routed(
    event: &Event,
    destinations: &Destinations,
) -> Option<Vec<u8>> {
    if destinations.is_nowhere() {
        return None;
    }
    let record = encode(event, destinations);
    let Destinations::Listed(listed) = destinations else {
        return Some(record);
    };
    if record.len() <= MAX_RECORD || listed.enrichments.is_empty() {
        return Some(record);
    }
    let added: usize = listed.enrichments.iter().map(written).sum();
    let room = (MAX_RECORD + added).saturating_sub(record.len());
    let fitting = within(listed.clone(), room);
    tracing::warn!(
        hub.name = %event.hub,
        device.id = %event.device,
        endpoints = listed.endpoints.len() - fitting.endpoints.len(),
        "an event does not reach endpoints whose enrichments would make it too large"
    );
    let fitting = Destinations::Listed(fitting);
    (!fitting.is_nowhere()).then(|| encode(event, &fitting))
}

/// Bytes of an enrichment in a header, with a comma behind it.
fn written(pair: &(String, String)) -> usize {
    serde_json::to_vec(pair).map_or(usize::MAX, |text| text.len() + 1)
}

/// The endpoints whose enrichments have room, the first ones first. One that shares them with an
/// earlier endpoint needs no more.
fn within(listed: ListedDestinations, mut room: usize) -> ListedDestinations {
    let mut counted = HashSet::new();
    listed.retain(|to, enrichments| {
        let new = to.enrichments.iter().filter(|at| !counted.contains(*at));
        let new: Vec<usize> = new.copied().collect();
        let needed = new.iter().filter_map(|at| enrichments.get(*at));
        match room.checked_sub(needed.map(written).sum()) {
            None => false,
            Some(left) => {
                room = left;
                counted.extend(new);
                true
            }
        }
    })
}

pub(in crate::registry) fn decode(record: &[u8]) -> Option<(Event, Destinations)> {
    let (length, rest) = record.split_first_chunk::<4>()?;
    let (header, body) =
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let header: StoredHeader = serde_json::from_slice(header).ok()?;
    let auth = header.auth.as_deref().and_then(AuthMethod::named);
    let sender = header.generation.zip(auth);
    let destinations = match header.to {
        None => Destinations::BuiltIn,
        Some(to) => Destinations::Listed(ListedDestinations::new(to, header.enrichments)?),
    };
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

    /// Endpoints with the numbers of their enrichments, which are 100 KiB long.
    fn listed(endpoints: &[(&str, &[usize])], enrichments: usize) -> ListedDestinations {
        let endpoint = |(name, enrichments): &(&str, &[usize])| Destination {
            endpoint: name.parse().unwrap(),
            enrichments: enrichments.to_vec(),
        };
        let pair = |index| (format!("k{index}"), "v".repeat(100 * 1024));
        ListedDestinations::new(
            endpoints.iter().map(endpoint).collect(),
            (0..enrichments).map(pair).collect(),
        )
        .unwrap()
    }

    #[test]
    fn endpoints_whose_enrichments_have_no_room_do_not_get_the_event() {
        let event = Event {
            body: vec![0; 256 * 1024],
            ..event()
        };
        let to = listed(
            &[
                ("a", &[0, 1]),
                ("b", &[2]),
                ("c", &[1, 0]),
                ("d", &[]),
                ("e", &[1, 2]),
            ],
            3,
        );
        let record = encode_routed(&event, &Destinations::Listed(to)).unwrap();
        assert!(record.len() <= MAX_RECORD, "{}", record.len());
        let (read, destinations) = decode(&record).unwrap();
        assert_eq!(read, event);
        let keys = |endpoint: &str| {
            let found = destinations.enrichments(&endpoint.parse().unwrap())?;
            Some(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>())
        };
        let owned = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(keys("a"), owned(&["k0", "k1"]));
        assert_eq!((keys("b"), keys("e")), (None, None));
        assert_eq!(keys("c"), owned(&["k1", "k0"]));
        assert_eq!(keys("d"), owned(&[]));
        let nowhere = Destinations::Listed(listed(&[("a", &[0, 1, 2])], 3));
        assert_eq!(encode_routed(&event, &nowhere), None);
    }

    #[test]
    fn an_enrichment_that_is_not_there_is_damage() {
        let header = br#"{"hub":"h","device":"d","module":null,"enqueued":5,"properties":[],
            "to":[{"endpoint":"hook","enrichments":[1]}],"enrichments":[["k","v"]]}"#;
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        assert_eq!(decode(&[&length, &header[..]].concat()), None);
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
        let listed = Destinations::Listed(listed(&[("hook", &[1]), ("events", &[])], 2));
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
