//! MQTT over WebSocket (RFC 6455) on the HTTPS port.
//!
//! Device SDKs open `/$iothub/websocket`, the C# provisioning client `/`; the subprotocol says what is spoken.

use std::future::pending;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
};
use base64::Engine;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf,
};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::accept::Peer;
use crate::mqtt_connection;
use crate::service::DeviceService;

const SUBPROTOCOL: &str = "mqtt";
/// The only one (RFC 6455, 4.1).
const VERSION: &str = "13";
/// How long a client has to answer our goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
const PIPE: usize = 16 * 1024;
/// The largest MQTT packet plus its header; a frame need not be larger.
const MAX_FRAME: usize = 320 * 1024;

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// Whether the request wants to become a WebSocket, or comes to the path where there is nothing else.
pub fn is_asked_for<B>(request: &Request<B>) -> bool {
    wants_upgrade(request) || is_device_path(request.uri().path())
}

/// HTTP/1.0 knows no upgrades; the header has to be ignored there (RFC 9110, 7.8).
fn wants_upgrade<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && has_token(request.headers(), &CONNECTION, "upgrade")
        && has_token(request.headers(), &UPGRADE, "websocket")
}

/// Some clients escape the `$`.
fn is_device_path(path: &str) -> bool {
    let path = wire::http::Path::parse(path);
    path.is_ok_and(|path| match path.segments().as_slice() {
        [first, second] => {
            first.eq_ignore_ascii_case("$iothub") && second.eq_ignore_ascii_case("websocket")
        }
        _ => false,
    })
}

/// Why there is no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Path,
    Method,
    Http10,
    NoUpgrade,
    Version,
    Subprotocol,
    Key,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Http10 | Self::Subprotocol | Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Path => "there is no WebSocket at this path; use /$iothub/websocket\n",
            Self::Method => "a WebSocket is opened with GET\n",
            Self::Http10 => "a WebSocket is opened with HTTP/1.1\n",
            Self::NoUpgrade => {
                "there is a WebSocket at this path: send Connection: Upgrade and Upgrade: websocket\n"
            }
            Self::Version => "the WebSocket version must be 13: send Sec-WebSocket-Version: 13\n",
            Self::Subprotocol => {
                "the WebSocket subprotocol must be mqtt: send Sec-WebSocket-Protocol: mqtt; AMQP is not offered\n"
            }
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64\n",
        }
    }

    fn answer(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self.status() {
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            _ => {}
        }
        response
    }
}

/// Answers the opening handshake: 101, or what is wrong with it (RFC 6455, 4.2 and 4.4).
pub fn handshake<B>(request: &Request<B>) -> Response<Body> {
    match accept_key(request) {
        Err(refusal) => refusal.answer(),
        Ok(accept) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            headers.insert(
                SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(SUBPROTOCOL),
            );
            response
        }
    }
}

/// What proves that the handshake was understood.
fn accept_key<B>(request: &Request<B>) -> Result<HeaderValue, Refusal> {
    let (headers, path) = (request.headers(), request.uri().path());
    if !(path == "/" || is_device_path(path)) {
        return Err(Refusal::Path);
    }
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::Http10);
    }
    if !wants_upgrade(request) {
        return Err(Refusal::NoUpgrade);
    }
    let is_version = |version: &HeaderValue| version.as_bytes() == VERSION.as_bytes();
    if !headers.get(SEC_WEBSOCKET_VERSION).is_some_and(is_version) {
        return Err(Refusal::Version);
    }
    if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(Refusal::Subprotocol);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refusal::Key)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(key.as_bytes());
    if !bytes.is_ok_and(|bytes| bytes.len() == 16) {
        return Err(Refusal::Key);
    }
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Refusal::Key)
}

/// Runs the MQTT session of a connection whose handshake was answered with 101, until either side ends it.
pub async fn serve<A: DeviceService>(
    upgrading: OnUpgrade,
    peer: Peer,
    services: A,
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
    let session = mqtt_connection::serve(session_end, peer, services, stopping);
    // Whichever ends first ends the other by closing its half of the pipe.
    tokio::join!(session, carry(socket, socket_end));
}

/// Moves bytes between the frames of `socket` and `pipe` until either side closes, and says why with a code.
///
/// Neither direction waits for the other: a session that writes a long answer and a client that sends a long message at the
/// same time would wait for each other for ever.
async fn carry<S: AsyncRead + AsyncWrite + Unpin>(socket: WebSocketStream<S>, pipe: DuplexStream) {
    let (mut to_client, mut from_client) = socket.split();
    let (from_session, to_session) = tokio::io::split(pipe);
    let code = tokio::select! {
        code = inwards(&mut from_client, to_session) => code,
        () = outwards(from_session, &mut to_client) => Some(CloseCode::Normal),
    };
    if let Some(code) = code {
        let reason = Utf8Bytes::from_static("");
        let frame = Message::Close(Some(CloseFrame { code, reason }));
        let _ = to_client.send(frame).await;
    }
    let _ = to_client.close().await;
    // A connection that is closed before its client has said goodbye too is reset, and the code with it.
    let goodbye = async { while let Some(Ok(_)) = from_client.next().await {} };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// Returns when the client's side is over: with the code that it is told (RFC 6455, 7.4.1), if it has not closed itself.
async fn inwards<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut SplitStream<WebSocketStream<S>>,
    mut session: WriteHalf<DuplexStream>,
) -> Option<CloseCode> {
    loop {
        match client.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                if session.write_all(&bytes).await.is_err() {
                    // The session is over; what it said last is still on its way to the client.
                    pending::<()>().await;
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            // MQTT is in binary frames only (MQTT 3.1.1, 6.0).
            Some(Ok(Message::Text(_))) => return Some(CloseCode::Unsupported),
            Some(Ok(Message::Close(_))) | None => return None,
            Some(Err(error)) => return close_code(&error),
        }
    }
}

