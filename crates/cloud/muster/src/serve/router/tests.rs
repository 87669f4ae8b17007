//! Connections to the real services, on virtual time: it passes when every task waits.

use std::net::Ipv4Addr;
use std::time::Duration;

use provisioning::Provisioning;
use registry::{Init, SystemEntropy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;
use transport::unproven::{ConnectionLimits, UnprovenConnections};
use transport::{https, mqtts};

use super::*;
use crate::clock;
use crate::serve::certificate_issuer::ServiceIssuer;
use crate::serve::outbound_client::{Guard, OutboundClient};

async fn router(directory: &std::path::Path) -> Router {
    let (_, dps, hub) = services(directory).await;
    Router::new(dps, hub, AxumRouter::new())
}

pub async fn services(directory: &std::path::Path) -> (Provisioning, Dps, Hub) {
    services_at(directory, Arc::new(clock::now)).await
}

/// The services of a data directory, by any clock.
pub async fn services_at(
    directory: &std::path::Path,
    clock: ids::Clock,
) -> (Provisioning, Dps, Hub) {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let init = Init {
        rehearse: false,
        hub_name: ids::HubName::parse("hub").unwrap(),
        hub_host: ids::HubHost::parse("hub.example").unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let host = init.hub_host.clone();
    let opened = Provisioning::open(directory, init, Default::default(), clock());
    let provisioning = opened.await.unwrap();
    let outbound = Arc::new(OutboundClient::new(None, Guard::default(), false).unwrap());
    let options = dps::DpsOptions {
        host,
        await_certificate_for_hosts: None,
        device_issuers: Arc::new(ca::DeviceIssuers::at(directory)),
        outbound: outbound.clone(),
        publishes_logs: true,
        clock: clock.clone(),
        limits: dps::AdmissionLimits::default(),
    };
    let dps = Dps::new(provisioning.clone(), options);
    let hub = Hub::new(
        provisioning.registry().clone(),
        hub::HubOptions {
            uploads: hub::UploadOptions {
                directory: directory.join("uploads"),
                max_bytes: 1 << 20,
                min_free: 0,
            },
            transfers: directory.join("transfers"),
            clock,
            pace: transport::pace::Pace::default(),
            outbound: outbound.clone(),
            streams: outbound,
            certificate_issuer: Arc::new(ServiceIssuer(dps.clone())),
            limits: hub::HubLimits::default(),
            device_limits: hub::DeviceLimits::default(),
        },
    );
    (provisioning, dps, hub)
}

/// The only client of a server.
fn peer() -> Peer {
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

/// Begins a provisioning session, pings every twenty seconds, and reads all the time: how long the
/// session lasts, and what is read.
async fn pings() -> (Duration, Vec<u8>) {
    const PINGREQ: &[u8] = b"\xc0\x00";
    let directory = tempfile::tempdir().unwrap();
    let router = router(directory.path()).await;
    let (_stop, stopping) = watch::channel(false);
    let (server, client) = tokio::io::duplex(1024 * 1024);
    let (mut reading, mut writing) = tokio::io::split(client);
    writing.write_all(&provisioning_connect()).await.unwrap();
    let begun = Instant::now();
    tokio::spawn(async move {
        // Virtual time: what is under test is a clock.
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if writing.write_all(PINGREQ).await.is_err() {
                return;
            }
        }
    });
    mqtts::serve(server, peer(), router, stopping).await;
    let lasted = begun.elapsed();
    let mut read = Vec::new();
    reading.read_to_end(&mut read).await.unwrap();
    (lasted, read)
}

#[tokio::test(start_paused = true)]
async fn a_provisioning_session_without_a_useful_request_lasts_a_minute() {
    // C2: pings keep a connection alive, and are of no use.
    const CONNACK: &[u8] = b"\x20\x02\x00\x00";
    let (lasted, read) = pings().await;
    assert!(read.starts_with(CONNACK), "{read:?}");
    assert!(read.len() > CONNACK.len(), "its pings were answered");
    let minute = Duration::from_secs(60);
    assert!(lasted >= minute && lasted < minute + Duration::from_secs(1));
}

/// How long a connection takes to answer `request` and to close, and what it answers.
async fn answered(request: &str) -> (Duration, String) {
    let directory = tempfile::tempdir().unwrap();
    let router = router(directory.path()).await;
    let (_stop, stopping) = watch::channel(false);
    let (server, mut client) = tokio::io::duplex(64 * 1024);
    let begun = Instant::now();
    tokio::spawn(https::serve(server, peer(), router, stopping));
    client.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).await.unwrap();
    (begun.elapsed(), read)
}

/// H20: a body that is announced as too long is refused at once, without "100 Continue".
#[tokio::test(start_paused = true)]
async fn a_body_that_is_announced_as_too_long_is_not_waited_for() {
    let register = "PUT /0ne/registrations/a/register?api-version=2021-06-01";
    let events = "POST /devices/a/messages/events?api-version=2021-04-12";
    for (path, expected) in [(register, "HTTP/1.1 413"), (events, "HTTP/1.1 401")] {
        for expect in ["", "expect: 100-continue\r\n"] {
            for length in [900_000_u64, 100_000_000] {
                let head = format!(
                    "{path} HTTP/1.1\r\nhost: hub.example\r\n{expect}\
                     content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let (took, read) = answered(&head).await;
                assert!(read.starts_with(expected), "{head}: {read}");
                // Without Expect the body is on its way, and a short one is taken off the
                // connection.
                let may_wait = expect.is_empty() && length < 1_000_000;
                assert!(
                    may_wait || took < Duration::from_secs(1),
                    "{took:?}: {head}"
                );
            }
        }
    }
}

// H20.
#[tokio::test(start_paused = true)]
async fn a_late_body_is_answered_408() {
    let head = "PUT /0ne/registrations/a/register?api-version=2021-06-01 HTTP/1.1\r\n\
                host: a\r\ncontent-length: 40\r\n\r\n{";
    let (took, read) = answered(head).await;
    assert!(read.starts_with("HTTP/1.1 408"), "{read}");
    assert!(read.to_ascii_lowercase().contains("connection: close"));
    assert!((50..55).contains(&took.as_secs()));
}

/// Bytes of the future that a function returns.
fn returned<S, P, A, W, F>(_: impl Fn(S, P, A, W) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_session_that_says_nothing_is_small() {
    let size = returned(mqtts::serve::<transport::accept::Connection, Router>);
    // With what runs it the task fills an allocation of 2 KiB.
    assert!(size <= 1600, "{size} bytes");
}
