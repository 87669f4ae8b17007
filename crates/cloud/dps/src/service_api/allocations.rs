//! What custom allocations were asked and answered, asking again, and the key that signs.

use ids::{HubHost, HubName, RegistrationId};
use provisioning::{Act, AllocationNote, AllocationRecord, EnrollmentKey, WebhookQuestion};
use serde_json::Value;
use wire::http::query_value;
use wire::lenient::BodyError;
use wire::service_api::allocation::{RecordedAllocation, Replay, SigningKey};

use super::serving::{Request, ok};
use crate::error::ServiceFault;
use crate::http::Reply;
use crate::pending::signature::WebhookKey;
use crate::pending::webhook;
use crate::registration::enrollment::Enrollment;

/// The latest ones of one registration, the newest first.
pub(crate) async fn list(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let id = query_value(request.query, "registrationId").ok_or_else(|| {
        let problem = "is missing in the query, for example ?registrationId=edge-001";
        BodyError::new("registrationId", problem)
    })?;
    let id = RegistrationId::parse(&id)?;
    let found = request.operator.registry().allocations(&id).await?;
    let shown: Vec<RecordedAllocation> = found.into_iter().map(document).collect();
    Ok(ok(&shown))
}

pub(crate) async fn read(request: &Request<'_>, id: &str) -> Result<Reply, ServiceFault> {
    Ok(ok(&document(find(request, id).await?)))
}

/// Asks the webhook of today what it was asked then. Nothing is written but that an operator did it.
pub(crate) async fn replay(request: &Request<'_>, id: &str) -> Result<Reply, ServiceFault> {
    let recorded = find(request, id).await?;
    let question = question(request, &recorded.note).await?;
    request.disclose(Act::ReplayAllocation, id).await?;
    let operator = &request.operator;
    let caller = (&*operator.options().outbound, operator.on_behalf());
    let asked = webhook::ask(caller, &question, &signing_key(request), operator.now()).await;
    let outcome = |note: &AllocationNote| (note.status, note.output.clone());
    Ok(ok(&Replay {
        same: outcome(&recorded.note) == outcome(&asked.note),
        recorded: document(recorded),
        replayed: value(&asked.note),
    }))
}

pub(crate) async fn key(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let service = request.operator.registry().service();
    let act = Act::ReadWebhookKey;
    request.disclose(act, service.name.as_str()).await?;
    let key = signing_key(request).to_base64().to_string();
    Ok(ok(&SigningKey { key }))
}

fn signing_key(request: &Request<'_>) -> WebhookKey {
    WebhookKey::derive(request.operator.registry().service().operation_key.reveal())
}

async fn find(request: &Request<'_>, id: &str) -> Result<AllocationRecord, ServiceFault> {
    let number = id.parse().map_err(|_| ServiceFault::NoSuchPath)?;
    let found = request.operator.registry().allocation(number).await?;
    found.ok_or(ServiceFault::NoSuchPath)
}

/// The recorded input, for the webhook that its enrollment names now: what is recorded of the URL lacks the key.
async fn question(
    request: &Request<'_>,
    note: &AllocationNote,
) -> Result<WebhookQuestion, ServiceFault> {
    let registry = request.operator.registry();
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
    let gone = || ServiceFault::NoSuchEnrollment(key.clone());
    let entry = Enrollment::parse(&*registry.enrollment(&key).await?.ok_or_else(gone)?)?;
    let definition = entry.webhook().ok_or_else(gone)?.clone();
    let hosts = asked.get("linkedHubs").and_then(Value::as_array);
    let service = registry.service();
    let hub = |host: &Value| -> Option<(HubName, HubHost)> {
        let host = HubHost::parse(host.as_str()?).ok()?;
        let hub = service.hub_at(&host)?;
        Some((hub.name.clone(), hub.host.clone()))
    };
    Ok(WebhookQuestion {
        definition,
        input: asked.to_string(),
        passed_over: note.passed_over.clone(),
        hubs: hosts.into_iter().flatten().filter_map(hub).collect(),
    })
}

fn document(record: AllocationRecord) -> RecordedAllocation {
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
