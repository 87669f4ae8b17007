//! Requests over HTTPS, with limits of size and time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, IF_MATCH, RETRY_AFTER};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use ids::{HubHost, Timestamp};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::dial::{Endpoint, dial, dial_plain};
use crate::{ConnectError, Credential, Identity, SignError, Trust};

/// The longest answer that is read, bytes. A device's list of modules is the longest.
const MAX_ANSWER: usize = 2 * 1024 * 1024;
/// The longest wait for an answer on an open connection.
const WITHIN: Duration = Duration::from_secs(60);
const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;
const JSON: &str = "application/json; charset=utf-8";

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Before the answer was complete.
    #[error("the connection to {host} broke")]
    Broken { host: HubHost, source: hyper::Error },
    #[error("{host} did not answer within {} s", WITHIN.as_secs())]
    TimedOut { host: HubHost },
    /// The answer is longer than expected.
    #[error("the answer of {host} has more than {MAX_ANSWER} bytes or is broken")]
    Unreadable {
        host: HubHost,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    #[error("the request has no token")]
    Token(#[from] SignError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The header `Retry-After`, read as seconds.
    pub retry_after: Option<Duration>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The header `Date`: the server's time.
    pub date: Option<Timestamp>,
    /// The body, at most 2 MiB.
    pub body: Bytes,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Bytes,
}

/// Where the header `Authorization` comes from.
enum Authorization {
    None,
    Fixed(String),
    /// A token, made when it is needed.
    By(Credential),
}

/// A client of one server, over HTTP/1.1. It keeps its connection between requests.
pub struct HttpsClient {
    host: HubHost,
    endpoint: Endpoint,
    config: Arc<ClientConfig>,
    trust: Trust,
    authorization: Authorization,
    clock: Option<Arc<dyn Clock>>,
    /// Whether it speaks HTTP without TLS.
    is_plain: bool,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl HttpsClient {
    /// A client of `host`, on port 443 unless it has a port. Connects with the first request.
    #[must_use]
    pub fn new(host: HubHost, trust: &Trust, credential: &Credential) -> Self {
        Self {
            authorization: Authorization::By(credential.clone()),
            ..Self::with(host, trust, credential.identity(), None)
        }
    }

    /// A client with a client certificate, an `Authorization` header, both, or neither.
    pub(crate) fn with(
        host: HubHost,
        trust: &Trust,
        identity: Option<&Identity>,
        authorization: Option<String>,
    ) -> Self {
        Self {
            authorization: authorization.map_or(Authorization::None, Authorization::Fixed),
            clock: trust.clock().cloned(),
            ..Self::verifying(host, trust, trust.client_config(identity))
        }
    }

    /// A client that proves nothing: how a TPM asks for its challenge.
    pub(crate) fn without_credential(host: HubHost, trust: &Trust) -> Self {
        Self::with(host, trust, None, None)
    }

    /// A client that proves nothing, and verifies the server as `config` does.
    pub(crate) fn verifying(host: HubHost, trust: &Trust, config: Arc<ClientConfig>) -> Self {
        Self {
            endpoint: Endpoint::new(&host, HTTPS_PORT),
            config,
            trust: trust.clone(),
            authorization: Authorization::None,
            clock: None,
            is_plain: false,
            host,
            open: Mutex::new(None),
        }
    }

    /// A client that speaks HTTP without TLS, on port 80 unless the host has a port. Such a server
    /// is not verified, so that its time is not heard.
    pub(crate) fn without_tls(host: HubHost, trust: &Trust, authorization: Option<String>) -> Self {
        let endpoint = Endpoint::new(&host, HTTP_PORT);
        Self {
            endpoint,
            is_plain: true,
            clock: None,
            ..Self::with(host, trust, None, authorization)
        }
    }

    #[must_use]
    pub fn host(&self) -> &HubHost {
        &self.host
    }

    /// Sends one request and reads its answer, whatever its status. The request must be safe to
    /// repeat: it is sent once more if the server has closed a kept connection.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, HttpsError> {
        let content = body.map(|body| Content {
            media_type: JSON,
            bytes: Bytes::from(body.to_string()),
        });
        let headers = if_match.map(|if_match| (IF_MATCH, if_match));
        self.send_content(method, target, content, headers.as_slice())
            .await
    }

    /// As [`send`](Self::send), with a body of any media type, and further headers.
    pub(crate) async fn send_content(
        &self,
        method: Method,
        target: &str,
        body: Option<Content>,
        headers: &[(HeaderName, &str)],
    ) -> Result<Answer, HttpsError> {
        let mut kept = self.open.lock().await;
        if let Some(mut sender) = kept.take()
            && sender.ready().await.is_ok()
        {
            let request = self.request(&method, target, body.clone(), headers).await?;
            match self.exchange(&mut sender, request).await {
                Err(HttpsError::Broken { .. }) => {}
                Ok(answer) => {
                    *kept = Some(sender);
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
        let mut sender = self.connect().await?;
        let request = self.request(&method, target, body, headers).await?;
        let answer = self.exchange(&mut sender, request).await?;
        *kept = Some(sender);
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpsError> {
        if self.is_plain {
            return self.greet(dial_plain(&self.endpoint).await?).await;
        }
        let stream = dial(&self.endpoint, self.config.clone(), &self.trust).await?;
        self.greet(stream).await
    }

    async fn greet(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<SendRequest<Full<Bytes>>, HttpsError> {
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broken(source))?;
        // The task ends when the sender is dropped or the server closes. The waiting request gets
        // its errors.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn request(
        &self,
        method: &Method,
        target: &str,
        body: Option<Content>,
        headers: &[(HeaderName, &str)],
    ) -> Result<Request<Full<Bytes>>, HttpsError> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.host.as_str());
        let authorization = match &self.authorization {
            Authorization::None => None,
            Authorization::Fixed(text) => Some(text.clone()),
            Authorization::By(credential) => credential.token().await?,
        };
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(content) = &body {
            request = request.header(CONTENT_TYPE, content.media_type);
        }
        let bytes = body.map(|content| content.bytes).unwrap_or_default();
        Ok(request.body(Full::new(bytes))?)
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpsError> {
        let answering = async {
            let response = sender.send_request(request).await;
            self.read(response.map_err(|source| self.broken(source))?)
                .await
        };
        let host = || self.host.clone();
        tokio::time::timeout(WITHIN, answering)
            .await
            .unwrap_or_else(|_| Err(HttpsError::TimedOut { host: host() }))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, HttpsError> {
        let header = |name| response.headers().get(name)?.to_str().ok();
        let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let content_type = header(CONTENT_TYPE).map(str::to_owned);
        let date = header(DATE).and_then(Timestamp::parse_http_date);
        if let (Some(clock), Some(date)) = (&self.clock, date) {
            clock.hear(date);
        }
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|source| match source.downcast::<hyper::Error>() {
                Ok(source) => self.broken(*source),
                Err(source) => self.unreadable(source),
            })?;
        Ok(Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            content_type,
            date,
            body: body.to_bytes(),
        })
    }

    fn broken(&self, source: hyper::Error) -> HttpsError {
        let host = self.host.clone();
        HttpsError::Broken { host, source }
    }

    fn unreadable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> HttpsError {
        debug_assert!(source.is::<LengthLimitError>());
        let host = self.host.clone();
        HttpsError::Unreadable { host, source }
    }
}
