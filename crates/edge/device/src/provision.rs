//! Registration with a provisioning service.

mod attestation;

use std::time::Duration;

use hyper::Method;
use ids::{DeviceId, HubHost, IdScope, RegistrationId};
use pki::{Certificate, CertificateError};
use serde_json::Value;
use tokio::time::Instant;
use wire::binary::Base64Bytes;
use wire::device_api::register_request::RegisterRequest;
use wire::device_api::registration::{
    API_VERSION, ISSUING_API_VERSION, OperationStatus, RegistrationStatus, Substatus,
    operation_path, register_path,
};
use wire::error::ServiceError;
use wire::http::encode_segment;

pub use attestation::Attestation;

use crate::backoff::retry_pause;
use crate::{Answer, HttpsClient, HttpsError, TpmFault, TpmFaultKind, TpmKey, Trust};

/// The limits of pauses between polls, whatever the service asks for.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The pause when the service asks for none.
const USUAL_WAIT: Duration = Duration::from_secs(2);

/// What a device needs to register.
#[derive(Debug, Clone)]
pub struct Provisioning {
    /// The service, port 443 unless it has a port.
    pub endpoint: HubHost,
    pub id_scope: IdScope,
    pub registration_id: RegistrationId,
    /// For a custom allocation.
    pub payload: Option<Value>,
    pub attestation: Attestation,
    pub trust: Trust,
    /// A certificate request (PKCS#10, DER), for a certificate that opens the hub.
    pub request: Option<Vec<u8>>,
    /// The longest time of the whole registration.
    pub within: Duration,
}

/// The outcome of a registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The hub, reached by MQTT on port 8883 or on the port that it has.
    pub hub: HubHost,
    pub device: DeviceId,
    pub substatus: Option<Substatus>,
    /// The answer of a custom allocation.
    pub payload: Option<Value>,
    /// The key that the device signs its tokens for the hub with, if it proved itself by a TPM.
    pub tpm_key: Option<TpmKey>,
    /// The certificate that was issued for the request, and those above it, leaf first.
    pub issued: Vec<Certificate>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("the provisioning service cannot be asked")]
    Connection(#[from] HttpsError),
    #[error("the TPM cannot prove the device")]
    Tpm(#[from] TpmFault),
    #[error(
        "the provisioning service refused with {status} (error {code}, tracking id \
         {tracking_id}): {message}"
    )]
    Refused {
        status: u16,
        /// Six digits; 0 when the service gave none.
        code: u32,
        /// Identifies the refusal in the service's log.
        tracking_id: String,
        message: String,
        /// The pause that the service asks for.
        retry_after: Option<Duration>,
    },
    /// The service accepted the request, but could not assign a hub.
    #[error("the registration ended as {status:?} (error {code}): {message}")]
    NotAssigned {
        status: RegistrationStatus,
        /// Six digits; 0 when the service gave none.
        code: u32,
        message: String,
    },
    #[error(
        "the provisioning service answered {status} with something else than a registration: \
         {problem}"
    )]
    Answer { status: u16, problem: String },
    #[error("the registration did not finish within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl ProvisionError {
    /// Whether another attempt may succeed without a change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_) | Self::TimedOut(_) => true,
            Self::Tpm(fault) => fault.kind == TpmFaultKind::Transient,
            Self::Refused { status, .. } => is_busy(*status),
            Self::NotAssigned { .. } | Self::Answer { .. } => false,
        }
    }

    /// The pause that the service asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Registers over HTTPS and waits for the assignment: one PUT, then polls as often as the service
/// asks for, on one connection. After a `Retry-After` the request is sent again, if that is
/// within the time limit.
pub async fn provision(how: &Provisioning) -> Result<Assignment, ProvisionError> {
    let registering = register(how);
    tokio::time::timeout(how.within, registering)
        .await
        .unwrap_or(Err(ProvisionError::TimedOut(how.within)))
}

async fn register(how: &Provisioning) -> Result<Assignment, ProvisionError> {
    let end = Instant::now() + how.within;
    let (scope, id) = (
        how.id_scope.as_str(),
        encode_segment(how.registration_id.as_str()),
    );
    let body = RegisterRequest {
        registration_id: how.registration_id.clone(),
        payload: how.payload.clone(),
        tpm: None,
        csr: how.request.clone().map(Into::into),
    };
    let version = match how.request {
        None => API_VERSION,
        Some(_) => ISSUING_API_VERSION,
    };
    let target = query(&register_path(scope, &id), version);
    let (client, body) = attestation::prove(how, body, &target, end).await?;
    let answer = begin(&client, &target, &body, end).await?;
    let mut wait = answer.retry_after;
    let mut operation = read(&answer)?;
    let path = operation_path(scope, &id, &encode_segment(&operation.operation_id));
    let target = query(&path, version);
    let started = Instant::now();
    loop {
        let blob = attestation::wrapped_key(&operation);
        if let Some(mut assignment) = finished(operation)? {
            assignment.tpm_key = attestation::take_key(how, blob).await?;
            return Ok(assignment);
        }
        pause(wait).await;
        tracing::debug!(
            registration.id = %how.registration_id,
            elapsed = ?started.elapsed(),
            "asking for the assignment"
        );
        let answer = poll(&client, &target).await?;
        wait = answer.retry_after;
        operation = read(&answer)?;
    }
}