/// What a client is told about what it sent; `None` when it cannot be told anything.
fn close_code(error: &WsError) -> Option<CloseCode> {
    match error {
        WsError::Capacity(_) => Some(CloseCode::Size),
        WsError::Utf8(_) => Some(CloseCode::Invalid),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        WsError::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
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
        tokio::time::timeout(Duration::from_secs(1), all)
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

    fn opening(changes: &[(&'static str, Option<&'static str>)]) -> Request<()> {
        let mut request = Request::get("/%24iothub/websocket?iothub-no-client-cert=true");
        let usual = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "mqtt"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            if let Some(value) = changed.map_or(Some(value), |(_, value)| *value) {
                request = request.header(name, value);
            }
        }
        request.body(()).unwrap()
    }

    /// H21.
    #[test]
    fn an_opening_handshake_is_accepted_or_told_what_is_wrong() {
        let accepted = handshake(&opening(&[]));
        assert_eq!(accepted.status(), StatusCode::SWITCHING_PROTOCOLS);
        // The example of RFC 6455, 1.3.
        assert_eq!(
            accepted.headers()[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        for (change, status) in [
            (("sec-websocket-version", None), 426),
            (("sec-websocket-version", Some("8")), 426),
            (("connection", None), 426),
            (("sec-websocket-key", None), 400),
            (("sec-websocket-key", Some("c2hvcnQ=")), 400),
            (("sec-websocket-protocol", Some("AMQPWSB10")), 400),
        ] {
            let request = opening(&[change]);
            assert!(is_asked_for(&request), "{change:?}");
            let refused = handshake(&request);
            assert_eq!(refused.status().as_u16(), status, "{change:?}");
            if status == 426 {
                assert_eq!(refused.headers()[SEC_WEBSOCKET_VERSION], "13");
                assert_eq!(refused.headers()[UPGRADE], "websocket");
            }
        }
        let mut post = opening(&[]);
        *post.method_mut() = Method::POST;
        let refused = handshake(&post);
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[ALLOW], "GET");
        let mut old = opening(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(handshake(&old).status(), StatusCode::BAD_REQUEST);
        *old.uri_mut() = "/healthz".parse().unwrap();
        assert!(!is_asked_for(&old), "HTTP/1.0 knows no upgrades");
        let mut elsewhere = opening(&[]);
        *elsewhere.uri_mut() = "/other".parse().unwrap();
        assert_eq!(handshake(&elsewhere).status(), StatusCode::NOT_FOUND);
    }

    /// Sends raw bytes to a WebSocket and returns the code that it is closed with.
    async fn closed_with(bytes: &[u8]) -> Option<u16> {
        let (near, mut far) = tokio::io::duplex(PIPE);
        let (_session, socket_end) = tokio::io::duplex(PIPE);
        let limits = WebSocketConfig::default().max_message_size(Some(1000));
        let socket = WebSocketStream::from_raw_socket(near, Role::Server, Some(limits)).await;
        tokio::spawn(carry(socket, socket_end));
        far.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        match answer.as_slice() {
            [0x88, length, high, low, ..] if *length >= 2 => {
                Some(u16::from_be_bytes([*high, *low]))
            }
            _ => None,
        }
    }

    /// H21: RFC 6455, 7.4.1.
    #[tokio::test(start_paused = true)]
    async fn what_a_client_does_wrong_has_a_code() {
        // FIN and opcode, length with the mask bit, mask.
        let masked = |first: u8, length: u8| vec![first, 0x80 | length, 0, 0, 0, 0];
        let cases = [
            ("not masked", vec![0x82, 1, 0], 1002),
            ("reserved bits", masked(0xF2, 0), 1002),
            ("reserved opcode", masked(0x83, 0), 1002),
            ("continues nothing", masked(0x80, 0), 1002),
            ("text", masked(0x81, 0), 1003),
            (
                "too long",
                [&[0x82, 0xFE, 0x10, 0][..], &[0; 5000]].concat(),
                1009,
            ),
            (
                "says goodbye",
                [masked(0x88, 2), vec![3, 0xE8]].concat(),
                1000,
            ),
        ];
        for (what, bytes, code) in cases {
            assert_eq!(closed_with(&bytes).await, Some(code), "{what}");
        }
    }
}
