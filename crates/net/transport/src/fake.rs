//! A service for the tests of connections: it accepts everybody, and says nothing by itself.

use std::future::pending;
use std::net::Ipv4Addr;

use crate::device_session::{Close, ConnectRefused, DeviceSession, Ending, Outgoing};
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mqtt::{Connect, Publish, QoS, SubscribeResult, Will};

use crate::accept::{Peer, Room, Strangers};
use crate::service::{DeviceService, HttpService};

#[derive(Clone)]
pub struct Fake;

/// A session that takes packets of 100 KiB and proves nothing.
pub struct FakeSession;

impl DeviceService for Fake {
    type Session = FakeSession;

    async fn connect(&self, _: &Connect, _: Peer) -> Result<FakeSession, ConnectRefused> {
        Ok(FakeSession)
    }
}

impl HttpService for Fake {
    /// Waits for the body, and knows no path.
    async fn answer(&self, request: Request<Body>, _: Peer) -> Response<Body> {
        let _ = request.into_body().collect().await;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    fn needs_proof(&self, _: &str) -> bool {
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

    async fn publish(&mut self, _: Publish, _: &mut Vec<Outgoing>) -> Result<(), Close> {
        Ok(())
    }

    async fn next(&mut self) -> Outgoing {
        pending().await
    }

    async fn ended(self, _: Ending, _: Option<Will>) {}
}

/// The only client of a server with room for more.
pub fn peer() -> Peer {
    let room = Room {
        proven: 10,
        unproven: 10,
        unproven_per_address: 10,
        unproven_input: 1024 * 1024,
    };
    let address = Ipv4Addr::LOCALHOST.into();
    Peer {
        chain: pki::PeerChain::default(),
        address,
        visit: Strangers::new(room).enter(address).0,
    }
}
