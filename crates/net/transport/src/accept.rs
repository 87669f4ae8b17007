//! The accept loop that both ports share: admit, shake hands within a deadline, hand over.
//!
//! Connections are accepted as they come, however many there are, and wait in a lobby. A handshake is begun only when nothing else is ready to run: what
//! has been admitted goes before what has not, and an overload of newcomers does not slow down those who are inside.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::device_session::ConnectRefused;
use metrics::{Counter, Gauge, counter, gauge};
use mqtt::ConnectReturnCode;
use pki::{PeerChain, SeenIssuers};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{shutdown, tls};

mod address_limit;
mod handshake_queue;
mod metered;
mod unproven;

pub use address_limit::Addresses;
pub use metered::{Greeting, Metered};
pub use unproven::{Room, Strangers, TooMuch, Visit};

use address_limit::Seat;
use handshake_queue::Lobby;
use unproven::Stay;

/// What a connection is once its handshake is done.
pub type Connection = TlsStream<Greeting<TcpStream>>;

/// A client that has not finished its handshake by then is let go.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(20);
/// Connections that are accepted before the next handshake is begun.
const AT_A_TIME: usize = 64;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// What it showed in the handshake.
    pub chain: PeerChain,
    /// Where it connects from.
    pub address: IpAddr,
    /// What it may do, and how long it may stay.
    pub visit: Visit,
}

impl Peer {
    /// Runs `proof`, which proves the client when it succeeds. A place among the proven connections is held ready meanwhile.
    ///
    /// # Errors
    /// What `proof` says, or that there is no place.
    pub async fn prove_with<T>(
        &self,
        proof: impl Future<Output = Result<T, ConnectRefused>>,
    ) -> Result<T, ConnectRefused> {
        let Some(place) = self.visit.reserve() else {
            return Err(ConnectRefused::new(
                ConnectReturnCode::ServerUnavailable,
                "the server holds as many connections as it may; see max_connections",
            ));
        };
        let proven = proof.await?;
        self.visit.prove(place);
        Ok(proven)
    }
}

/// One listening port.
pub struct Port {
    /// Names the port in logs and metrics.
    pub name: &'static str,
    /// Bound, and not accepted from by anything else.
    pub listener: TcpListener,
    /// Made with [`tls::server_config`].
    pub acceptor: TlsAcceptor,
    /// Issuers whose certificates were read before.
    pub seen: Arc<SeenIssuers>,
    /// Connections that this process holds, all ports together.
    pub strangers: Strangers,
    /// How many there may be of each address.
    pub addresses: Addresses,
    /// Connections that wait here for their handshake at most.
    pub waiting: usize,
}

/// What every connection of a port needs, shared by all of them.
struct Reception {
    name: &'static str,
    acceptor: TlsAcceptor,
    seen: Arc<SeenIssuers>,
    open: Gauge,
    done: Counter,
    failed: Counter,
    late: Counter,
}

/// A connection whose client has not said anything yet, and its place among those of its address.
struct Arrival {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
}

/// Accepts until `stopping` turns true, then waits for the connections that are open.
pub async fn run<H, F>(port: Port, mut stopping: watch::Receiver<bool>, handle: H)
where
    H: Fn(Connection, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut lobby = Lobby::new(port.waiting);
    let reception = Arc::new(Reception::of(&port));
    while !*stopping.borrow() {
        if lobby.is_empty() {
            // Cancel-safe: waiting for a connection loses nothing when dropped.
            tokio::select! {
                arrived = port.listener.accept() => port.receive(arrived, &mut lobby).await,
                () = shutdown::told(&mut stopping) => break,
            }
        }
        port.receive_all(&mut lobby).await;
        // Reaps what has ended, so that the set holds only open connections.
        while connections.try_join_next().is_some() {}
        let now = Instant::now();
        while lobby.overdue(now).is_some() {
            port.count_refusal("waited_too_long");
        }
        if let Some(arrival) = lobby.next(now) {
            let reception = reception.clone();
            let visit = port.strangers.enter(arrival.peer.ip());
            connections.spawn(converse(
                reception,
                arrival,
                visit,
                handle.clone(),
                stopping.clone(),
            ));
        }
        // Comes back when there is nothing else to do, or after so many other turns that this one has waited long enough.
        yield_now().await;
    }
    drop((port.listener, lobby));
    while connections.join_next().await.is_some() {}
}

