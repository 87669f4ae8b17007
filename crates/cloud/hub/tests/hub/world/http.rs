use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response};
use futures_util::StreamExt;
use pki::{PeerChain, PresentedChain};
use serde_json::Value;

use super::{HOST, World};

/// What came back over HTTP.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

const JSON: &str = "application/json; charset=utf-8";

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        self.body
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> String {
        assert_eq!(
            (self.status, self.header("iothub-errorcode")),
            (status, code),
            "{}",
            self.body
        );
        assert_eq!(self.header("x-ms-request-id").len(), 36);
        self.body["Message"].as_str().unwrap().to_owned()
    }
}

/// One request before it is sent.
pub struct Ask<'w> {
    pub(super) world: &'w World,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) chain: PeerChain,
}

impl Ask<'_> {
    pub fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string().as_bytes())
    }

    pub fn bytes(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn if_match(self, value: &str) -> Self {
        self.header("if-match", value)
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", token)
    }

    pub fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "authorization");
        self
    }

    pub fn certificate(mut self, chain: &PresentedChain) -> Self {
        self.chain = PeerChain::of(chain.clone());
        self.anonymous()
    }

    pub async fn send(self) -> Reply {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let uri = format!("{}{separator}api-version=2021-04-12", self.path);
        self.send_to(&uri).await
    }

    pub async fn send_to(self, uri: &str) -> Reply {
        let (parts, body) = self.respond(uri).await.into_parts();
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        let body = match parts.headers.get("content-type") {
            None => {
                assert!(bytes.is_empty());
                Value::Null
            }
            Some(kind) if kind == JSON => serde_json::from_slice(&bytes).unwrap(),
            // A message of any kind: its text is what counts.
            Some(_) => Value::Null,
        };
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn respond(self, uri: &str) -> Response<Body> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .header("host", HOST);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request
            .extension(self.chain)
            .body(Body::from(self.body))
            .unwrap();
        self.world.hub.answer(request).await
    }
}

/// A stream of server-sent events, read block by block.
pub struct EventStream {
    headers: HeaderMap,
    body: BodyDataStream,
    unread: String,
}

impl EventStream {
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name);
        header.map_or("", |value| value.to_str().unwrap())
    }

    /// The next lines before an empty one; `None` at the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.unread = rest;
                return Some(block);
            }
            let more = self.body.next().await?.unwrap();
            self.unread.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

impl World {
    /// Opens a stream of events; a reader that comes back says what it has seen.
    pub async fn stream_of(&self, path: &str, last_seen: &str) -> EventStream {
        let ask = self.ask("GET", path).header("accept", "text/event-stream");
        let ask = ask.header("last-event-id", last_seen);
        let (parts, body) = ask.respond(path).await.into_parts();
        assert_eq!(parts.status, 200);
        EventStream {
            headers: parts.headers,
            body: body.into_data_stream(),
            unread: String::new(),
        }
    }
}
