//! Events as messages of a stream of NATS JetStream: the body as it came, the properties as headers.
//! An event is delivered when the stream has acknowledged it.

use ids::HubName;
use outbound::{
    PublishFault, StreamConnection, StreamFault, StreamLogin, StreamMessage, StreamServer,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use registry::StoredEvent;
use serde_json::{Map, Value};
use wire::muster_api::routing::{NatsEndpoint, NatsPassword};
use zeroize::Zeroizing;

use super::backlog::{Attempt, Outcome};
use super::on_behalf;
use super::webhook::{ENDPOINT, HUB};
use crate::event_view::without_body;
use crate::service::Hub;

/// Before the name of an application property, as in the device API.
const APPLICATION: &str = "iothub-app-";
/// The place of the event in the log of its hub, as AMQP readers of Azure know it.
const OFFSET: &str = "x-opt-offset";
/// What a header cannot have, and what that is encoded with.
const VALUE: &AsciiSet = &CONTROLS.add(b'%');
const NAME: &AsciiSet = &VALUE.add(b' ').add(b':');

/// A stream, and the connection to it while there is one.
pub(super) struct NatsStream {
    endpoint: NatsEndpoint,
    connection: Option<Box<dyn StreamConnection>>,
}

impl NatsStream {
    pub(super) fn new(endpoint: NatsEndpoint) -> Self {
        Self {
            endpoint,
            connection: None,
        }
    }

    pub(super) async fn publish(
        &mut self,
        hub: &Hub,
        at: &HubName,
        events: &[StoredEvent],
    ) -> Attempt {
        let Err(error) = self.try_publish(hub, at, events).await else {
            return Outcome::Delivered.into();
        };
        let outcome = match error.fault {
            StreamFault::Refused(problem) => Outcome::Refused(problem),
            fault => {
                // The next attempt begins with a connection of its own.
                self.connection = None;
                Outcome::Failed(fault.to_string())
            }
        };
        Attempt {
            taken: error.acknowledged,
            outcome,
        }
    }

    async fn try_publish(
        &mut self,
        hub: &Hub,
        at: &HubName,
        events: &[StoredEvent],
    ) -> Result<(), PublishFault> {
        let connection = match &mut self.connection {
            Some(open) => open,
            none => none.insert(
                hub.streams()
                    .connect(server(hub, at, &self.endpoint))
                    .await?,
            ),
        };
        let message = |event: &StoredEvent| message(at, &self.endpoint, event);
        connection
            .publish(events.iter().map(message).collect())
            .await
    }
}

fn server(hub: &Hub, at: &HubName, endpoint: &NatsEndpoint) -> StreamServer {
    let reveal = |password: &NatsPassword| Zeroizing::new(password.reveal().to_owned());
    let login = match (&endpoint.user, &endpoint.password) {
        (Some(user), Some(password)) => StreamLogin::Password {
            user: user.clone(),
            password: reveal(password),
        },
        (None, Some(token)) => StreamLogin::Token(reveal(token)),
        (_, None) => StreamLogin::Anonymous,
    };
    StreamServer {
        on_behalf: on_behalf(hub, at),
        host: endpoint.url.host().to_owned(),
        port: endpoint.url.port(),
        is_tls: endpoint.url.is_tls(),
        login,
    }
}

fn message(at: &HubName, endpoint: &NatsEndpoint, stored: &StoredEvent) -> StreamMessage {
    let (name, offset, event) = (&endpoint.name, stored.offset, &stored.event);
    let document = without_body(stored);
    let mut headers = vec![
        (HUB.to_owned(), at.to_string()),
        (ENDPOINT.to_owned(), name.to_string()),
        (OFFSET.to_owned(), offset.to_string()),
    ];
    headers.extend(encoded("", document.system_properties));
    headers.extend(encoded(APPLICATION, document.properties));
    let subject = &endpoint.subject;
    StreamMessage {
        // With the time: after a restore of an older log, offsets are given out again.
        id: format!("{at}.{name}.{offset}.{}", event.enqueued.ticks()),
        subject: subject.of_event(at, &event.device, event.source),
        headers,
        body: event.body.clone(),
    }
}

fn encoded(
    prefix: &'static str,
    properties: Map<String, Value>,
) -> impl Iterator<Item = (String, String)> {
    properties.into_iter().map(move |(name, value)| {
        let name = utf8_percent_encode(&name, NAME);
        let text = value.as_str().unwrap_or_default();
        let mut value = utf8_percent_encode(text, VALUE).to_string();
        // Readers cut blanks at the ends off.
        if value.trim_matches(' ').len() < value.len() {
            value = value.replace(' ', "%20");
        }
        (format!("{prefix}{name}"), value)
    })
}

#[cfg(test)]
mod tests {
    use ids::Timestamp;
    use registry::Event;
    use serde_json::json;
    use wire::telemetry::EventSource;

    use super::*;

    #[test]
    fn an_event_is_its_body_with_its_properties_as_headers() {
        let endpoint = json!({"name": "nats", "url": "tls://nats.example.org"});
        let endpoint: NatsEndpoint = serde_json::from_value(endpoint).unwrap();
        let pairs = [
            ("$.mid", "m 1"),
            ("$.ct", "application/json; charset=utf-8"),
            ("k", " v"),
            ("a:b é", "1\r\n2%"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let event = Event {
            hub: "hub".parse().unwrap(),
            device: "d.1".parse().unwrap(),
            module: None,
            enqueued: Timestamp::from_unix_seconds(1),
            source: EventSource::DeviceMessages,
            sender: None,
            properties: pairs.to_vec(),
            body: b"\x00{}".to_vec(),
        };
        let stored = StoredEvent { offset: 7, event };
        let message = message(&stored.event.hub, &endpoint, &stored);
        assert_eq!(message.id, "hub.nats.7.10000000");
        assert_eq!(message.subject, "muster.hub.d%2E1");
        assert_eq!(message.body, stored.event.body);
        let header = |wanted: &str| {
            let found = message.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        for (name, value) in [
            ("x-muster-hub", "hub"),
            ("x-muster-endpoint", "nats"),
            ("x-opt-offset", "7"),
            ("message-id", "m 1"),
            ("content-type", "application/json; charset=utf-8"),
            ("iothub-connection-device-id", "d.1"),
            ("iothub-message-source", "Telemetry"),
            ("iothub-app-k", "%20v"),
            ("iothub-app-a%3Ab%20%C3%A9", "1%0D%0A2%25"),
        ] {
            assert_eq!(header(name), Some(value), "{name}");
        }
    }
}
