//! A device asks for another certificate over its session, and is answered twice: at once that the
//! request is pending, later with the certificate.

use std::sync::Arc;

use ids::{Identity, error_chain};
use mqtt::QoS;
use serde_json::{Value, json};
use transport::Outgoing;
use uuid::Uuid;
use wire::device_api::certificate_renewal::{
    CertificateRequestAccepted, IssueCertificateError, IssueCertificateRequest, IssuedCertificates,
};
use wire::error::{HubErrorCode, ServiceError};
use wire::topic::HubTopic;

use super::HubSession;
use crate::quantities::{Quantity, Throttled};
use crate::renewals::{CertificateRefused, CertificateRequest, NotBegun, Operation};
use crate::service::Hub;

/// Brings answers to a client that subscribed to them.
pub(super) struct RenewalFeed {
    hub: Hub,
    device: Identity,
    qos: QoS,
    operation: Option<Arc<Operation>>,
}

impl RenewalFeed {
    /// The answer to the pending request. Cancel-safe.
    pub(super) async fn next(&mut self) -> Outgoing {
        let Some(operation) = self.operation.clone() else {
            return std::future::pending().await;
        };
        let answer = operation.answer().await;
        self.operation = None;
        self.hub.renewals().sent(&self.device, &operation);
        match &*answer {
            Ok(chain) => {
                let issued = IssuedCertificates {
                    correlation_id: operation.correlation_id.clone(),
                    certificates: chain.iter().cloned().map(Into::into).collect(),
                };
                respond(200, &operation.request_id, self.qos, &issued)
            }
            Err(refused) => {
                let error = RenewalError::Refused(refused, &operation);
                self.failed(&operation.request_id, &error)
            }
        }
    }

    fn failed(&self, rid: &str, error: &RenewalError<'_>) -> Outgoing {
        let code = error.code();
        let tracking = Uuid::new_v4().to_string();
        tracing::info!(
            hub.name = %self.device.hub,
            device.id = %self.device.device,
            tracking.id = %tracking,
            error = error.inside(),
            "a request for another certificate failed"
        );
        let body = ServiceError::hub(code, error.outside(), tracking, self.hub.now());
        let mut body = serde_json::to_value(body.with_info(error.info())).unwrap_or_default();
        if let RenewalError::Throttled(throttled) = error {
            body["retryAfter"] = throttled.retry_after_seconds().into();
        }
        respond(code.http_status(), rid, self.qos, &body)
    }
}

impl HubSession {
    pub(super) fn receive_credentials(&mut self, qos: QoS) {
        let device = self.identity().clone();
        self.renewal = Some(Box::new(RenewalFeed {
            operation: self.hub.renewals().of(&device),
            hub: self.hub.clone(),
            device,
            qos,
        }));
    }

    /// Begins to have a certificate issued. What there is to say at once is returned, if the client
    /// subscribed to answers.
    pub(super) fn request_certificate(&mut self, rid: &str, payload: &[u8]) -> Option<Outgoing> {
        let begun = self.begin(rid, payload);
        let feed = self.renewal.as_mut()?;
        match begun {
            Ok(operation) => {
                let accepted = CertificateRequestAccepted {
                    correlation_id: operation.correlation_id.clone(),
                    operation_expires: operation.expires,
                };
                feed.operation = Some(operation);
                Some(respond(202, rid, feed.qos, &accepted))
            }
            Err(error) => Some(feed.failed(rid, &error)),
        }
    }

    fn begin(&self, rid: &str, payload: &[u8]) -> Result<Arc<Operation>, RenewalError<'static>> {
        let identity = self.identity();
        let counted = (Quantity::CertificateRequests, 1);
        self.hub.count((&identity.hub, Some(identity)), counted)?;
        if identity.module.is_some() {
            return Err(RenewalError::Module);
        }
        let request = IssueCertificateRequest::parse(payload, &identity.device)?;
        let entry = self.certificates.as_ref();
        let presented = entry.ok_or(RenewalError::NoCertificate)?.path().clone();
        let wanted = CertificateRequest {
            device: identity.clone(),
            presented,
            csr: request.csr.as_bytes().to_vec(),
        };
        let (renewals, replace) = (self.hub.renewals().clone(), request.replace.as_ref());
        let begun = renewals.begin(identity, rid, replace, self.hub.now());
        let operation = begun.map_err(|not_begun| match not_begun {
            NotBegun::Pending(other) => RenewalError::Pending(other),
            NotBegun::NothingToReplace(id) => RenewalError::NothingToReplace(id),
        })?;
        let device = identity.clone();
        let issuing = self.hub.certificate_issuer().issue(wanted);
        let forget = move |operation: &Arc<Operation>| renewals.forget(&device, operation);
        operation.clone().run(issuing, forget);
        Ok(operation)
    }
}

fn respond(status: u16, rid: &str, qos: QoS, body: &impl serde::Serialize) -> Outgoing {
    let rid = rid.to_owned();
    Outgoing {
        topic: HubTopic::CredentialResponse { status, rid }.to_string(),
        payload: serde_json::to_vec(body).unwrap_or_default().into(),
        qos,
        receipt: None,
    }
}

#[derive(Debug, thiserror::Error)]
enum RenewalError<'a> {
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error("a module gets no certificate from its hub")]
    Module,
    #[error(transparent)]
    Read(#[from] IssueCertificateError),
    #[error(
        "this device gets no certificate from its hub: it is connected with a token; register \
         with a certificate request"
    )]
    NoCertificate,
    #[error(
        "request {} of this device is pending; wait for its answer, or send 'replace'",
        .0.request_id
    )]
    Pending(Arc<Operation>),
    #[error("no request {0:?} of this device is pending")]
    NothingToReplace(String),
    #[error("{0}")]
    Refused(&'a CertificateRefused, &'a Operation),
}

impl RenewalError<'_> {
    fn code(&self) -> HubErrorCode {
        match self {
            Self::Throttled(_) => HubErrorCode::ThrottleBacklogLimitExceeded,
            Self::Module => HubErrorCode::ArgumentInvalid,
            Self::Read(error) => error.code(),
            Self::NoCertificate | Self::Refused(CertificateRefused::NotEntitled(_), _) => {
                HubErrorCode::CredentialManagementPreconditionFailed
            }
            Self::Pending(_) => HubErrorCode::CredentialOperationPending,
            Self::NothingToReplace(_) => HubErrorCode::PreconditionFailed,
            Self::Refused(CertificateRefused::Request(_), _) => {
                HubErrorCode::CredentialOperationFailed
            }
            Self::Refused(CertificateRefused::Failed(_), _) => HubErrorCode::ServerError,
        }
    }

    /// What the log says.
    fn inside(&self) -> String {
        match self {
            Self::Refused(refused, _) => error_chain(refused),
            other => error_chain(other),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Refused(CertificateRefused::Failed(_), _) => {
                "the server failed; its log says why".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// The members of `info`, as the device SDKs read them.
    fn info(&self) -> Value {
        match self {
            Self::Pending(other) => json!({
                "requestId": other.request_id,
                "correlationId": other.correlation_id,
                "operationExpires": other.expires,
            }),
            Self::NothingToReplace(id) => json!({"requestId": id}),
            Self::Refused(_, operation) => json!({
                "correlationId": operation.correlation_id,
                "credentialError": self.code().code().to_string(),
                "credentialMessage": self.outside(),
            }),
            _ => Value::Null,
        }
    }
}
