//! Another certificate from the hub, over a connection of its own (`$iothub/credentials`).
//!
//! The connection is the device's, not that of a module: a certificate is the device's identity.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mqtt::ConnectReturnCode;
use pki::{Certificate, CertificateError};
use serde_json::json;
use tokio::sync::mpsc;
use wire::device_api::certificate_renewal::IssuedCertificates;
use wire::error::{HubErrorCode, ServiceError};
use wire::topic::Filter;

use super::driver::Driver;
use super::{HubError, HubOptions, Lost, transport};
use crate::provision::excerpt;

/// The longest wait for a certificate. A hub gives a request up after two minutes.
const WITHIN: Duration = Duration::from_secs(150);
/// Certificates of one answer.
const MAX_CHAIN: usize = 10;

/// Why the hub gave no certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error("the hub connection ended before the certificate came")]
    Lost(#[from] Lost),
    #[error("the hub refused another certificate with {status} (error {code}): {message}")]
    Refused {
        status: u16,
        /// Six digits; 0 when the hub gave none.
        code: u32,
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("the hub's answer is not a chain of certificates: {0}")]
    Answer(String),
    #[error("the hub gave no certificate within {} s", WITHIN.as_secs())]
    TimedOut,
}

impl RenewalError {
    /// Whether this hub gives the device no certificate, whatever it asks for. Registering again
    /// with a request may.
    #[must_use]
    pub fn is_not_entitled(&self) -> bool {
        let not_entitled = HubErrorCode::CredentialManagementPreconditionFailed.code();
        matches!(self, Self::Refused { code, .. } if *code == not_entitled)
    }

    /// The pause that the hub asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Asks the hub for a certificate for `request` (PKCS#10, DER), with the certificate of `options`.
/// Returns the chain, leaf first. An earlier request of the device that is pending ends. A hub that
/// has answered the same key before, and was not heard, answers with the same certificate.
pub async fn renew_at_hub(
    options: &HubOptions,
    request: &[u8],
) -> Result<Vec<Certificate>, RenewalError> {
    let renewing = renew(options, request);
    tokio::time::timeout(WITHIN, renewing)
        .await
        .unwrap_or(Err(RenewalError::TimedOut))
}

async fn renew(options: &HubOptions, request: &[u8]) -> Result<Vec<Certificate>, RenewalError> {
    let stream = transport::open(options).await?;
    let identity = (options.device.clone(), None);
    // Nothing else is subscribed to, so that nothing else comes.
    let (events, _unread) = mpsc::channel(1);
    let mut driver = Driver::new(stream, options.keep_alive, identity, events);
    let host = || options.target().clone();
    let token = options.credential.token().await.map_err(HubError::Token)?;
    let code = driver.connect(options.packet(token)).await?;
    if code != ConnectReturnCode::Accepted {
        return Err(HubError::Refused { host: host(), code }.into());
    }
    let filter = Filter::CredentialResponses.format(&options.device, None);
    if let Some(filter) = driver.subscribe(vec![filter]).await? {
        return Err(HubError::SubscriptionRefused {
            host: host(),
            filter,
        }
        .into());
    }
    let rid = format!("{:016x}", rand::random::<u64>());
    let body = json!({
        "id": options.device.as_str(),
        "csr": STANDARD.encode(request),
        "replace": "*",
    });
    let answered = driver
        .request_certificate(&rid, Bytes::from(body.to_string()))
        .await;
    driver.close().await;
    let (status, payload) = answered?;
    match status {
        200 => read_chain(&payload),
        _ => Err(refusal(status, &payload)),
    }
}

fn read_chain(payload: &[u8]) -> Result<Vec<Certificate>, RenewalError> {
    let issued: IssuedCertificates =
        serde_json::from_slice(payload).map_err(|error| RenewalError::Answer(error.to_string()))?;
    let count = issued.certificates.len();
    if !(1..=MAX_CHAIN).contains(&count) {
        return Err(RenewalError::Answer(format!("it has {count} certificates")));
    }
    let read: Result<_, CertificateError> = issued
        .certificates
        .iter()
        .map(|der| Certificate::from_der(der.as_bytes()))
        .collect();
    read.map_err(|error| RenewalError::Answer(error.to_string()))
}

fn refusal(status: u16, payload: &[u8]) -> RenewalError {
    let body: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let asked = body.get("retryAfter").and_then(serde_json::Value::as_u64);
    let (code, message) = serde_json::from_slice::<ServiceError>(payload).map_or_else(
        |_| (0, excerpt(payload)),
        |error| (error.error_code, error.message),
    );
    RenewalError::Refused {
        status,
        code,
        message,
        retry_after: asked.map(Duration::from_secs),
    }
}
