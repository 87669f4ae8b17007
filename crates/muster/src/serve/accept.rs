//! The accept loop that both ports share: admit, shake hands within a deadline, hand over.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pki::PeerChain;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{shutdown, tls};

/// A client that has not finished its handshake by then is let go.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(20);

/// One listening port.
pub struct Port {
    /// Names the port in logs and metrics.
    pub name: &'static str,
    pub listener: TcpListener,
    pub acceptor: TlsAcceptor,
    /// Connections that this process holds at once, all ports together.
    pub admission: Arc<Semaphore>,
}

/// Accepts until `stopping` turns true, then waits for the connections that are open.
///
/// Every select arm is cancel-safe: accepting and waiting for a permit lose nothing when dropped.
pub async fn run<H, F>(port: Port, mut stopping: watch::Receiver<bool>, handle: H)
where
    H: Fn(TlsStream<TcpStream>, PeerChain) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = port.admission.clone().acquire_owned() => permit,
            () = shutdown::told(&mut stopping) => break,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = port.listener.accept() => accepted,
            () = shutdown::told(&mut stopping) => break,
        };
        // Reaps what has ended, so that the set holds only open connections.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (acceptor, handle, name) = (port.acceptor.clone(), handle.clone(), port.name);
                let mut stopping = stopping.clone();
                connections.spawn(async move {
                    // Boxed, so that a connection that lives for months does not carry the handshake's state.
                    let handshake = Box::pin(shake_hands(name, acceptor, stream, peer));
                    // Nothing is promised to a client whose handshake a stop cuts.
                    let stream = tokio::select! {
                        stream = handshake => stream,
                        () = shutdown::told(&mut stopping) => None,
                    };
                    if let Some(stream) = stream {
                        serve_one(name, stream, handle).await;
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: a pause lets connections end.
                tracing::warn!(port = port.name, error = %error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(port.listener);
    while connections.join_next().await.is_some() {}
}

/// The stream once its handshake is done; `None` when it failed or took too long.
async fn shake_hands(
    name: &'static str,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<TlsStream<TcpStream>> {
    // Answers are small and awaited by the peer.
    let _ = stream.set_nodelay(true);
    let (stream, result) = match tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream))
        .await
    {
        Ok(Ok(stream)) => (Some(stream), "done"),
        Ok(Err(error)) => {
            tracing::info!(port = name, client.address = %peer, error = %error, "TLS handshake failed");
            (None, "failed")
        }
        Err(_) => (None, "timeout"),
    };
    metrics::counter!("muster_tls_handshakes_total", "port" => name, "result" => result)
        .increment(1);
    stream
}

async fn serve_one<H, F>(name: &'static str, stream: TlsStream<TcpStream>, handle: H)
where
    H: Fn(TlsStream<TcpStream>, PeerChain) -> F,
    F: Future<Output = ()>,
{
    metrics::gauge!("muster_connections", "port" => name).increment(1);
    let chain = tls::peer_chain(stream.get_ref().1);
    handle(stream, chain).await;
    metrics::gauge!("muster_connections", "port" => name).decrement(1);
}
