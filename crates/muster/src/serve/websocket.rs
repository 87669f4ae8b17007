//! MQTT over WebSocket (RFC 6455) on the HTTPS port.
//!
//! Device SDKs open `/$iothub/websocket`, the C# provisioning client `/`; the subprotocol says what is spoken.

use std::future::pending;

use axum::body::Body;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::accept::Peer;
use super::front::Front;
use super::mqtt_door;

const SUBPROTOCOL: &str = "mqtt";
const PIPE: usize = 16 * 1024;
/// The largest MQTT packet plus its header; a frame need not be larger.
const MAX_FRAME: usize = 320 * 1024;

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// Whether the request wants to become a WebSocket.
pub fn is_asked_for(request: &Request<Incoming>) -> bool {
    has_token(request.headers(), &CONNECTION, "upgrade")
        && has_token(request.headers(), &UPGRADE, "websocket")
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = status;
    response
}

/// Answers the opening handshake: 101, or what is wrong with it.
pub fn handshake(request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if !(path == "/" || path.eq_ignore_ascii_case("/$iothub/websocket")) {
        return refuse(
            StatusCode::NOT_FOUND,
            "there is no WebSocket at this path; use /$iothub/websocket\n",
        );
    }
    let headers = request.headers();
    if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the WebSocket subprotocol must be mqtt\n",
        );
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|v| v.as_bytes() != b"13")
    {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "the WebSocket version must be 13\n",
        );
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the Sec-WebSocket-Key header is missing\n",
        );
    };
    let accept = derive_accept_key(key.as_bytes());
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    response
        .body(Body::empty())
        .unwrap_or_else(|_| refuse(StatusCode::BAD_REQUEST, "bad WebSocket key\n"))
}

/// Runs the MQTT session of a connection whose handshake was answered with 101, until either side ends it.
pub async fn serve(
    upgrading: OnUpgrade,
    peer: Peer,
    front: Front,
    stopping: watch::Receiver<bool>,
) {
    let io = match upgrading.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            return tracing::debug!(error = %error, "a WebSocket upgrade did not complete");
        }
    };
    let limits = WebSocketConfig::default()
        .read_buffer_size(PIPE)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
    let (session_end, socket_end) = tokio::io::duplex(PIPE);
    let session = mqtt_door::serve(session_end, peer, front, stopping);
    // Whichever ends first ends the other by closing its half of the pipe.
    tokio::join!(session, carry(socket, socket_end));
}

/// Moves bytes between the frames of `socket` and `pipe` until either side closes.
///
/// Neither direction waits for the other: a session that writes a long answer and a client that sends a long message at the
/// same time would wait for each other for ever.
async fn carry<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, pipe: DuplexStream) {
    let (mut to_client, from_client) = socket.split();
    let (from_session, to_session) = tokio::io::split(pipe);
    tokio::select! {
        () = inwards(from_client, to_session) => {}
        () = outwards(from_session, &mut to_client) => {}
    }
    let _ = to_client.close().await;
}

/// Returns when the client's side is over.
async fn inwards<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: SplitStream<WebSocketStream<S>>,
    mut session: WriteHalf<DuplexStream>,
) {
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Binary(bytes) => {
                if session.write_all(&bytes).await.is_err() {
                    // The session is over; what it said last is still on its way to the client.
                    pending::<()>().await;
                }
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Text(_) | Message::Close(_) => return,
        }
    }
}

/// Returns when everything that the session wrote is sent, or the client is gone.
async fn outwards<S: AsyncRead + AsyncWrite + Unpin>(
    mut session: ReadHalf<DuplexStream>,
    client: &mut SplitSink<WebSocketStream<S>, Message>,
) {
    let mut buffer = vec![0; PIPE];
    while let Ok(length @ 1..) = session.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if client.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than the pipe and than the stream below the WebSocket.
    const LONG: usize = 5 * PIPE;

    async fn carried() -> (WebSocketStream<DuplexStream>, DuplexStream) {
        let (near, far) = tokio::io::duplex(PIPE);
        let (session_end, socket_end) = tokio::io::duplex(PIPE);
        let socket = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        tokio::spawn(carry(socket, socket_end));
        (
            WebSocketStream::from_raw_socket(far, Role::Client, None).await,
            session_end,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_and_a_long_message_pass_each_other() {
        let (client, mut session) = carried().await;
        let (mut sink, mut stream) = client.split();
        // As the session's loop does: it answers whole before it reads on.
        let session = async {
            session.write_all(&[1; LONG]).await.unwrap();
            let mut message = vec![0; LONG];
            session.read_exact(&mut message).await.unwrap();
        };
        let sending = async {
            sink.send(Message::Binary(vec![2; LONG].into()))
                .await
                .unwrap()
        };
        let receiving = async {
            let mut received = 0;
            while received < LONG {
                received += stream.next().await.unwrap().unwrap().into_data().len();
            }
        };
        let all = async { tokio::join!(session, sending, receiving) };
        // Virtual time passes only when everybody waits.
        tokio::time::timeout(std::time::Duration::from_secs(1), all)
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_words_of_a_session_arrive_also_while_the_client_sends() {
        let (client, mut session) = carried().await;
        let (mut sink, mut stream) = client.split();
        session.write_all(b"refused").await.unwrap();
        drop(session);
        let _ = sink.send(Message::Binary(vec![2; 8].into())).await;
        let words = stream.next().await.unwrap().unwrap();
        assert_eq!(words.into_data(), Bytes::from_static(b"refused"));
        assert!(matches!(stream.next().await, Some(Ok(Message::Close(_)))));
    }
}
