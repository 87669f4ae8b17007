//! The HTTPS port: HTTP/1.1 over TLS, the client's chain beside every request, WebSocket upgrades to MQTT.

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

use crate::accept::{Metered, Peer};
use crate::body::Whole;
use crate::service::{DeviceService, HttpService};
use crate::write_timeout::MustRead;
use crate::{body, shutdown, websocket};

/// Time for a request's headers to arrive; also how long an idle kept-alive connection stays.
const HEADER_DEADLINE: Duration = Duration::from_secs(75);
/// Time for a request's body to arrive. Shorter than a stranger may stay, so that a stranger too is told that its body is late.
const BODY_DEADLINE: Duration = Duration::from_secs(50);
/// A client that takes no byte of an answer for so long is let go.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// Once the server is told to stop, a client that it owes no answer has so long to send the rest of its request.
const QUIET: Duration = Duration::from_secs(1);
/// Bytes of headers and read buffer per connection.
const MAX_BUFFER: usize = 32 * 1024;

/// Serves one connection until its client or `stopping` ends it, also after it has become a WebSocket.
pub async fn serve<S, A>(stream: S, peer: Peer, services: A, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: DeviceService + HttpService,
{
    let stream = Metered::new(stream, peer.visit.clone());
    let stream = MustRead::within(WRITE_STALL, stream);
    let (switch, mut switched) = mpsc::channel(1);
    requests(stream, &peer, &services, stopping.clone(), switch).await;
    if let Some(upgrading) = switched.recv().await {
        websocket::serve(upgrading, peer, services, stopping).await;
    }
}

/// Answers requests until the connection ends or has been switched to another protocol, which is told to `switch`.
async fn requests<S, A>(
    stream: S,
    peer: &Peer,
    services: &A,
    mut stopping: watch::Receiver<bool>,
    switch: mpsc::Sender<OnUpgrade>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: HttpService,
{
    let whole = Whole::shared(peer.visit.busy());
    let owed = whole.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (services, peer, switch) = (services.clone(), peer.clone(), switch.clone());
        let whole = whole.clone();
        async move {
            let response = answer(request, peer, services, &switch, &whole).await;
            whole.set(false);
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
    // Cancel-safe: the connection is only polled by the arms, and dropped only when nothing is owed.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Who has proved nothing does not keep a connection by sending a little now and then.
        () = peer.visit.outstayed() => Ok(()),
        () = shutdown::told(&mut stopping) => {
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

/// Returns once the client has been owed no answer for a while: half a request is no reason to stay.
async fn nothing_owed(owed: &Whole) {
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
    switch: &mpsc::Sender<OnUpgrade>,
    whole: &Whole,
) -> Response<Body> {
    if websocket::is_asked_for(&request) {
        let response = websocket::handshake(&request);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // There is room: a connection is switched once.
            let _ = switch.try_send(hyper::upgrade::on(&mut request));
        }
        return response;
    }
    let (parts, incoming) = request.into_parts();
    let on_demand = parts.headers.contains_key(EXPECT);
    let (body, unread) = body::timely(incoming, BODY_DEADLINE, whole, on_demand);
    let request = Request::from_parts(parts, body);
    let proves = services.needs_proof(request.uri().path());
    let visit = peer.visit.clone();
    let mut response = services.answer(request, peer).await;
    if proves && response.status().is_success() {
        visit.prove_if_there_is_room();
        visit.was_useful();
    }
    // What is thrown away is held by nobody.
    unread.discard(|| visit.taken_but(0)).await;
    visit.taken_but(0);
    // The rest of the body may be on its way, and would be taken for the next request.
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
