//! `/muster/v1/dps/allocations`: what custom allocations were asked and answered, asking again, and
//! the key that signs.

use ids::{HubHost, HubName, RegistrationId};
use provisioning::{
    Act, AllocationNote, AllocationRecord, EnrollmentError, EnrollmentKey, WebhookQuestion,
};
use registry::Right;
use rest::{Reply, RequestError, get, post};
use serde_json::Value;
use wire::lenient::BodyError;
use wire::service_api::allocation::{RecordedAllocation, Replay, SigningKey};

use super::access::Access;
use super::{Call, Route, disclose, now, provisioning};
use crate::error::ServiceFault;
use crate::pending::signature::WebhookKey;
use crate::pending::webhook;
use crate::registration::enrollment::Enrollment;

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/allocations", access, list),
        get("/muster/v1/dps/allocations/{id}", access, read),
        post("/muster/v1/dps/allocations/{id}/replay", access, replay),
        get("/muster/v1/dps/webhookKey", access, read_key),
    ]
}

/// The latest ones of one registration, the newest first.
async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let id = call.query("registrationId").ok_or_else(|| {
        let problem = "is missing in the query, for example ?registrationId=edge-001";
        BodyError::new("registrationId", problem)
    })?;
    let id = RegistrationId::parse(&id)?;
    let found = provisioning(&call).allocations(&id).await?;
    let rows: Vec<RecordedAllocation> = found.into_iter().map(describe).collect();
    Ok(Reply::json(&rows))
}

async fn read(call: Call, id: String) -> Result<Reply, ServiceFault> {
    Ok(Reply::json(&describe(find(&call, &id).await?)))
}

/// Asks the webhook of today what it was asked then. Only the audit is written.
async fn replay(call: Call, id: String) -> Result<Reply, ServiceFault> {
    let recorded = find(&call, &id).await?;
    let question = question(&call, &recorded.note).await?;
    disclose(&call, Act::ReplayAllocation, &id).await?;
    let outbound = (call.service.outbound(), call.permit.on_behalf());
    let asked = webhook::ask(outbound, &question, &signing_key(&call), now(&call)).await;
    let outcome = |note: &AllocationNote| (note.status, note.output.clone());
    Ok(Reply::json(&Replay {
        same: outcome(&recorded.note) == outcome(&asked.note),
        recorded: describe(recorded),
        replayed: value(&asked.note),
    }))
}

async fn read_key(call: Call) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    disclose(&call, Act::ReadWebhookKey, service.name.as_str()).await?;
    let key = signing_key(&call).to_base64().to_string();
    Ok(Reply::json(&SigningKey { key }))
}

fn signing_key(call: &Call) -> WebhookKey {
    WebhookKey::derive(provisioning(call).service().operation_key.reveal())
}

async fn find(call: &Call, id: &str) -> Result<AllocationRecord, ServiceFault> {
    let number = id.parse().map_err(|_| RequestError::NoSuchPath)?;
    let found = provisioning(call).allocation(number).await?;
    Ok(found.ok_or(RequestError::NoSuchPath)?)
}

/// The recorded input, for the webhook that its enrollment names now: what is recorded of the
/// URL lacks the key.
async fn question(call: &Call, note: &AllocationNote) -> Result<WebhookQuestion, ServiceFault> {
    let provisioning = provisioning(call);
    let asked = note
        .input
        .as_ref()
        .ok_or_else(|| BodyError::new("input", "is missing: no webhook was asked"))?;
    let unreadable = || BodyError::new("input", "names no enrollment");
    let id = |kind: &str, id: &str| asked.get(kind)?.get(id)?.as_str().map(str::to_owned);
    let key = match (
        id("individualEnrollment", "registrationId"),
        id("enrollmentGroup", "enrollmentGroupId"),
    ) {
        (Some(id), _) => EnrollmentKey::Individual(id.parse()?),
        (None, Some(id)) => EnrollmentKey::Group(id.parse()?),
        (None, None) => return Err(unreadable().into()),
    };
    let gone = || EnrollmentError::NotFound(key.clone());
    let enrollment = Enrollment::parse(&*provisioning.enrollment(&key).await?.ok_or_else(gone)?)?;
    let definition = enrollment.webhook().ok_or_else(gone)?.clone();
    let hosts = asked.get("linkedHubs").and_then(Value::as_array);
    let service = provisioning.service();
    let hub = |host: &Value| -> Option<(HubName, HubHost)> {
        let host = HubHost::parse(host.as_str()?).ok()?;
        let hub = service.hub_at(&host)?;
        Some((hub.name.clone(), hub.host.clone()))
    };
    Ok(WebhookQuestion {
        definition,
        input: asked.to_string(),
        skipped: note.skipped.clone(),
        hubs: hosts.into_iter().flatten().filter_map(hub).collect(),
    })
}

fn describe(record: AllocationRecord) -> RecordedAllocation {
    RecordedAllocation {
        id: record.id,
        registration_id: record.registration_id,
        at: record.at,
        note: value(&record.note),
    }
}

fn value(note: &AllocationNote) -> Value {
    // Serialising our own types fails only for maps with keys that are not text; there are none.
    serde_json::to_value(note).unwrap_or_default()
}
