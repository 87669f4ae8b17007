//! The HTTP door. The same paths serve operators and devices; who calls, and with which right, decides ([`access`]).
//!
//! A request goes: path → resource → hub → caller's permit → body → handler → answer. Nothing of a body is read before the
//! permit is there.

mod access;
mod answer;
mod configurations;
mod events;
mod identities;
mod route;
mod twins;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, IF_MATCH};
use axum::http::{HeaderMap, Method, request::Parts};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ids::{HubHost, HubName};
use pki::PeerChain;
use registry::{Actor, ClientAddress, IfMatch, LocalHub, OnProof, PageRequest, Registry};
use serde_json::Value;
use uuid::Uuid;
use wire::http::Path;

use crate::Hub;
use crate::connect::chain_text;
use crate::error::HubError;
use access::Permit;
use answer::Answer;
use route::Route;
pub(crate) use route::RouteError;

/// A body that has not arrived by then is given up.
const BODY_DEADLINE: Duration = Duration::from_secs(60);
/// Largest body of a request that is not telemetry: a deployment, a twin.
const MAX_DOCUMENT: usize = 1024 * 1024;
/// A batch of telemetry: base64 of 256 KB and its properties.
const MAX_BATCH_BODY: usize = 512 * 1024;
/// Most identities or configurations of one page.
const MAX_PAGE: usize = 1000;

/// Every path of the hubs: as a fallback, because axum tells letter cases apart and clients do not.
pub(crate) fn router(hub: Hub) -> Router {
    Router::new().fallback(serve).with_state(hub)
}

async fn serve(State(hub): State<Hub>, request: Request) -> Response {
    let request_id = Uuid::new_v4();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match respond(&hub, request).await {
        Ok(answer) => answer.encode(request_id),
        Err(error) => {
            let (status, code) = error.code();
            let detail = chain_text(&error);
            // What a device does not do is no failure of ours, whatever its status.
            if code == wire::error::HubErrorCode::ServerError {
                tracing::error!(request.id = %request_id, %method, path, status, error = detail, "a request failed");
            } else {
                tracing::info!(request.id = %request_id, %method, path, status, error = detail, "a request was refused");
            }
            Answer::refusal(status, code, error.outside(), request_id, hub.now()).encode(request_id)
        }
    }
}

async fn respond(hub: &Hub, request: Request) -> Result<Answer, HubError> {
    let (parts, body) = request.into_parts();
    let path = Path::parse(parts.uri.path()).map_err(|error| HubError::Bad(error.to_string()))?;
    let route = Route::find(&parts.method, &path)?;
    if wire::http::api_version(parts.uri.query()).is_none() && route != Route::ReadEvents {
        return Err(HubError::NoApiVersion);
    }
    let (local, called) = local_hub(hub, &parts)?;
    let permit = access::admit(hub, (&local, &called), &route, &path, &parts).await?;
    if let Some(OnProof(tell)) = parts.extensions.get() {
        tell();
    }
    let body = read(body, body_limit(&route)).await?;
    let call = Call {
        hub: hub.clone(),
        name: local.name.clone(),
        permit,
        parts,
        body,
    };
    dispatch(call, route).await
}

/// The name under which a request came to its hub.
enum Called {
    Present,
    /// The hub had it once.
    Former(HubHost),
}

/// The hub that the `Host` header means. A host that is none of ours is fine as long as there is only one hub.
fn local_hub(hub: &Hub, parts: &Parts) -> Result<(Arc<LocalHub>, Called), HubError> {
    let served = hub.registry().served();
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let text = header
        .or(parts
            .uri
            .authority()
            .map(axum::http::uri::Authority::as_str))
        .unwrap_or_default();
    if let Ok(host) = HubHost::parse(text) {
        if let Some(named) = served.hub_at(&host) {
            return Ok((named.clone(), Called::Present));
        }
        if let Some(former) = served.hub_formerly_at(&host) {
            return Ok((former.clone(), Called::Former(host)));
        }
    }
    match served.hubs.as_slice() {
        [only] => Ok((only.clone(), Called::Present)),
        _ => Err(HubError::NoSuchHub(text.to_owned())),
    }
}

fn body_limit(route: &Route) -> usize {
    match route {
        Route::Events(..) => MAX_BATCH_BODY,
        _ => MAX_DOCUMENT,
    }
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, HubError> {
    // What is announced as too long is not waited for, nor asked for with "100 Continue".
    if body.size_hint().lower() > limit as u64 {
        return Err(HubError::TooLarge { limit });
    }
    let collected = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(HubError::TooLarge { limit }),
        Ok(Err(error)) if wire::http::is_late(&*error) => Err(HubError::Late),
        Err(_) => Err(HubError::Late),
        Ok(Err(_)) => Err(HubError::Interrupted),
    }
}

/// A request that was admitted.
struct Call {
    hub: Hub,
    name: HubName,
    permit: Permit,
    parts: Parts,
    body: Vec<u8>,
}

