//! One request to a webhook: a JSON array of events, as `GET /muster/v1/events` answers them,
//! signed like the requests of custom allocations.

use std::time::Duration;

use axum::http::Method;
use ids::HubName;
use outbound::{OutboundAnswer, OutboundCall, OutboundFault};
use registry::StoredEvent;
use wire::muster_api::routing::WebhookEndpoint;
use wire::sas::SharedAccessKey;
use wire::service_api::allocation::{SIGNATURE, SIGNED_AT, signature};
use zeroize::Zeroizing;

use super::backlog::Outcome;
use super::on_behalf;
use crate::event_view::document;
use crate::service::Hub;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read; only its status counts.
const MAX_ANSWER: usize = 64 * 1024;
/// Request headers: the hub, and the endpoint's name there.
pub(super) const HUB: &str = "x-muster-hub";
pub(super) const ENDPOINT: &str = "x-muster-endpoint";

pub(super) async fn post(
    hub: &Hub,
    at: &HubName,
    endpoint: &WebhookEndpoint,
    events: &[StoredEvent],
) -> Outcome {
    let documents: Vec<_> = events.iter().map(document).collect();
    // Texts and numbers have nothing that cannot be written.
    let body = serde_json::to_vec(&documents).unwrap_or_default();
    let key = endpoint.key.as_ref().map(SharedAccessKey::try_from);
    // Stored endpoints have one.
    let Some(Ok(key)) = key else {
        return Outcome::Failed("the endpoint has no key to sign its requests with".to_owned());
    };
    let now = hub.now().unix_seconds();
    let call = OutboundCall {
        on_behalf: on_behalf(hub, at),
        method: Method::POST,
        url: Zeroizing::new(endpoint.url.reveal().to_owned()),
        headers: vec![
            (HUB, at.to_string()),
            (ENDPOINT, endpoint.name.to_string()),
            (SIGNED_AT, now.to_string()),
            (SIGNATURE, signature(&key, now, &body)),
        ],
        body: Some(body),
        limit: MAX_ANSWER,
        timeout: TIMEOUT,
    };
    match hub.outbound().call(call).await {
        Ok(OutboundAnswer { status, .. }) | Err(OutboundFault::TooLong { status, .. }) => {
            Outcome::of_status(status)
        }
        Err(fault) => Outcome::Failed(fault.to_string()),
    }
}
