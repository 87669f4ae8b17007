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
                connections.spawn(async move {
                    serve_one(name, acceptor, stream, peer, handle).await;
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

async fn serve_one<H, F>(
    name: &'static str,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    handle: H,
) where
    H: Fn(TlsStream<TcpStream>, PeerChain) -> F,
    F: Future<Output = ()>,
{
    // Answers are small and awaited by the peer.
    let _ = stream.set_nodelay(true);
    // Boxed, so that a connection that lives for months does not carry the handshake's state.
    let handshake = Box::pin(tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics::counter!("muster_tls_handshakes_total", "port" => name, "result" => "failed").increment(1);
            tracing::info!(port = name, client.address = %peer, error = %error, "TLS handshake failed");
            return;
        }
        Err(_) => {
            metrics::counter!("muster_tls_handshakes_total", "port" => name, "result" => "timeout").increment(1);
            return;
        }
    };
    metrics::counter!("muster_tls_handshakes_total", "port" => name, "result" => "done").increment(1);
    metrics::gauge!("muster_connections", "port" => name).increment(1);
    let chain = tls::peer_chain(stream.get_ref().1);
    handle(stream, chain).await;
    metrics::gauge!("muster_connections", "port" => name).decrement(1);
}