impl Port {
    /// Takes what has arrived by now.
    async fn receive_all(&self, lobby: &mut Lobby<Arrival>) {
        for _ in 0..AT_A_TIME {
            let accepted = poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx))).await;
            match accepted {
                Poll::Ready(Ok(arrived)) => self.receive(Ok(arrived), lobby).await,
                // The next wait for an arrival meets the same error and deals with it.
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }

    /// Gives a connection a seat in the lobby, if its address may have one more.
    async fn receive(
        &self,
        arrived: io::Result<(TcpStream, SocketAddr)>,
        lobby: &mut Lobby<Arrival>,
    ) {
        let (stream, peer) = match arrived {
            Ok(arrived) => arrived,
            Err(error) => {
                // Out of file descriptors, most likely: a pause lets connections end.
                tracing::warn!(port = self.name, error = %error, "a connection was not accepted");
                return tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let Some(seat) = self.addresses.enter(peer.ip()) else {
            tracing::debug!(port = self.name, client.address = %peer, "its address has too many connections");
            return self.count_refusal("address");
        };
        let arrival = Arrival { stream, peer, seat };
        if lobby.enter(arrival, Instant::now()).is_some() {
            self.count_refusal("crowded");
        }
    }

    fn count_refusal(&self, cause: &'static str) {
        let (name, port) = ("muster_connections_refused_total", self.name);
        counter!(name, "port" => port, "cause" => cause).increment(1);
    }
}

impl Reception {
    fn of(port: &Port) -> Self {
        let name = port.name;
        let handshakes = |result: &'static str| counter!("muster_tls_handshakes_total", "port" => name, "result" => result);
        Self {
            name,
            acceptor: port.acceptor.clone(),
            seen: port.seen.clone(),
            open: gauge!("muster_connections", "port" => name),
            done: handshakes("done"),
            failed: handshakes("failed"),
            late: handshakes("timeout"),
        }
    }

    /// The stream once its handshake is done; `None` when it failed or took too long.
    async fn shake_hands(&self, stream: TcpStream, peer: SocketAddr) -> Option<Connection> {
        // Answers are small and awaited by the peer.
        let _ = stream.set_nodelay(true);
        let accepting = self.acceptor.accept(Greeting::new(stream));
        match tokio::time::timeout(HANDSHAKE_DEADLINE, accepting).await {
            Ok(Ok(mut stream)) => {
                self.done.increment(1);
                stream.get_mut().0.is_done();
                Some(stream)
            }
            Ok(Err(error)) => {
                tracing::info!(port = self.name, client.address = %peer, error = %error, "the TLS handshake of {} failed", peer.ip());
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

/// One connection from its handshake to its end.
async fn converse<H, F>(
    reception: Arc<Reception>,
    arrival: Arrival,
    (visit, stay): (Visit, Stay),
    handle: H,
    mut stopping: watch::Receiver<bool>,
) where
    H: Fn(Connection, Peer) -> F,
    F: Future<Output = ()>,
{
    let Arrival { stream, peer, seat } = arrival;
    let conversation = async move {
        // Boxed, so that a connection that lives for months does not carry the handshake's state.
        let handshake = Box::pin(reception.shake_hands(stream, peer));
        // Nothing is promised to a client whose handshake a stop cuts.
        let stream = tokio::select! {
            stream = handshake => stream,
            () = shutdown::told(&mut stopping) => None,
        };
        let Some(stream) = stream else { return };
        let peer = Peer {
            chain: tls::peer_chain(stream.get_ref().1, &reception.seen, peer),
            address: peer.ip(),
            visit,
        };
        let _open = Open::counted(&reception.open);
        handle(stream, peer).await;
    };
    // What has proved nothing is cut where it is when its place is needed, as if its client had hung up.
    tokio::select! {
        () = conversation => {}
        _ = stay.over() => {}
    }
    drop(seat);
}

/// One that is open; counted until it is dropped, however it ends.
struct Open<'a>(&'a Gauge);

impl<'a> Open<'a> {
    fn counted(gauge: &'a Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
