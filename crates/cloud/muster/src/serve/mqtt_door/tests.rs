//! Clients that do not keep their side, on virtual time: it passes when everybody waits.

use std::io::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use registry::{Init, Registry, SystemEntropy};
use tokio::io::ReadBuf;

use super::*;
use crate::clock;
use crate::serve::accept::{Metered, Room, Strangers};
use crate::serve::outbound::{Guard, OutboundClient};

/// A client that says something and then neither speaks nor reads.
struct Deaf {
    says: &'static [u8],
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.says.is_empty() {
            return Poll::Pending;
        }
        buffer.put_slice(self.says);
        self.says = &[];
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Pending
    }
}

pub async fn front(directory: &std::path::Path) -> Front {
    let (_, dps, hub) = services(directory).await;
    Front::new(dps, hub, Router::new())
}

pub async fn services(directory: &std::path::Path) -> (Registry, dps::Dps, hub::Hub) {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let init = Init {
        hub_name: ids::HubName::parse("hub").unwrap(),
        hub_host: ids::HubHost::parse("hub.example").unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let host = init.hub_host.clone();
    let registry = Registry::open(directory, init, clock::now()).await.unwrap();
    let clock = Arc::new(clock::now);
    let hub = hub::Hub::new(
        registry.clone(),
        hub::HubOptions {
            clock: clock.clone(),
            pace: hub::Pace::default(),
        },
    );
    let options = dps::DpsOptions {
        host,
        await_certificate_for_hosts: None,
        device_issuers: Arc::new(ca::DeviceIssuers::at(directory)),
        outbound: Arc::new(OutboundClient::new(None, Guard::default(), false).unwrap()),
        clock,
        limits: dps::AdmissionLimits::default(),
    };
    let dps = dps::Dps::new(registry.clone(), options);
    (registry, dps, hub)
}

/// How long the door stays with a client, once the server is told to stop or not.
async fn stays(client: Deaf, stopping: bool) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let front = front(directory.path()).await;
    let (_stop, stopping) = watch::channel(stopping);
    let begun = Instant::now();
    serve(client, peer(), front, stopping).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_refusal_is_let_go() {
    // CONNECT of level 3 ("MQIsdp" was its name), which is answered with CONNACK 1.
    let says = b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00";
    let stayed = stays(Deaf { says }, false).await;
    assert!(stayed >= SEND_DEADLINE, "the answer was not tried");
    // H19: one deadline, not one after the other.
    assert!(
        stayed < SEND_DEADLINE + Duration::from_secs(1),
        "{stayed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_connect_ends_with_its_deadline_and_at_once_when_the_server_stops() {
    let waited = stays(Deaf { says: b"\x10" }, false).await;
    assert!(waited >= CONNECT_DEADLINE, "{waited:?}");
    let stopped = stays(Deaf { says: b"\x10" }, true).await;
    assert!(
        stopped <= SEND_DEADLINE,
        "only the goodbye is waited for: {stopped:?}"
    );
}

/// What a client sends to begin a provisioning session; its keep-alive promises nothing.
fn provisioning_connect() -> Vec<u8> {
    let field = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length, text.as_bytes()].concat()
    };
    let username = "0ne00000000/registrations/dev1/api-version=2019-03-31";
    let body = [
        field("MQTT"),
        vec![4, 0x82, 0, 0],
        field("dev1"),
        field(username),
    ]
    .concat();
    [vec![0x10, u8::try_from(body.len()).unwrap()], body].concat()
}

/// Sends `first`, then `again` every twenty seconds, and reads all the time; how long it may stay, and what it was sent.
async fn talks(first: &[u8], again: &'static [u8]) -> (Duration, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let front = front(directory.path()).await;
    let (_stop, stopping) = watch::channel(false);
    let (near, far) = tokio::io::duplex(1024 * 1024);
    let (mut reading, mut writing) = tokio::io::split(far);
    writing.write_all(first).await.unwrap();
    let begun = Instant::now();
    tokio::spawn(async move {
        // Virtual time: what is under test is a clock.
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if writing.write_all(again).await.is_err() {
                return;
            }
        }
    });
    let peer = peer();
    let near = Metered::new(near, peer.visit.clone());
    serve(near, peer, front, stopping).await;
    let stayed = begun.elapsed();
    let mut heard = Vec::new();
    reading.read_to_end(&mut heard).await.unwrap();
    (stayed, heard)
}

const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const PINGREQ: &[u8] = b"\xc0\x00";

#[tokio::test(start_paused = true)]
async fn a_provisioning_session_without_a_useful_request_lasts_a_minute() {
    // C2: pings keep a connection alive, and are of no use.
    let (stayed, heard) = talks(&provisioning_connect(), PINGREQ).await;
    assert!(heard.starts_with(CONNACK), "{heard:?}");
    assert!(heard.len() > CONNACK.len(), "its pings were answered");
    let minute = Duration::from_secs(60);
    assert!(stayed >= minute && stayed < minute + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_is_not_finished_ends_its_connection() {
    // C3: a PUBLISH of 64 KiB of which all but one byte comes, and then nothing or a byte now and then.
    let half = [&[0x30, 0x80, 0x80, 0x04], &[0; 65_535 - 100][..]].concat();
    let said = [provisioning_connect(), half].concat();
    for again in [&b""[..], b"\x00"] {
        let (stayed, heard) = talks(&said, again).await;
        assert_eq!(heard, CONNACK);
        assert!(stayed >= PACKET_DEADLINE, "{stayed:?}");
        assert!(stayed < PACKET_DEADLINE + Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn packets_may_be_as_large_as_who_sends_them_has_proved() {
    // C3: 21 KiB before CONNACK, 101 KiB in a provisioning session.
    let (stayed, heard) = talks(b"\x10\x80\xa8\x01", b"").await;
    assert!(heard.is_empty() && stayed.is_zero(), "{stayed:?} {heard:?}");
    let publish = b"\x30\x80\xa8\x06".to_vec();
    let said = [provisioning_connect(), publish].concat();
    let (stayed, heard) = talks(&said, b"").await;
    assert_eq!(heard, CONNACK);
    assert!(stayed.is_zero(), "{stayed:?}");
}

fn peer() -> Peer {
    Peer {
        chain: pki::PeerChain::default(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        visit: visit(),
    }
}

/// The only visit to a server with room for more.
pub fn visit() -> Visit {
    let room = Room {
        proven: 10,
        unproven: 10,
        unproven_per_address: 10,
        unproven_input: 1024 * 1024,
    };
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    Strangers::new(room).enter(address).0
}
