//! HTTP on unix sockets, by the conventions of Azure's daemons.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use wire::edge_api::local::{ErrorBody, version_is_known};
use wire::http::Path;

use crate::runtime::LogStream;

/// The longest request body, bytes.
const MAX_BODY: usize = 1024 * 1024;
/// How long a request may take to arrive.
const ARRIVE_WITHIN: Duration = Duration::from_secs(5);
/// Open connections on one socket. Others wait.
const MAX_CONNECTIONS: usize = 50;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request that has arrived in full.
#[derive(Debug)]
pub(crate) struct LocalRequest {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) query: String,
    /// The user who runs the client; `None` when the system does not say.
    pub(crate) caller: Option<u32>,
    body: Bytes,
    is_json: bool,
}

impl LocalRequest {
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if !self.is_json {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be application/json",
            ));
        }
        serde_json::from_slice(wire::lenient::without_bom(&self.body)).map_err(|error| {
            Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("the body cannot be read: {error}"),
            )
        })
    }
}

/// What a handler answers.
pub(crate) enum Reply {
    Json(Value),
    /// 201.
    Created(Value),
    Empty(StatusCode),
    /// A refusal whose body has more members than the message.
    Refused(StatusCode, Value),
    Logs(LogStream),
}

impl Reply {
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_value(value).unwrap_or_default())
    }

    pub(crate) fn created(value: &impl Serialize) -> Self {
        Self::Created(serde_json::to_value(value).unwrap_or_default())
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found")
    }
}

/// The versions of an API that are answered.
pub(crate) type Versions = &'static [&'static str];

/// Serves a socket until its task is aborted.
pub(crate) async fn serve<H, F>(listener: UnixListener, versions: Versions, handler: H)
where
    H: Fn(LocalRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
{
    let connections = std::sync::Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // There may be no file descriptors left until other connections end.
                tracing::warn!(error = %error, "a local connection was not accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let handler = handler.clone();
        let caller = stream.peer_cred().ok().map(|peer| peer.uid());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let handler = handler.clone();
                async move {
                    let arrived = arrive(request, versions, caller).await;
                    Ok::<_, Infallible>(answer(arrived, handler).await)
                }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(ARRIVE_WITHIN);
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(error = %error, "a local connection broke");
            }
            drop(permit);
        });
    }
}

async fn answer<H, F>(arrived: Result<LocalRequest, Refusal>, handler: H) -> Response<Body>
where
    H: Fn(LocalRequest) -> F,
    F: Future<Output = Result<Reply, Refusal>>,
{
    let result = match arrived {
        Ok(request) => {
            let (method, uid) = (&request.method, request.caller);
            tracing::debug!(%method, path = ?request.path, uid, "a local request");
            handler(request).await
        }
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(Reply::Json(value)) => respond(StatusCode::OK, Some(&value)),
        Ok(Reply::Created(value)) => respond(StatusCode::CREATED, Some(&value)),
        Ok(Reply::Empty(status)) => respond(status, None),
        Ok(Reply::Refused(status, body)) => respond(status, Some(&body)),
        Ok(Reply::Logs(stream)) => {
            let frames = stream.map_ok(Frame::data).map_err(std::io::Error::other);
            let mut response = Response::new(StreamBody::new(frames.boxed()).boxed_unsync());
            response.headers_mut().insert(
                CONTENT_TYPE,
                hyper::header::HeaderValue::from_static("text/plain"),
            );
            response
        }
        Err(refusal) => {
            let body = ErrorBody {
                message: refusal.message,
            };
            respond(
                refusal.status,
                Some(&serde_json::to_value(body).unwrap_or_default()),
            )
        }
    }
}

fn respond(status: StatusCode, body: Option<&Value>) -> Response<Body> {
    let bytes = body
        .map(|body| Bytes::from(body.to_string()))
        .unwrap_or_default();
    let full = Full::new(bytes).map_err(|never: Infallible| match never {});
    let mut response = Response::new(full.boxed_unsync());
    *response.status_mut() = status;
    if body.is_some() {
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}

async fn arrive(
    request: Request<Incoming>,
    versions: Versions,
    caller: Option<u32>,
) -> Result<LocalRequest, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if !version_is_known(&query, versions) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "api-version is missing or not supported",
        ));
    }
    let path = Path::parse(request.uri().path()).map_err(|_| Refusal::not_found())?;
    let method = request.method().clone();
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = tokio::time::timeout(ARRIVE_WITHIN, body).await;
    let body = body.map_err(|_| {
        Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the request did not arrive in time",
        )
    })?;
    let body = body.map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body cannot be read: {error}"),
        )
    })?;
    let is_json = content_type.is_none_or(|text| text.to_ascii_lowercase().contains("json"));
    Ok(LocalRequest {
        method,
        path,
        query,
        caller,
        body: body.to_bytes(),
        is_json,
    })
}
