//! The workload API, for modules.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use ids::{GenerationId, ModuleId};
use pki::{Certificate, PemError};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use wire::edge_api::local::{ErrorBody, SignRequest, SignResponse, TrustBundle};
use wire::http::encode_segment;

use crate::{SignError, Signer};

/// The longest answer that is read, bytes. A trust bundle may hold dozens of certificates.
const MAX_ANSWER: usize = 512 * 1024;
/// The longest wait for one answer.
const WITHIN: Duration = Duration::from_secs(20);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a request to the workload socket failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error(
        "{0:?} is not the address of a workload socket; it looks like \
         unix:///var/run/iotedge/workload.sock"
    )]
    Address(String),
    #[error("the workload socket {} does not answer", path.display())]
    Socket { path: PathBuf, source: Cause },
    #[error("the workload API refused with {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("the workload API's answer cannot be read: {0}")]
    Answer(String),
    #[error("the trust bundle cannot be read")]
    TrustBundle(#[from] PemError),
}

/// The client of the workload API for one module. It signs with the module's key, which
/// stays with the daemon.
#[derive(Debug, Clone)]
pub struct Workload {
    path: PathBuf,
    api_version: String,
    module: ModuleId,
    generation: GenerationId,
}

impl Workload {
    /// `uri` is `IOTEDGE_WORKLOADURI`, `api_version` is `IOTEDGE_APIVERSION`. Connects
    /// anew for each request.
    pub fn new(
        uri: &str,
        api_version: &str,
        module: ModuleId,
        generation: GenerationId,
    ) -> Result<Self, WorkloadError> {
        let path = uri
            .strip_prefix("unix://")
            .filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| WorkloadError::Address(uri.to_owned()))?;
        Ok(Self {
            path: PathBuf::from(path),
            api_version: api_version.to_owned(),
            module,
            generation,
        })
    }

    /// The trusted roots of the device, besides those of the system.
    pub async fn trust_bundle(&self) -> Result<Vec<Certificate>, WorkloadError> {
        let bundle: TrustBundle = self.ask(Method::GET, "/trust-bundle", Bytes::new()).await?;
        match bundle.certificate.trim() {
            "" => Ok(Vec::new()),
            pem => Ok(Certificate::parse_pem_bundle(pem)?),
        }
    }

    async fn digest(&self, data: &[u8]) -> Result<[u8; 32], WorkloadError> {
        let target = format!(
            "/modules/{}/genid/{}/sign",
            encode_segment(self.module.as_str()),
            encode_segment(self.generation.as_str())
        );
        let request = SignRequest {
            key_id: "primary".to_owned(),
            algo: "HMACSHA256".to_owned(),
            data: STANDARD.encode(data),
        };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let answer: SignResponse = self.ask(Method::POST, &target, Bytes::from(body)).await?;
        let digest = STANDARD.decode(&answer.digest).ok();
        digest
            .and_then(|digest| digest.try_into().ok())
            .ok_or_else(|| WorkloadError::Answer("the digest is not base64 of 32 bytes".into()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<T, WorkloadError> {
        let asking = tokio::time::timeout(WITHIN, self.exchange(method, target, body));
        let (status, body) = asking
            .await
            .map_err(Cause::from)
            .flatten()
            .map_err(|source| WorkloadError::Socket {
                path: self.path.clone(),
                source,
            })?;
        if !status.is_success() {
            let message = serde_json::from_slice::<ErrorBody>(&body)
                .map_or_else(|_| crate::provision::excerpt(&body), |error| error.message);
            return Err(WorkloadError::Refused {
                status: status.as_u16(),
                message,
            });
        }
        serde_json::from_slice(&body).map_err(|error| WorkloadError::Answer(error.to_string()))
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Cause> {
        let stream = UnixStream::connect(&self.path).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The task ends together with the sender, and the waiting request gets its errors.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(format!("{target}?api-version={}", self.api_version))
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await?;
        Ok((status, body.to_bytes()))
    }
}

impl Signer for Workload {
    async fn sign(&self, data: &[u8]) -> Result<[u8; 32], SignError> {
        Ok(self.digest(data).await?)
    }
}
