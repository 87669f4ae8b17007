//! The HTTPS door: a path and a body in, a call, an answer out. Device API and service API share it.

use std::net::IpAddr;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::LengthLimitError;
use rest::ClientAddress;
use serde::Serialize;
use wire::device_api::registration::TpmChallenge;
use wire::error::ServiceError;
use wire::http::{self as wire_http, Path};
use wire::sas::REGISTRATION_POLICY;

use crate::device_api;
use crate::error::ServiceFault;
use crate::registration::not_proven::Challenge;
use crate::service::Dps;
use crate::service_api::{
    audit, blocks, ca_certificates, enrollments, explain as verdicts, issuers as resources,
    registrations, serving,
};

pub(crate) mod route;

use route::{Call, OperatorCall};

pub(crate) fn serves(path: &str) -> bool {
    Path::parse(path).is_ok_and(|path| route::is_ours(&path.segments()))
}

/// What the caller is told that its request is called.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// A request whose body has not been read yet.
pub(crate) struct Incoming<'a> {
    pub(crate) parts: &'a Parts,
    body: Body,
}

/// An answer that is not an error.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Answers a request to one of the service's paths.
pub(crate) async fn respond(dps: &Dps, request: Request) -> Response<Body> {
    // Azure's are GUIDs too, the same in header, error body and log.
    let request_id = crate::service::fresh_guid().hyphenated().to_string();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(RequestId(request_id.clone()));
    let incoming = Incoming {
        parts: &parts,
        body,
    };
    let reply = match answer(dps, incoming).await {
        Ok(reply) => reply,
        Err(fault) => {
            fault.log(&request_id);
            let path = parts.uri.path().trim_start_matches('/');
            let id_scope = path.split('/').next().unwrap_or_default();
            dps.note_refusal(&fault, id_scope, client_address(&parts))
                .await;
            Reply::fault(&fault, &request_id, dps.now())
        }
    };
    reply.into_response(&request_id)
}

/// Where a request comes from.
pub(crate) fn client_address(parts: &Parts) -> Option<IpAddr> {
    let address = parts.extensions.get::<ClientAddress>();
    address.map(|ClientAddress(address)| *address)
}

async fn answer(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    let path = Path::parse(request.parts.uri.path())?;
    let call = route::of(&request.parts.method, &path.segments())?;
    if wire_http::api_version(request.parts.uri.query()).is_none() {
        return Err(ServiceFault::NoApiVersion);
    }
    match call {
        Call::Device(call) => device_api::http::answer(dps, request, call).await,
        // On the heap: a device's connection, of which there are many, does not carry the state of what operators ask.
        Call::Operator(call) => Box::pin(answer_operator(dps, request, call)).await,
    }
}

async fn answer_operator(
    dps: &Dps,
    request: Incoming<'_>,
    call: OperatorCall<'_>,
) -> Result<Reply, ServiceFault> {
    match call {
        OperatorCall::Read(key) => enrollments::read(dps, request, key?).await,
        OperatorCall::Put(key) => enrollments::put(dps, request, key?).await,
        OperatorCall::Delete(key) => enrollments::delete(dps, request, key?).await,
        OperatorCall::Mechanism(key) => enrollments::mechanism(dps, request, key?).await,
        OperatorCall::Query(kind) => enrollments::query(dps, request, kind).await,
        OperatorCall::Bulk(kind) => enrollments::bulk::run(dps, request, kind).await,
        OperatorCall::ReadRegistration(id) => registrations::read(dps, request, id?).await,
        OperatorCall::DeleteRegistration(id) => registrations::delete(dps, request, id?).await,
        OperatorCall::QueryRegistrations(group) => registrations::query(dps, request, group?).await,
        OperatorCall::CaCertificates(call) => ca_certificates::answer(dps, request, call).await,
        OperatorCall::Resources(call) => resources::answer(dps, request, call).await,
        OperatorCall::Serving(call) => serving::answer(dps, request, call).await,
        OperatorCall::Audit => audit::list(dps, request).await,
        OperatorCall::Refusals => verdicts::refusals(dps, request).await,
        OperatorCall::Explain => verdicts::explain(dps, request).await,
        OperatorCall::Block(id) => blocks::put(dps, request, id?).await,
        OperatorCall::Unblock(id) => blocks::delete(dps, request, id?).await,
    }
}

/// The body of a refusal that asks a TPM to prove itself.
fn challenge_body(error: ServiceError, challenge: &Challenge) -> TpmChallenge {
    TpmChallenge {
        error,
        authentication_key: challenge.sealed.as_bytes().to_vec().into(),
        key_name: REGISTRATION_POLICY,
    }
}

impl Incoming<'_> {
    /// A request header as text; one that is not text is as good as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Reads the body, up to `limit` bytes.
    pub(crate) async fn read(self, limit: usize) -> Result<Bytes, ServiceFault> {
        // What is announced as too long is not waited for, nor asked for with "100 Continue".
        if self.body.size_hint().lower() > limit as u64 {
            return Err(ServiceFault::TooLarge(limit));
        }
        axum::body::to_bytes(self.body, limit)
            .await
            .map_err(|error| {
                if wire_http::is_late(&error) {
                    return ServiceFault::Late;
                }
                let mut cause: Option<&dyn std::error::Error> = Some(&error);
                while let Some(error) = cause {
                    if error.is::<LengthLimitError>() {
                        return ServiceFault::TooLarge(limit);
                    }
                    cause = error.source();
                }
                ServiceFault::BodyBroken
            })
    }
}

impl Reply {
    /// An answer with a JSON body.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
        // Serialising our own types fails only for maps with keys that are not text; there are none.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            status,
            headers,
            body,
        }
    }

    /// 204.
    pub(crate) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    fn fault(fault: &ServiceFault, request_id: &str, now: ids::Timestamp) -> Self {
        let error = ServiceError::dps(fault.code(), fault.outside(), request_id, now);
        let status = StatusCode::from_u16(error.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = error.error_code.to_string();
        let reply = match fault {
            ServiceFault::Challenged(challenge) => {
                Self::json(status, &challenge_body(error, challenge))
            }
            _ => Self::json(status, &error),
        };
        let reply = reply.with(HeaderName::from_static(ServiceError::HEADER), &code);
        match fault.retry_after() {
            Some(seconds) => reply.with(RETRY_AFTER, &seconds.to_string()),
            None => reply,
        }
    }

    /// The same answer with one more header; a value that no header may have is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn with_etag(self, etag: &ids::Etag) -> Self {
        self.with(ETAG, &format!("\"{etag}\""))
    }

    fn into_response(self, request_id: &str) -> Response<Body> {
        let reply = self.with(HeaderName::from_static(wire_http::REQUEST_ID), request_id);
        let mut response = Response::new(Body::from(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}