fn query(path: &str, version: &str) -> String {
    format!("{path}?api-version={version}")
}

/// Sends the registration, and sends it again after each `Retry-After`, if that is before `end`.
async fn begin(
    client: &HttpsClient,
    target: &str,
    body: &RegisterRequest,
    end: Instant,
) -> Result<Answer, ProvisionError> {
    let body = serde_json::to_value(body).unwrap_or_default();
    loop {
        let answer = client.send(Method::PUT, target, Some(&body), None).await?;
        let asked = answer.retry_after.filter(|_| is_busy(answer.status));
        let wait = asked.map(|asked| retry_pause(asked, rand::random()));
        match wait.filter(|wait| Instant::now() + *wait < end) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Ok(answer),
        }
    }
}

/// Whether a status means that the service may answer differently at another time.
fn is_busy(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Polls until the service is not busy. The caller limits the time.
async fn poll(client: &HttpsClient, target: &str) -> Result<Answer, ProvisionError> {
    loop {
        let answer = client.send(Method::GET, target, None, None).await?;
        if !is_busy(answer.status) {
            return Ok(answer);
        }
        match answer.retry_after {
            Some(asked) => tokio::time::sleep(retry_pause(asked, rand::random())).await,
            None => pause(None).await,
        }
    }
}

async fn pause(asked: Option<Duration>) {
    let wait = asked
        .unwrap_or(USUAL_WAIT)
        .clamp(SHORTEST_WAIT, LONGEST_WAIT);
    // Up to a tenth more, so that devices that started together spread out.
    tokio::time::sleep(wait.mul_f64(1.0 + rand::random::<f64>() / 10.0)).await;
}

fn read(answer: &Answer) -> Result<OperationStatus, ProvisionError> {
    let status = answer.status;
    if status == 200 || status == 202 {
        return serde_json::from_slice(&answer.body).map_err(|error| ProvisionError::Answer {
            status,
            problem: error.to_string(),
        });
    }
    let Ok(error) = serde_json::from_slice::<ServiceError>(&answer.body) else {
        return Err(ProvisionError::Refused {
            status,
            code: 0,
            tracking_id: String::new(),
            message: excerpt(&answer.body),
            retry_after: answer.retry_after,
        });
    };
    Err(ProvisionError::Refused {
        status,
        code: error.error_code,
        tracking_id: error.tracking_id,
        message: error.message,
        retry_after: answer.retry_after,
    })
}

/// The start of a body of another form than expected.
pub(crate) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

fn issued(chain: &[Base64Bytes]) -> Result<Vec<Certificate>, CertificateError> {
    let certificates = chain
        .iter()
        .map(|der| Certificate::from_der(der.as_bytes()));
    certificates.collect()
}

fn finished(operation: OperationStatus) -> Result<Option<Assignment>, ProvisionError> {
    let state = operation.registration_state;
    match operation.status {
        RegistrationStatus::Assigning | RegistrationStatus::Unassigned => Ok(None),
        RegistrationStatus::Assigned => {
            let unreadable = |problem: String| ProvisionError::Answer {
                status: 200,
                problem,
            };
            let nowhere = || unreadable("it is assigned and names no hub or device".into());
            let state = state.ok_or_else(nowhere)?;
            let issued = issued(&state.detail.issued_certificate_chain);
            Ok(Some(Assignment {
                hub: state.assigned_hub.ok_or_else(nowhere)?,
                device: state.device_id.ok_or_else(nowhere)?,
                substatus: state.substatus,
                payload: state.payload,
                tpm_key: None,
                issued: issued.map_err(|error| unreadable(error.to_string()))?,
            }))
        }
        status @ (RegistrationStatus::Failed | RegistrationStatus::Disabled) => {
            let (code, message) = state
                .map(|s| (s.error_code, s.error_message))
                .unwrap_or_default();
            Err(ProvisionError::NotAssigned {
                status,
                code: code.unwrap_or_default(),
                message: message.unwrap_or_default(),
            })
        }
    }
}
