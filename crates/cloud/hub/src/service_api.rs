//! The HTTP API of the hubs, one file a noun. The same paths serve operators and devices; each
//! route says which of them it admits ([`access`]).

mod access;
mod bulk;
mod configurations;
mod consumer_groups;
mod device_bound;
mod devices;
mod digital_twins;
mod event_stream;
mod events;
mod files;
mod jobs;
mod methods;
mod modules;
mod notifications;
mod queries;
mod rollouts;
mod routing;
mod send_message;
mod transfers;
mod twins;

use std::ops::Deref;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use ids::error_chain;
use registry::{PageRequest, Registry};
use rest::{Asked, Reply, RequestId, Service, Table};
use serde_json::Value;
use wire::error::{HubErrorCode, HubHttpError};

use crate::error::HubError;
use crate::quantities::Quantity;
use crate::service::Hub;
use access::{Access, Permit};

/// The HTTP side of the hubs. Its error and permit types are this crate's own,
/// where [`Hub`] is public.
#[derive(Clone)]
struct ServiceApi(Hub);

type Call = rest::Call<ServiceApi>;
type Route = rest::Route<ServiceApi>;

/// Most identities or configurations of one page.
const MAX_PAGE: usize = 1000;

/// Every route of the hubs. One that stands earlier is tried earlier.
static ROUTES: LazyLock<Table<ServiceApi>> = LazyLock::new(|| {
    Table::new([
        devices::routes(),
        bulk::routes(),
        modules::routes(),
        twins::routes(),
        methods::routes(),
        digital_twins::routes(),
        queries::routes(),
        configurations::routes(),
        rollouts::routes(),
        events::routes(),
        consumer_groups::routes(),
        routing::routes(),
        jobs::routes(),
        transfers::routes(),
        send_message::routes(),
        device_bound::routes(),
        notifications::routes(),
        files::routes(),
    ])
});

/// Answers a request to any path; one that is not a hub's is answered 404.
pub(crate) async fn answer(hub: &Hub, request: Request) -> Response {
    rest::answer(&ServiceApi(hub.clone()), &ROUTES, request).await
}

impl Deref for ServiceApi {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.0
    }
}

impl Service for ServiceApi {
    type Access = Access;
    type Permit = Permit;
    type Error = HubError;

    async fn admit(&self, asked: &Asked<'_, Access>) -> Result<Permit, HubError> {
        let permit = access::admit(self, asked).await?;
        let (method, segments) = (&asked.parts.method, asked.path.segments());
        if let Some(quantity) = Quantity::of_request(method, &segments) {
            let device = permit.sender().map(|sender| sender.identity);
            self.count((permit.hub(), device), (quantity, 1))?;
        }
        Ok(permit)
    }

    fn refuse(&self, error: &HubError, asked: &Parts, request_id: &RequestId) -> Reply {
        let (status, code) = error.code();
        let (method, path, detail) = (&asked.method, asked.uri.path(), error_chain(error));
        // A status of 5xx alone is no failure of ours: a device may just not have answered.
        if code == HubErrorCode::ServerError {
            tracing::error!(
                request.id = %request_id, %method, path, status, error = detail, "a request failed"
            );
        } else {
            tracing::info!(
                request.id = %request_id, %method, path, status, error = detail,
                "a request was refused"
            );
        }
        let id = request_id.to_string();
        let reply = Reply::json(&HubHttpError::new(code, error.outside(), &id, self.now()))
            .with_status(status)
            .with(HubHttpError::HEADER, code.name());
        match error.retry_after_seconds() {
            Some(seconds) => reply.with("retry-after", &seconds.to_string()),
            None => reply,
        }
    }
}

/// The registry on behalf of the caller: the audit says who changed what.
fn acting(call: &Call) -> Registry {
    call.service.registry().by(call.permit.actor())
}

fn json(call: &Call) -> Result<Value, HubError> {
    Ok(wire::lenient::parse_exactly(&call.body)?)
}

/// The first page of a listing, of as many as `top` asks for.
fn top(call: &Call) -> PageRequest {
    let top = call.query("top");
    PageRequest::first(wire::http::page_size(top.as_deref(), MAX_PAGE, MAX_PAGE))
}

/// An id in the body must be the one of the path.
fn require_same(member: &str, path: &str, body: Option<&str>) -> Result<(), HubError> {
    match body {
        Some(body) if body != path => Err(HubError::Bad(format!(
            "'{member}' of the body is {body:?}, but the path says {path:?}"
        ))),
        _ => Ok(()),
    }
}
