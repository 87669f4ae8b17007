//! The accept loop of a TLS port: accept, queue, do the handshake within a deadline, hand over.
//!
//! Connections are accepted as they come and wait in a [`HandshakeQueue`]. A handshake begins only
//! when nothing else is ready to run: clients that are connected go before clients that are not,
//! and an overload of new connections does not slow down the others.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use pki::SeenIssuers;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::address_limit::{AddressLimit, ConnectionSlot};
use crate::peer::Peer;
use crate::unproven::{EvictionNotice, TrackedConnection, UnprovenConnections};
use crate::{shutdown, tls};

mod handshake_queue;
mod metered;

pub use metered::{HandshakeMeter, Meter, Metered};

use handshake_queue::HandshakeQueue;

/// A connection whose handshake is done. Boxed, because every layer that takes it by value would
/// keep room for it as long as the connection lives.
pub type Connection = Box<TlsStream<Metered<TcpStream, HandshakeMeter>>>;

/// A client that has not finished its handshake by then is disconnected.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(20);
/// Connections that are accepted before the next handshake begins.
const ACCEPT_BATCH: usize = 64;
/// A pause after a connection could not be accepted. The cause is most likely a
/// lack of file descriptors.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// One listening port of the server.
pub struct Port {
    /// The value of the label `port` in logs and metrics.
    pub name: &'static str,
    /// Bound, and not accepted from by anything else.
    pub listener: TcpListener,
    /// The TLS of the port, made with [`tls::server_config`].
    pub tls: TlsAcceptor,
    /// Issuer certificates that were parsed before, shared by all ports.
    pub seen: Arc<SeenIssuers>,
    /// The connections of this process, shared by all ports.
    pub unproven: UnprovenConnections,
    /// The connections of each address, shared by all ports.
    pub per_address: AddressLimit,
    /// Connections of this port that may wait for their handshake.
    pub max_queued: usize,
}

/// What every connection of a port needs, shared by all of them.
struct Acceptor {
    name: &'static str,
    tls: TlsAcceptor,
    seen: Arc<SeenIssuers>,
    open: Gauge,
    done: Counter,
    failed: Counter,
    late: Counter,
}

/// A connection that waits for its handshake.
struct Incoming {
    stream: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
}

/// Accepts until `stopping` turns true, then waits until the open connections have ended.
pub async fn run<H, F>(port: Port, mut stopping: watch::Receiver<bool>, handle: H)
where
    H: Fn(Connection, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut queue = HandshakeQueue::new(port.max_queued);
    let (acceptor, handle) = (Arc::new(Acceptor::new(&port)), Arc::new(handle));
    while !*stopping.borrow() {
        if queue.is_empty() {
            // Cancel-safe: waiting for a connection loses nothing when dropped.
            tokio::select! {
                accepted = port.listener.accept() => port.enqueue(accepted, &mut queue).await,
                () = shutdown::requested(&mut stopping) => break,
            }
        }
        port.accept_ready(&mut queue).await;
        // Connections that have ended leave the set here.
        while connections.try_join_next().is_some() {}
        let now = Instant::now();
        while queue.pop_overdue(now).is_some() {
            port.count_refusal("waited_too_long");
        }
        if let Some(incoming) = queue.pop(now) {
            let tracked = port.unproven.enter(incoming.peer.ip());
            connections.spawn(serve(
                acceptor.clone(),
                incoming,
                tracked,
                handle.clone(),
                stopping.clone(),
            ));
        }
        // The runtime comes back here when nothing else is ready, or after a number of other tasks.
        yield_now().await;
    }
    drop((port.listener, queue));
    while connections.join_next().await.is_some() {}
}

