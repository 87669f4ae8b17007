//! A port of its own for health and metrics, in plain HTTP, for the operator's network. Devices
//! do not reach it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::accept::PAUSE;
use crate::https::{HEADER_DEADLINE, WRITE_TIMEOUT};
use crate::shutdown;
use crate::write_timeout::WriteTimeout;

/// Open connections; more wait in the listen queue.
const CONNECTIONS: usize = 64;
/// The size of the read buffer, which is also the longest head of a request, in bytes.
const MAX_BUFFER: usize = 16 * 1024;

/// Serves until `stopping` turns true; connections that are open then are cut.
pub async fn run(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Cancel-safe: waiting for a permit and for a connection loses nothing when dropped.
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = shutdown::requested(&mut stopping) => return,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, permit)) => {
                let router = router.clone();
                connections.spawn(async move {
                    serve(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection to the health port was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await;
    let permit = permit.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn serve(stream: TcpStream, router: Router) {
    let stream = WriteTimeout::new(stream, WRITE_TIMEOUT);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            match router.oneshot(request.map(Body::new)).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(error = %error, "a connection to the health port ended");
    }
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
        let server_task = tokio::spawn(run(listener, router, stopping));
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
}
