use bytes::{Bytes, BytesMut};
use device::{CallError, Credential, Event, Hub, HubError, HubOptions, Lost};
use futures_util::{SinkExt, StreamExt};
use ids::{DeviceId, ModuleId};
use mqtt::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Publish, SubAck,
    SubscribeResult, decode, encode,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use wire::device_api::message::PropertyBag;

use crate::server::{Listener, TestCa};

/// The hub's end of one connection, packet by packet.
pub struct Peer {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    received: BytesMut,
}

impl Peer {
    pub async fn accept(listener: &Listener) -> Self {
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), "/$iothub/websocket");
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            assert_eq!(protocol, "mqtt");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let stream = listener.accept().await;
        let socket = tokio_tungstenite::accept_hdr_async(stream, check)
            .await
            .unwrap();
        Self {
            socket,
            received: BytesMut::new(),
        }
    }

    /// The next packet; `None` when the device has gone.
    pub async fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.received, 1 << 20).unwrap() {
                return Some(packet);
            }
            match self.socket.next().await? {
                Ok(Message::Binary(bytes)) => self.received.extend_from_slice(&bytes),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub async fn publish(&mut self) -> Publish {
        match self.receive().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("a PUBLISH was expected, not {other:?}"),
        }
    }

    /// Sends a packet, cut into two frames: MQTT over WebSocket has no frame per packet.
    async fn send(&mut self, packet: Packet) {
        let mut out = BytesMut::new();
        encode(&packet, &mut out).unwrap();
        let rest = out.split_off(1);
        self.socket
            .send(Message::Binary(out.freeze()))
            .await
            .unwrap();
        self.socket
            .send(Message::Binary(rest.freeze()))
            .await
            .unwrap();
    }

    pub async fn say(&mut self, topic: impl Into<String>, payload: impl Into<Bytes>) {
        let (topic, payload) = (topic.into(), payload.into());
        let delivery = Delivery::AtMostOnce;
        self.send(Packet::Publish(Publish {
            topic,
            payload,
            retain: false,
            delivery,
        }))
        .await;
    }

    async fn greet(&mut self) -> Connect {
        self.greet_for(&[
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
        ])
        .await
    }

    /// Accepts a client that subscribes to these filters.
    pub async fn greet_for(&mut self, expected: &[&str]) -> Connect {
        let Some(Packet::Connect(connect)) = self.receive().await else {
            panic!("no CONNECT")
        };
        let accepted = ConnAck {
            session_present: false,
            code: ConnectReturnCode::Accepted,
        };
        self.send(Packet::ConnAck(accepted)).await;
        let Some(Packet::Subscribe(subscribe)) = self.receive().await else {
            panic!("no SUBSCRIBE")
        };
        let filters: Vec<&str> = subscribe
            .filters
            .iter()
            .map(|f| f.filter.as_str())
            .collect();
        assert_eq!(filters, expected);
        let results = subscribe
            .filters
            .iter()
            .map(|f| SubscribeResult::Granted(f.qos))
            .collect();
        self.send(Packet::SubAck(SubAck {
            id: subscribe.id,
            results,
        }))
        .await;
        connect
    }
}

fn options(ca: &TestCa, listener: &Listener) -> HubOptions {
    HubOptions {
        hub: listener.host(),
        gateway: None,
        device: DeviceId::parse("edge-001").unwrap(),
        module: Some(ModuleId::edge_agent()),
        credential: Credential::Token("the token".into()),
        trust: ca.trust(),
        keep_alive: 60,
        client_type: "test".into(),
    }
}

fn rid(topic: &str) -> &str {
    topic.split("$rid=").nth(1).unwrap()
}

/// The hub's part of the story below.
async fn play_the_hub(listener: Listener) {
    let mut peer = Peer::accept(&listener).await;
    let connect = peer.greet().await;
    assert_eq!(connect.client_id, "edge-001/$edgeAgent");
    let host = listener.host();
    let username =
        format!("{host}/edge-001/$edgeAgent/?api-version=2020-09-30&DeviceClientType=test");
    assert_eq!(connect.username.as_deref(), Some(username.as_str()));
    assert_eq!(connect.password.unwrap().as_bytes(), b"the token");

    let asked = peer.publish().await;
    assert!(asked.topic.starts_with("$iothub/twin/GET/?"));
    let twin = json!({"desired": {"a": 1, "$version": 3}, "reported": {"$version": 1}}).to_string();
    // A change that overtakes the answer is not lost.
    peer.say(
        "$iothub/twin/PATCH/properties/desired/?$version=4",
        r#"{"a":2,"$version":4}"#,
    )
    .await;
    peer.say(
        format!("$iothub/twin/res/200/?$rid={}", rid(&asked.topic)),
        twin,
    )
    .await;
    take_reported_and_telemetry(&mut peer).await;
    call_a_method(&mut peer).await;
    assert_eq!(peer.receive().await, Some(Packet::Disconnect));
}

