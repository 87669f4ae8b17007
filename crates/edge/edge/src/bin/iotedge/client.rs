//! A client of the daemon's management API.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use edge::local_api::unix_socket::connect;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::edge_api::local::{API_VERSION, ErrorBody};

/// The longest answer that is read at once, bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the daemon does not run (nobody answers at {}); {hint}", path.display())]
    NotRunning {
        path: PathBuf,
        hint: String,
        source: io::Error,
    },
    #[error("{} may not be opened by this user; use sudo, or join the group that owns \
        it", path.display())]
    Forbidden { path: PathBuf, source: io::Error },
    #[error("the conversation with the daemon broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message of the daemon.
    #[error("{0}")]
    Refused(String),
    #[error("the daemon's answer cannot be read; is it of another version?")]
    Answer(#[source] serde_json::Error),
}

/// Connects anew for each request.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    hint: String,
}

impl Client {
    /// A client of the daemon at `path`; `hint` says how to start it.
    pub fn new(path: PathBuf, hint: String) -> Self {
        Self { path, hint }
    }

    pub async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, ClientError> {
        let body = self.whole(Method::GET, target, Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(ClientError::Answer)
    }

    /// POST with a document in the answer.
    pub async fn call<T: DeserializeOwned>(&self, target: &str) -> Result<T, ClientError> {
        let body = self.whole(Method::POST, target, Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(ClientError::Answer)
    }

    /// POST without a document in the answer.
    pub async fn post(&self, target: &str) -> Result<(), ClientError> {
        self.whole(Method::POST, target, Bytes::new())
            .await
            .map(drop)
    }

    pub async fn put(&self, target: &str, body: &impl Serialize) -> Result<(), ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Answer)?;
        self.whole(Method::PUT, target, Bytes::from(body))
            .await
            .map(drop)
    }

    /// GET with an answer that comes in pieces, each of which goes to `take`.
    pub async fn pieces(
        &self,
        target: &str,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let mut response = self.send(Method::GET, target, Bytes::new()).await?;
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| ClientError::Broken(error.into()))?;
            if let Some(piece) = frame.data_ref() {
                take(piece).map_err(|error| ClientError::Broken(error.into()))?;
            }
        }
        Ok(())
    }

    async fn whole(&self, method: Method, target: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let response = self.send(method, target, body).await?;
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        Ok(body.map_err(ClientError::Broken)?.to_bytes())
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let path = self.path.clone();
        let stream = connect(&path).await.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { path, source },
            _ => ClientError::NotRunning {
                path,
                hint: self.hint.clone(),
                source,
            },
        })?;
        let broken = |error: hyper::Error| ClientError::Broken(error.into());
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // The task ends together with the sender, which gets its errors.
        tokio::spawn(connection);
        let separator = if target.contains('?') { '&' } else { '?' };
        let request = Request::builder()
            .method(method)
            .uri(format!("{target}{separator}api-version={API_VERSION}"))
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Broken(error.into()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status.is_success() || status.as_u16() == 304 {
            return Ok(response);
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(ClientError::Broken)?;
        let said = serde_json::from_slice::<ErrorBody>(&body.to_bytes());
        Err(ClientError::Refused(said.map_or_else(
            |_| format!("refused with {status}"),
            |body| body.message,
        )))
    }
}
