//! The HTTP API for operators, one file a noun: Azure's service API, and
//! Muster's own under `/muster/v1`.

mod access;
mod allocations;
mod audit;
mod blocks;
mod ca_certificates;
pub mod enrollments;
mod explain;
mod hubs;
mod issuers;
mod linked_hubs;
mod policies;
mod queries;
mod refusals;
mod registrations;
mod revocation_lists;
mod services;
mod trust_bundles;

use std::ops::Deref;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use ids::Timestamp;
use provisioning::Provisioning;
use registry::{IfMatch, OperatorAct};
use rest::{Asked, Reply, RequestId, Service, Table};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::lenient;
use wire::muster_api::OwnBodyError;

use crate::error::{NounError, ServiceFault};
use crate::service::Dps;
use access::{Access, Permit};

/// The operators' side of the services. Its error and permit types are this crate's own,
/// where [`Dps`] is public.
#[derive(Clone)]
struct ServiceApi(Dps);

type Call = rest::Call<ServiceApi>;
type Route = rest::Route<ServiceApi>;

/// Largest body of enrollments, their certificates, and what belongs to them, bytes.
const RECORD_BODY: usize = wire::service_api::enrollment::MAX_BODY;
/// Largest body of settings, bytes.
const SETTINGS_BODY: usize = wire::muster_api::MAX_BODY;

/// Every route. One that stands earlier is tried earlier.
static ROUTES: LazyLock<Table<ServiceApi>> = LazyLock::new(|| {
    Table::new([
        with_limit(RECORD_BODY, enrollments::routes()),
        with_limit(RECORD_BODY, registrations::routes()),
        with_limit(RECORD_BODY, ca_certificates::routes()),
        with_limit(RECORD_BODY, issuers::routes()),
        with_limit(RECORD_BODY, trust_bundles::routes()),
        with_limit(RECORD_BODY, revocation_lists::routes()),
        revocation_lists::content_routes(),
        with_limit(RECORD_BODY, blocks::routes()),
        with_limit(SETTINGS_BODY, hubs::routes()),
        with_limit(SETTINGS_BODY, linked_hubs::routes()),
        with_limit(SETTINGS_BODY, policies::routes()),
        with_limit(SETTINGS_BODY, services::routes()),
        with_limit(SETTINGS_BODY, allocations::routes()),
        with_limit(SETTINGS_BODY, audit::routes()),
        with_limit(SETTINGS_BODY, refusals::routes()),
        with_limit(explain::MAX_BODY, explain::routes()),
    ])
});

fn with_limit(bytes: usize, routes: Vec<Route>) -> Vec<Route> {
    let limited = |route: Route| route.body_limit(bytes);
    routes.into_iter().map(limited).collect()
}

/// Answers a request to a path of operators.
pub async fn answer(dps: &Dps, request: Request) -> Response {
    rest::answer(&ServiceApi(dps.clone()), &ROUTES, request).await
}

impl Deref for ServiceApi {
    type Target = Dps;

    fn deref(&self) -> &Dps {
        &self.0
    }
}

impl Service for ServiceApi {
    type Access = Access;
    type Permit = Permit;
    type Error = ServiceFault;

    async fn admit(&self, asked: &Asked<'_, Access>) -> Result<Permit, ServiceFault> {
        access::admit(self, asked)
    }

    fn refuse(&self, fault: &ServiceFault, _asked: &Parts, request_id: &RequestId) -> Reply {
        fault.log(request_id);
        fault.reply(request_id, self.now())
    }
}

/// What is stored, as the caller's service sees it; what is written is the caller's act.
fn provisioning(call: &Call) -> &Provisioning {
    call.permit.provisioning()
}

fn now(call: &Call) -> Timestamp {
    call.service.now()
}

fn if_match(call: &Call) -> Result<IfMatch, ServiceFault> {
    Ok(call.if_match()?.into())
}

/// A body of Azure's API, in which numbers keep their digits.
fn exact_json(call: &Call) -> Result<Value, ServiceFault> {
    Ok(lenient::parse_exactly(&call.body)?)
}

/// A body of Muster's own API, in which unknown members are errors.
fn own_json<T: DeserializeOwned>(call: &Call) -> Result<T, ServiceFault> {
    Ok(wire::muster_api::parse(&call.body)?)
}

impl NounError for OwnBodyError {}

/// Writes to the audit that the answer discloses a key.
async fn disclose(call: &Call, act: impl OperatorAct, target: &str) -> Result<(), ServiceFault> {
    Ok(provisioning(call).disclose(act, target).await?)
}

/// A parameter of the query string that is not empty.
fn query_text(call: &Call, name: &str) -> Option<String> {
    call.query(name).filter(|text| !text.is_empty())
}

/// A moment in the query string.
fn query_moment(call: &Call, name: &str) -> Result<Option<Timestamp>, ServiceFault> {
    let parsed = query_text(call, name).map(|text| Timestamp::parse(&text));
    Ok(parsed.transpose()?)
}
