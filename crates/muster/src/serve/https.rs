//! The HTTPS port: HTTP/1.1 over TLS, the client's chain beside every request, WebSocket upgrades to MQTT.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::PeerChain;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::front::Front;
use super::{shutdown, websocket};

/// Time for a request's headers to arrive; also how long an idle kept-alive connection stays.
const HEADER_DEADLINE: Duration = Duration::from_secs(75);
/// Bytes of headers and read buffer per connection.
const MAX_BUFFER: usize = 64 * 1024;

/// Serves one connection until its client or `stopping` ends it.
pub async fn serve(
    stream: TlsStream<TcpStream>,
    chain: PeerChain,
    front: Front,
    mut stopping: watch::Receiver<bool>,
) {
    let for_sockets = stopping.clone();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (front, chain, stopping) = (front.clone(), chain.clone(), for_sockets.clone());
        async move { Ok::<_, Infallible>(answer(request, chain, front, stopping).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // Cancel-safe: the connection is only polled, never dropped, by the arms.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown::told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "HTTPS connection ended");
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    chain: PeerChain,
    front: Front,
    stopping: watch::Receiver<bool>,
) -> Response<Body> {
    if websocket::is_asked_for(&request) {
        return websocket::upgrade(request, chain, front, stopping);
    }
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(chain);
    front.answer(request).await
}