impl Call {
    /// The registry in the caller's hands: the audit says who changed what.
    fn acting(&self) -> Registry {
        self.hub.registry().by(Actor {
            policy: self.permit.name(),
            request_id: self
                .header("x-ms-client-request-id")
                .unwrap_or_default()
                .chars()
                .take(64)
                .collect(),
            address: self
                .parts
                .extensions
                .get::<ClientAddress>()
                .map(|ClientAddress(address)| *address),
            at: self.hub.now(),
        })
    }

    fn json(&self) -> Result<Value, HubError> {
        Ok(wire::lenient::parse_exactly(&self.body)?)
    }

    fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    fn query(&self, name: &str) -> Option<String> {
        wire::http::query_value(self.parts.uri.query(), name)
    }

    fn if_match(&self) -> Result<IfMatch, HubError> {
        let header = self
            .headers()
            .get(IF_MATCH)
            .map(|value| value.to_str().unwrap_or("\u{7f}"));
        match wire::http::IfMatch::parse(header) {
            Ok(wire::http::IfMatch::Absent) => Ok(IfMatch::Absent),
            Ok(wire::http::IfMatch::Any) => Ok(IfMatch::Any),
            Ok(wire::http::IfMatch::Is(etag)) => Ok(IfMatch::Exactly(etag)),
            Err(error) => Err(HubError::Bad(format!("If-Match: {error}"))),
        }
    }

    /// The first page of a listing, as long as `top` asks.
    fn top(&self) -> PageRequest {
        PageRequest::first(wire::http::page_size(
            self.query("top").as_deref(),
            MAX_PAGE,
            MAX_PAGE,
        ))
    }
}

/// The certificates of the connection that the request came over.
fn peer(parts: &Parts) -> PeerChain {
    parts
        .extensions
        .get::<PeerChain>()
        .cloned()
        .unwrap_or_default()
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default())
        .filter(|text| !text.is_empty())
}

async fn dispatch(call: Call, route: Route) -> Result<Answer, HubError> {
    let method = call.parts.method.clone();
    match (&method, route) {
        (&Method::GET, Route::Devices) => identities::list_devices(&call).await,
        (&Method::GET, Route::Device(device)) => identities::get_device(&call, &device).await,
        (&Method::PUT, Route::Device(device)) => identities::put_device(&call, &device).await,
        (&Method::DELETE, Route::Device(device)) => identities::delete_device(&call, &device).await,
        (&Method::GET, Route::Modules(device)) => identities::list_modules(&call, &device).await,
        (&Method::GET, Route::Module(device, module)) => {
            identities::get_module(&call, &device, &module).await
        }
        (&Method::PUT, Route::Module(device, module)) => {
            identities::put_module(&call, &device, &module).await
        }
        (&Method::DELETE, Route::Module(device, module)) => {
            identities::delete_module(&call, &device, &module).await
        }
        (&Method::GET, Route::DeviceStatistics) => identities::statistics(&call).await,
        (&Method::GET, Route::ServiceStatistics) => Ok(identities::connected(&call)),
        (&Method::GET, Route::Twin(device, module)) => twins::get(&call, device, module).await,
        (&Method::PATCH, Route::Twin(device, module)) => twins::patch(&call, device, module).await,
        (&Method::PUT, Route::Twin(device, module)) => twins::replace(&call, device, module).await,
        (&Method::POST, Route::Methods(device, module)) => {
            twins::invoke(&call, device, module).await
        }
        (&Method::POST, Route::Query) => twins::query(&call).await,
        (&Method::GET, Route::Configurations) => configurations::list(&call).await,
        (&Method::GET, Route::Configuration(id)) => configurations::get(&call, &id).await,
        (&Method::PUT, Route::Configuration(id)) => configurations::put(&call, id).await,
        (&Method::DELETE, Route::Configuration(id)) => configurations::delete(&call, &id).await,
        (&Method::POST, Route::TestQueries) => configurations::test_queries(&call),
        (&Method::POST, Route::ApplyContent(device)) => configurations::apply(&call, &device).await,
        (&Method::POST, Route::Events(..)) => events::post(&call).await,
        // There are no cloud-to-device messages yet, so none waits, none is locked and none is purged.
        (&Method::GET, Route::DeviceBound(_)) => Ok(Answer::empty()),
        (&Method::DELETE, Route::DeviceBoundLock(_))
        | (&Method::POST, Route::DeviceBoundAbandon(_)) => Err(HubError::NoMessage),
        (&Method::DELETE, Route::Commands(device)) => identities::purge(&call, &device).await,
        (_, Route::NotOffered(what, _)) => Err(HubError::NotOffered(what)),
        (&Method::GET, Route::ReadEvents) => events::read(&call).await,
        (method, _) => Err(HubError::MethodNotAllowed(method.clone())),
    }
}
