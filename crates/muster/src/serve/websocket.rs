//! MQTT over WebSocket (RFC 6455) on the HTTPS port.
//!
//! Device SDKs open `/$iothub/websocket`, the C# provisioning client `/`; the subprotocol says what is spoken.

use axum::body::Body;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use pki::PeerChain;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::front::Front;
use super::mqtt_door;

const SUBPROTOCOL: &str = "mqtt";
const PIPE: usize = 16 * 1024;
/// The largest MQTT packet plus its header; a frame need not be larger.
const MAX_FRAME: usize = 320 * 1024;

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// Whether the request wants to become a WebSocket.
pub fn is_asked_for(request: &Request<Incoming>) -> bool {
    has_token(request.headers(), &CONNECTION, "upgrade") && has_token(request.headers(), &UPGRADE, "websocket")
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = status;
    response
}

/// Answers the handshake; the MQTT session runs on its own once the connection is switched.
pub fn upgrade(
    mut request: Request<Incoming>,
    chain: PeerChain,
    front: Front,
    stopping: watch::Receiver<bool>,
) -> Response<Body> {
    let path = request.uri().path();
    if !(path == "/" || path.eq_ignore_ascii_case("/$iothub/websocket")) {
        return refuse(StatusCode::NOT_FOUND, "there is no WebSocket at this path; use /$iothub/websocket\n");
    }
    let headers = request.headers();
    if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return refuse(StatusCode::BAD_REQUEST, "the WebSocket subprotocol must be mqtt\n");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|v| v.as_bytes() != b"13") {
        return refuse(StatusCode::UPGRADE_REQUIRED, "the WebSocket version must be 13\n");
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return refuse(StatusCode::BAD_REQUEST, "the Sec-WebSocket-Key header is missing\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => run(TokioIo::new(upgraded), chain, front, stopping).await,
            Err(error) => tracing::debug!(error = %error, "a WebSocket upgrade did not complete"),
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    response.body(Body::empty()).unwrap_or_else(|_| refuse(StatusCode::BAD_REQUEST, "bad WebSocket key\n"))
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn run(
    io: TokioIo<hyper::upgrade::Upgraded>,
    chain: PeerChain,
    front: Front,
    stopping: watch::Receiver<bool>,
) {
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
    let (session_end, socket_end) = tokio::io::duplex(PIPE);
    let session = mqtt_door::serve(session_end, chain, front, stopping);
    // Whichever ends first ends the other by closing its half of the pipe.
    tokio::join!(session, carry(socket, socket_end));
}

/// Moves bytes between the frames of `socket` and `pipe` until either side closes.
async fn carry(mut socket: Socket, mut pipe: DuplexStream) {
    let mut buffer = vec![0; PIPE];
    loop {
        // Cancel-safe: a read that is dropped has taken no bytes, `next` keeps partial frames in the socket.
        tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Message::Binary(bytes))) => {
                    if pipe.write_all(&bytes).await.is_err() { break }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => break,
            },
            read = pipe.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    let bytes = Bytes::copy_from_slice(&buffer[..length]);
                    if socket.send(Message::Binary(bytes)).await.is_err() { break }
                }
                Ok(_) | Err(_) => break,
            },
        }
    }
    let _ = socket.close(None).await;
}
