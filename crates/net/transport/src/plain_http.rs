//! Ports of their own in plain HTTP: health and metrics, in the operator's network, and what
//! issuers publish, for all that verify certificates. Nothing on them is secret.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::accept::PAUSE;
use crate::address_limit::AddressLimit;
use crate::body::{ResponseOwed, with_deadline};
use crate::https::{HEADER_DEADLINE, WRITE_TIMEOUT};
use crate::shutdown;
use crate::write_timeout::WriteTimeout;

/// The size of the read buffer, which is also the longest head of a request, in bytes.
const MAX_BUFFER: usize = 16 * 1024;

/// What a port is, and what its clients may cost.
#[derive(Debug, Clone, Copy)]
pub struct PlainPort {
    /// What it is called in the log.
    pub name: &'static str,
    /// Open connections; more wait in the listen queue.
    pub connections: usize,
    /// Open connections of one address; more are closed.
    pub per_address: usize,
    /// The time for the head of a request, which is also the longest idle time, and for its body.
    pub deadline: Duration,
    /// The longest life of a connection.
    pub life: Duration,
}

impl PlainPort {
    /// Health and metrics. The operator's network is trusted not to exhaust it.
    pub const HEALTH: Self = Self {
        name: "health",
        connections: 64,
        per_address: 64,
        deadline: HEADER_DEADLINE,
        life: Duration::from_secs(24 * 60 * 60),
    };
    /// What issuers publish. The longest list has time to arrive over a slow line.
    pub const PUBLIC: Self = Self {
        name: "public",
        connections: 512,
        per_address: 16,
        deadline: Duration::from_secs(15),
        life: Duration::from_secs(10 * 60),
    };

    /// Serves until `stopping` turns true; connections that are open then are cut.
    pub async fn run(
        self,
        listener: TcpListener,
        router: Router,
        mut stopping: watch::Receiver<bool>,
    ) {
        let permits = Arc::new(Semaphore::new(self.connections));
        let addresses = AddressLimit::new(self.per_address);
        let mut connections = JoinSet::new();
        loop {
            // Cancel-safe: waiting for a permit and for a connection loses nothing when dropped.
            let accepted = tokio::select! {
                accepted = accept(&listener, &permits) => accepted,
                () = shutdown::requested(&mut stopping) => return,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, address, permit)) => {
                    let Some(slot) = addresses.reserve(address.ip()) else {
                        continue;
                    };
                    let router = router.clone();
                    connections.spawn(async move {
                        // Its end is the client's loss: it has had the time.
                        let _ = timeout(self.life, self.serve(stream, router)).await;
                        drop((permit, slot));
                    });
                }
                Err(error) => {
                    let port = self.name;
                    tracing::warn!(%error, port, "a connection to a plain port was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, router: Router) {
        let stream = WriteTimeout::new(stream, WRITE_TIMEOUT);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move {
                let request = request.map(|body| {
                    let owed = ResponseOwed::default();
                    with_deadline(body, self.deadline, &owed, false).0
                });
                match router.oneshot(request).await {
                    Ok(response) => Ok::<_, Infallible>(response),
                    Err(never) => match never {},
                }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.deadline)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, port = self.name, "a connection to a plain port ended");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await;
    let permit = permit.map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    // A9.
    #[tokio::test]
    async fn it_answers_without_tls_until_the_server_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/metrics", get(|| async { "muster 1\n" }));
        let server_task = tokio::spawn(PlainPort::HEALTH.run(listener, router, stopping));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("muster 1\n"), "{answer}");
        let idle = TcpStream::connect(address).await.unwrap();
        stop.send(true).unwrap();
        server_task.await.unwrap();
        drop(idle);
    }

    #[tokio::test]
    async fn an_address_has_a_number_of_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopping) = watch::channel(false);
        let port = PlainPort {
            per_address: 1,
            ..PlainPort::PUBLIC
        };
        tokio::spawn(port.run(listener, Router::new(), stopping));
        let mut first = TcpStream::connect(address).await.unwrap();
        first
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        let mut second = TcpStream::connect(address).await.unwrap();
        let closed = second.read(&mut answer).await;
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    }
}
