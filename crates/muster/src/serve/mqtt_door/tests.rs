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
        },
    );
    let options = dps::DpsOptions {
        host,
        hosts_covered: None,
        device_issuers: Arc::new(ca::DeviceIssuers::at(directory)),
        outbound: Arc::new(crate::serve::outbound::OutboundClient::new(None).unwrap()),
        clock,
        limits: dps::AdmissionLimits::default(),
    };
    let dps = dps::Dps::new(registry, options);
    Front::new(dps, hub, Router::new())
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
    assert!(stayed <= 3 * SEND_DEADLINE, "{stayed:?}");
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

fn peer() -> Peer {
    Peer {
        chain: pki::PeerChain::default(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    }
}
