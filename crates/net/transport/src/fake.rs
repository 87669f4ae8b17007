//! A service for the tests of connections. It accepts every client and sends nothing by itself.

use std::future::pending;
use std::net::Ipv4Addr;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mqtt::{Connect, Publish, QoS, SubscribeResult, Will};

use crate::device_session::{Close, ConnectRefused, DeviceSession, Ending, NotKept, Outgoing};
use crate::peer::Peer;
use crate::service::{DeviceService, HttpService};
use crate::unproven::{ConnectionLimits, UnprovenConnections};

#[derive(Clone)]
pub struct Fake;

/// A session with packets of 100 KiB whose client stays unproven. It keeps messages to the topic
/// `kept`, except those whose payload is `bad`, and answers others with how many came together.
#[derive(Default)]
pub struct FakeSession {
    kept: Vec<usize>,
}

impl DeviceService for Fake {
    type Session = FakeSession;

    async fn connect(&self, _: &Connect, _: Peer) -> Result<FakeSession, ConnectRefused> {
        Ok(FakeSession::default())
    }
}

impl HttpService for Fake {
    /// Waits for the body, and has no path.
    async fn answer(&self, request: Request<Body>, _: Peer) -> Response<Body> {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    fn success_is_proof(&self, _: &str) -> bool {
        true
    }
}

impl DeviceSession for FakeSession {
    fn max_packet(&self) -> usize {
        100 * 1024
    }

    fn is_proven(&self) -> bool {
        false
    }

    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        pending()
    }

    async fn subscribe(&mut self, _: &str, qos: QoS) -> SubscribeResult {
        SubscribeResult::Granted(qos)
    }

    async fn unsubscribe(&mut self, _: &str) {}

    async fn publish(&mut self, _: Publish, replies: &mut Vec<Outgoing>) -> Result<(), Close> {
        replies.push(Outgoing {
            topic: "together".to_owned(),
            payload: format!("{:?}", self.kept).into(),
            qos: QoS::AtMostOnce,
            receipt: None,
        });
        Ok(())
    }

    fn keeps(&self, message: &Publish) -> bool {
        message.topic == "kept"
    }

    async fn keep(&mut self, messages: Vec<Publish>) -> Result<(), NotKept> {
        self.kept.push(messages.len());
        let bad = messages.iter().position(|message| message.payload == "bad");
        bad.map_or(Ok(()), |before| {
            let close = Close::new("bad", "a bad message");
            Err(NotKept { before, close })
        })
    }

    fn session_present(&self) -> bool {
        false
    }

    fn delivered(&mut self, _: i64) {}

    async fn next(&mut self) -> Outgoing {
        pending().await
    }

    async fn ended(self, _: Ending, _: Option<Will>) {}
}

/// The only client of a server.
pub fn peer() -> Peer {
    let limits = ConnectionLimits {
        proven: 10,
        unproven: 10,
        unproven_per_address: 10,
        unproven_input: 1024 * 1024,
    };
    let address = Ipv4Addr::LOCALHOST.into();
    Peer {
        chain: pki::PeerChain::default(),
        address,
        connection: UnprovenConnections::new(limits).enter(address).0,
    }
}
