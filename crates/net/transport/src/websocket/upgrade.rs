//! The opening handshake of a WebSocket.

use axum::body::Body;
use axum::http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
};
use base64::Engine;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const SUBPROTOCOL: &str = "mqtt";
/// The only version that there is (RFC 6455, 4.1).
const VERSION: &str = "13";

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// Whether a request asks for a WebSocket, or for the path that serves nothing else.
pub fn is_requested<B>(request: &Request<B>) -> bool {
    wants_upgrade(request) || is_device_path(request.uri().path())
}

/// HTTP/1.0 has no upgrades, and the header is ignored there (RFC 9110, 7.8).
fn wants_upgrade<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && has_token(request.headers(), &CONNECTION, "upgrade")
        && has_token(request.headers(), &UPGRADE, "websocket")
}

/// Whether a path is `/$iothub/websocket`. Some clients escape the `$`.
fn is_device_path(path: &str) -> bool {
    let path = wire::http::Path::parse(path);
    path.is_ok_and(|path| match path.segments().as_slice() {
        [first, second] => {
            first.eq_ignore_ascii_case("$iothub") && second.eq_ignore_ascii_case("websocket")
        }
        _ => false,
    })
}

/// What is wrong with an opening handshake.
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
                "there is a WebSocket at this path: send Connection: Upgrade and \
                 Upgrade: websocket\n"
            }
            Self::Version => "the WebSocket version must be 13: send Sec-WebSocket-Version: 13\n",
            Self::Subprotocol => {
                "the WebSocket subprotocol must be mqtt: send Sec-WebSocket-Protocol: mqtt; \
                 AMQP is not offered\n"
            }
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64\n",
        }
    }

    fn response(self) -> Response<Body> {
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

/// Answers an opening handshake: 101, or what is wrong with it (RFC 6455, 4.2 and 4.4).
pub fn handshake<B>(request: &Request<B>) -> Response<Body> {
    match accept_key(request) {
        Err(refusal) => refusal.response(),
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

/// The value of `Sec-WebSocket-Accept`, which proves that the server understood the handshake.
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

#[cfg(test)]
mod tests {
    use super::*;

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

    // H21.
    #[test]
    fn an_opening_handshake_is_accepted_or_refused_with_the_reason() {
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
            assert!(is_requested(&request), "{change:?}");
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
        assert!(!is_requested(&old), "HTTP/1.0 knows no upgrades");
        let mut other_path = opening(&[]);
        *other_path.uri_mut() = "/other".parse().unwrap();
        assert_eq!(handshake(&other_path).status(), StatusCode::NOT_FOUND);
    }
}
