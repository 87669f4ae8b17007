//! The HTTPS port: HTTP/1.1 over TLS, with WebSocket upgrades to MQTT.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::accept::Metered;
use crate::body::ResponseOwed;
use crate::peer::Peer;
use crate::service::{DeviceService, HttpService};
use crate::write_timeout::WriteTimeout;
use crate::{body, shutdown, websocket};

/// The time in which the headers of a request must arrive, and the longest idle
/// time of a connection.
pub(crate) const HEADER_DEADLINE: Duration = Duration::from_secs(75);
/// The time in which the body of a request must arrive. Shorter than the life of an unproven
/// connection, so that an unproven client, too, gets a response when its body is late.
const BODY_DEADLINE: Duration = Duration::from_secs(50);
/// The same for the body of a request that brings a file. A client that is not proven does not have
/// it: its connection ends earlier.
pub const FILE_DEADLINE: Duration = Duration::from_secs(3600);
/// A client that reads no byte of a response for this long is disconnected.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// When the server stops, a client that is owed no response has this long to complete its request.
const QUIET: Duration = Duration::from_secs(1);
/// The size of the read buffer, which is also the longest head of a request, in bytes.
const MAX_BUFFER: usize = 32 * 1024;

/// Serves one connection until its client or `stopping` ends it, also after it
/// has become a WebSocket.
pub async fn serve<S, A>(stream: S, peer: Peer, services: A, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: DeviceService + HttpService,
{
    let stream = Metered::new(stream, peer.connection.clone());
    let stream = WriteTimeout::new(stream, WRITE_TIMEOUT);
    let (upgrade, mut upgraded) = mpsc::channel(1);
    requests(stream, &peer, &services, stopping.clone(), upgrade).await;
    if let Some(upgrading) = upgraded.recv().await {
        websocket::serve(upgrading, peer, services, stopping).await;
    }
}

/// Answers requests until the connection ends or is upgraded to a WebSocket, which
/// is sent to `upgrade`.
async fn requests<S, A>(
    stream: S,
    peer: &Peer,
    services: &A,
    mut stopping: watch::Receiver<bool>,
    upgrade: mpsc::Sender<OnUpgrade>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: HttpService,
{
    let owed = ResponseOwed::shared(peer.connection.answering());
    let answering = owed.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (services, peer, upgrade) = (services.clone(), peer.clone(), upgrade.clone());
        let owed = answering.clone();
        async move {
            let response = answer(request, peer, services, &upgrade, &owed).await;
            owed.set(false);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // Cancel-safe: the arms only poll the connection, and it is dropped only when no response is
    // owed.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // An unproven client cannot keep a connection by sending a little now and then.
        () = peer.connection.timed_out() => Ok(()),
        () = shutdown::requested(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = nothing_owed(&owed) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "HTTPS connection ended");
    }
}

/// Returns once the client has been owed no response for a while. Half a request does not keep
/// the server from stopping.
async fn nothing_owed(owed: &ResponseOwed) {
    loop {
        let before = owed.get();
        tokio::time::sleep(QUIET).await;
        if !before && !owed.get() {
            return;
        }
    }
}

async fn answer<A: HttpService>(
    mut request: Request<Incoming>,
    peer: Peer,
    services: A,
    upgrade: &mpsc::Sender<OnUpgrade>,
    owed: &ResponseOwed,
) -> Response<Body> {
    if websocket::is_requested(&request) {
        let response = websocket::handshake(&request);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // The channel has room: a connection is upgraded once.
            let _ = upgrade.try_send(hyper::upgrade::on(&mut request));
        }
        return response;
    }
    let (parts, incoming) = request.into_parts();
    let on_demand = parts.headers.contains_key(EXPECT);
    let deadline = match services.receives_files(parts.uri.path()) {
        true => FILE_DEADLINE,
        false => BODY_DEADLINE,
    };
    let (body, unread) = body::with_deadline(incoming, deadline, owed, on_demand);
    let request = Request::from_parts(parts, body);
    let success_is_proof = services.success_is_proof(request.uri().path());
    let connection = peer.connection.clone();
    let mut response = services.answer(request, peer).await;
    if success_is_proof && response.status().is_success() {
        connection.mark_proven_if_possible();
        connection.mark_useful();
    }
    // Bytes that are dropped do not count as those of an incomplete request.
    unread.discard(|| connection.consume_input(0)).await;
    connection.consume_input(0);
    // The rest of the body may be on its way, and would be read as the next request.
    if matches!(
        response.status(),
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
    ) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

#[cfg(test)]
mod tests;