impl Port {
    /// Queues the connections that have arrived by now.
    async fn accept_ready(&self, queue: &mut HandshakeQueue<Incoming>) {
        for _ in 0..ACCEPT_BATCH {
            let accepted = poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx))).await;
            match accepted {
                Poll::Ready(Ok(accepted)) => self.enqueue(Ok(accepted), queue).await,
                // The next `accept` gets the same error and handles it.
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }

    /// Queues a connection, if its address may have one more.
    async fn enqueue(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        queue: &mut HandshakeQueue<Incoming>,
    ) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(
                    port = self.name,
                    error = %error,
                    "a connection was not accepted"
                );
                return tokio::time::sleep(PAUSE).await;
            }
        };
        let Some(slot) = self.per_address.reserve(peer.ip()) else {
            tracing::debug!(
                port = self.name,
                client.address = %peer,
                "its address has too many connections"
            );
            return self.count_refusal("address");
        };
        let incoming = Incoming { stream, peer, slot };
        if queue.push(incoming, Instant::now()).is_some() {
            self.count_refusal("overloaded");
        }
    }

    fn count_refusal(&self, cause: &'static str) {
        let (name, port) = ("muster_connections_refused_total", self.name);
        counter!(name, "port" => port, "cause" => cause).increment(1);
    }
}

impl Acceptor {
    fn new(port: &Port) -> Self {
        let (name, counted) = (port.name, "muster_tls_handshakes_total");
        let handshakes =
            |result: &'static str| counter!(counted, "port" => name, "result" => result);
        Self {
            name,
            tls: port.tls.clone(),
            seen: port.seen.clone(),
            open: gauge!("muster_connections", "port" => name),
            done: handshakes("done"),
            failed: handshakes("failed"),
            late: handshakes("timeout"),
        }
    }

    /// The stream after its handshake; `None` when that failed or took too long.
    async fn handshake(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        // Responses are small, and the peer waits for them.
        let _ = stream.set_nodelay(true);
        let stream = Metered::new(stream, HandshakeMeter::default());
        let accepting = self.tls.accept(stream);
        match tokio::time::timeout(HANDSHAKE_DEADLINE, accepting).await {
            Ok(Ok(mut stream)) => {
                self.done.increment(1);
                stream.get_mut().0.meter_mut().stop();
                Some(Box::new(stream))
            }
            Ok(Err(error)) => {
                tracing::info!(
                    port = self.name,
                    client.address = %peer,
                    error = %error,
                    "the TLS handshake of {} failed",
                    peer.ip()
                );
                self.failed.increment(1);
                None
            }
            Err(_) => {
                self.late.increment(1);
                None
            }
        }
    }
}

/// Runs one connection from its handshake to its end. The future of an `async fn` has room for its
/// arguments twice; that of a block has not.
fn serve<H, F>(
    acceptor: Arc<Acceptor>,
    incoming: Incoming,
    (connection, eviction): (TrackedConnection, EvictionNotice),
    handle: Arc<H>,
    mut stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    H: Fn(Connection, Peer) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    let Incoming { stream, peer, slot } = incoming;
    async move {
        // An evicted connection is cut at any point, as if its client had closed it.
        let mut evicted = pin!(eviction.evicted());
        // Boxed, so that a connection that lives for months does not carry the handshake's state.
        let handshake = Box::pin(acceptor.handshake(stream, peer));
        // A client whose handshake is cut by a stop has been promised nothing.
        let stream = tokio::select! {
            stream = handshake => stream,
            () = shutdown::requested(&mut stopping) => None,
            _ = &mut evicted => None,
        };
        let Some(stream) = stream else { return };
        let peer = Peer {
            chain: tls::peer_chain(stream.get_ref().1, &acceptor.seen, peer),
            address: peer.ip(),
            connection,
        };
        let _open = OpenConnection::count(&acceptor.open);
        tokio::select! {
            () = handle(stream, peer) => {}
            _ = evicted => {}
        }
        drop(slot);
    }
}

/// Counts an open connection until it is dropped, however the connection ends.
struct OpenConnection<'a>(&'a Gauge);

impl<'a> OpenConnection<'a> {
    fn count(gauge: &'a Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