async fn take_reported_and_telemetry(peer: &mut Peer) {
    let patch = peer.publish().await;
    assert_eq!(
        serde_json::from_slice::<Value>(&patch.payload).unwrap(),
        json!({"b": null})
    );
    peer.say(
        format!(
            "$iothub/twin/res/204/?$rid={}&$version=2",
            rid(&patch.topic)
        ),
        "",
    )
    .await;

    let event = peer.publish().await;
    assert_eq!(
        event.topic,
        "devices/edge-001/modules/$edgeAgent/messages/events/k=v"
    );
    let Delivery::AtLeastOnce { id, .. } = event.delivery else {
        panic!("QoS 1 was expected")
    };
    peer.send(Packet::PubAck(id)).await;
}

async fn call_a_method(peer: &mut Peer) {
    let delivery = Delivery::AtLeastOnce {
        id: PacketId::new(9).unwrap(),
        duplicate: false,
    };
    let topic = "$iothub/methods/POST/ping/?$rid=m1".to_owned();
    let call = Publish {
        topic,
        payload: Bytes::from_static(b"[1]"),
        retain: false,
        delivery,
    };
    peer.send(Packet::Publish(call)).await;
    assert_eq!(
        peer.receive().await,
        Some(Packet::PubAck(PacketId::new(9).unwrap()))
    );
    let response = peer.publish().await;
    assert_eq!(response.topic, "$iothub/methods/res/200/?$rid=m1");
    assert_eq!(response.payload, r#"{"ok":true}"#);
}

#[tokio::test]
async fn a_module_works_with_its_twin_methods_and_telemetry() {
    let ca = TestCa::new();
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener);
    let server = tokio::spawn(play_the_hub(listener));

    let (hub, mut events) = Hub::connect(&options).await.unwrap();
    let twin = hub.get_twin().await.unwrap();
    assert_eq!(twin.desired.version, 3);
    let Some(Event::Desired(change)) = events.next().await else {
        panic!("no change")
    };
    assert_eq!((change.version, &change.properties["a"]), (4, &json!(2)));
    assert_eq!(hub.report(&json!({"b": null}), None).await.unwrap(), 2);
    hub.send_telemetry("x", &PropertyBag::new().with("k", "v"))
        .await
        .unwrap();
    let Some(Event::Method(call)) = events.next().await else {
        panic!("no call")
    };
    assert_eq!(
        (call.name.as_str(), call.argument().unwrap()),
        ("ping", json!([1]))
    );
    hub.respond(&call, 200, &json!({"ok": true})).await.unwrap();
    hub.close().await;
    assert_eq!(events.next().await, Some(Event::Disconnected(Lost::Ended)));
    assert_eq!(events.next().await, None);
    server.await.unwrap();
}

#[tokio::test]
async fn a_hub_that_hangs_up_ends_events_and_calls() {
    let ca = TestCa::new();
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.greet().await;
        peer.publish().await;
    });
    let (hub, mut events) = Hub::connect(&options).await.unwrap();
    let error = hub.get_twin().await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected), "{error:?}");
    let Some(Event::Disconnected(lost)) = events.next().await else {
        panic!("no end")
    };
    assert!(matches!(lost, Lost::Closed | Lost::Broken(_)), "{lost:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_has_its_code() {
    let ca = TestCa::new();
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.receive().await;
        let refused = ConnAck {
            session_present: false,
            code: ConnectReturnCode::NotAuthorized,
        };
        peer.send(Packet::ConnAck(refused)).await;
        peer.receive().await
    });
    let error = Hub::connect(&options).await.unwrap_err();
    let HubError::Refused {
        code: ConnectReturnCode::NotAuthorized,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(server.await.unwrap(), None, "the device hangs up");
}

#[tokio::test]
async fn a_refused_twin_request_tells_why() {
    let ca = TestCa::new();
    let listener = Listener::bind(&ca).await;
    let options = options(&ca, &listener);
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.greet().await;
        let patch = peer.publish().await;
        let body = json!({
            "errorCode": 412_001,
            "trackingId": "t",
            "message": "version",
            "timestampUtc": "2024-01-01T00:00:00Z",
        });
        assert!(patch.topic.ends_with("&$version=7"));
        let rid = rid(&patch.topic).split('&').next().unwrap();
        peer.say(
            format!("$iothub/twin/res/412/?$rid={rid}"),
            body.to_string(),
        )
        .await;
        peer.receive().await
    });
    let (hub, events) = Hub::connect(&options).await.unwrap();
    let error = hub.report(&json!({}), Some(7)).await.unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Refused {
                status: 412,
                code: 412_001,
                ..
            }
        ),
        "{error:?}"
    );
    drop((hub, events));
    assert_eq!(
        server.await.unwrap(),
        Some(Packet::Disconnect),
        "dropping the handle ends the connection"
    );
}
