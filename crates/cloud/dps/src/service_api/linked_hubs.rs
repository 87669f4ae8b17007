//! `/muster/v1/dps/linkedHubs`: the hubs that a service assigns devices to.

use aws_lc_rs::constant_time;
use ids::{HubHost, HubName};
use outbound::OnBehalf;
use provisioning::{
    AllocationWeight, HubAccess, LinkDraft, LinkedHub, ProvisioningService, RemoteAccess,
    ServiceSetupError,
};
use registry::{LocalHub, LocalHubs, Right, SharedAccessPolicy};
use rest::{Reply, delete, get, put};
use wire::connection_string::ConnectionString;
use wire::error::DpsErrorCode;
use wire::muster_api::linked_hub::{
    HubHealth, HubLocation, HubState, LinkRequest, LinkedHubDocument, MAX_LATENCIES,
};
use wire::service_api::identity::KeyText;

use super::access::Access;
use super::{Call, Route, now, own_json, provisioning};
use crate::error::{NounError, ServiceFault};
use crate::remote_hub::health::Health;

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/linkedHubs", access, list),
        get("/muster/v1/dps/linkedHubs/{name}", access, read),
        put("/muster/v1/dps/linkedHubs/{name}", access, write),
        delete("/muster/v1/dps/linkedHubs/{name}", access, remove),
    ]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    let hubs = service.hubs.iter().map(|link| describe(&call, link));
    Ok(Reply::json(&hubs.collect::<Result<Vec<_>, _>>()?))
}

async fn read(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    let link = service.hub(&name);
    let link = link.ok_or_else(|| ServiceSetupError::NotLinked(name.clone()))?;
    Ok(Reply::json(&describe(&call, link)?))
}

/// Links, or changes a link.
async fn write(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    let (provisioning, owner) = (provisioning(&call), call.permit.on_behalf());
    let request: LinkRequest = own_json(&call)?;
    let draft = draft(
        name,
        request,
        (&provisioning.service(), owner),
        &provisioning.registry().hubs(),
    )?;
    let link = provisioning.link_hub(draft, now(&call)).await?;
    Ok(Reply::json(&describe(&call, &link)?))
}

async fn remove(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    provisioning(&call).unlink_hub(&name).await?;
    Ok(Reply::no_content())
}

/// Why a hub is not linked.
#[derive(Debug, thiserror::Error)]
enum LinkFault {
    #[error("allocationWeight is 1 to 1000, not {0}")]
    Weight(i64),
    #[error("latencies names {0} networks, {MAX_LATENCIES} at most are allowed")]
    TooManyLatencies(usize),
    /// Operators of other services than the first need a key of the hub.
    #[error("linking hub {0} needs its connection string")]
    NoKey(HubName),
    #[error(
        "the connection string does not open hub {0}: none of its policies has that name and key"
    )]
    WrongKey(HubName),
    #[error(
        "policy {policy:?} of hub {hub} lacks RegistryWrite or ServiceConnect, which provisioning \
         needs"
    )]
    WeakKey { hub: HubName, policy: String },
    /// A hub of this server has its name.
    #[error("the connection string is that of this server's hub {0}; link it by that name")]
    OtherName(HubName),
}

impl NounError for LinkFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NoKey(_) => DpsErrorCode::Forbidden,
            _ => DpsErrorCode::ArgumentInvalid,
        }
    }
}

/// A link about to be made or changed. Operators of the server's first service link the server's
/// hubs by name; those of the others send a key of it, as for a remote hub.
fn draft(
    name: HubName,
    request: LinkRequest,
    (service, on_behalf): (&ProvisioningService, OnBehalf),
    local: &LocalHubs,
) -> Result<LinkDraft, LinkFault> {
    let weight = |weight| AllocationWeight::new(weight).ok_or(LinkFault::Weight(weight));
    let allocation_weight = request.allocation_weight.map(weight).transpose()?;
    let remote = match request.connection_string {
        Some(given) => match local.hubs.iter().find(|hub| hub.host == given.host) {
            Some(hub) => {
                require_key(hub, &name, &given)?;
                None
            }
            None => Some(remote(given)),
        },
        None if on_behalf == OnBehalf::Owner || service.hub(&name).is_some() => None,
        None => return Err(LinkFault::NoKey(name)),
    };
    let latencies = match request.latencies {
        Some(latencies) if latencies.len() > MAX_LATENCIES => {
            return Err(LinkFault::TooManyLatencies(latencies.len()));
        }
        latencies => latencies,
    };
    Ok(LinkDraft {
        latencies,
        name,
        remote,
        allocation_weight,
        apply_allocation_policy: request.apply_allocation_policy,
    })
}

fn remote(given: ConnectionString) -> (HubHost, RemoteAccess) {
    let ConnectionString { host, policy, key } = given;
    (host, RemoteAccess { policy, key })
}

fn require_key(hub: &LocalHub, name: &HubName, given: &ConnectionString) -> Result<(), LinkFault> {
    let has_key = |policy: &&SharedAccessPolicy| {
        policy.name.eq_ignore_ascii_case(&given.policy)
            && (is_same(&policy.primary, &given.key) || is_same(&policy.secondary, &given.key))
    };
    let policy = hub.policies.iter().find(has_key);
    let policy = policy.ok_or_else(|| LinkFault::WrongKey(hub.name.clone()))?;
    if !(policy.grants(Right::RegistryWrite) && policy.grants(Right::ServiceConnect)) {
        return Err(LinkFault::WeakKey {
            hub: hub.name.clone(),
            policy: policy.name.clone(),
        });
    }
    match hub.name == *name {
        true => Ok(()),
        false => Err(LinkFault::OtherName(hub.name.clone())),
    }
}

/// In constant time: an operator that may link hubs of its own must not learn
/// another's key by trying.
fn is_same(stored: &KeyText, given: &KeyText) -> bool {
    let (stored, given) = (stored.reveal().as_bytes(), given.reveal().as_bytes());
    constant_time::verify_slices_are_equal(stored, given).is_ok()
}

fn describe(call: &Call, link: &LinkedHub) -> Result<LinkedHubDocument, ServiceFault> {
    let health = call.service.hub_health().get(link);
    let failing = health.failing();
    let health = HubHealth {
        state: match health {
            Health::Healthy => HubState::Healthy,
            Health::Suspect(_) => HubState::Suspect,
            Health::Unhealthy(_) => HubState::Unhealthy,
        },
        failing_since_utc: failing.map(|failing| failing.since),
        failures: failing.map(|failing| failing.failures),
        last_error: failing.map(|failing| failing.error.clone()),
        remote_tasks: provisioning(call).remote_tasks_at(&link.name)?,
    };
    Ok(LinkedHubDocument {
        health,
        name: link.name.clone(),
        host_name: link.host.clone(),
        location: match link.access {
            HubAccess::Local => HubLocation::Here,
            HubAccess::Remote(_) => HubLocation::Remote,
        },
        allocation_weight: link.allocation_weight.unwrap_or(1),
        apply_allocation_policy: link.apply_allocation_policy,
        latencies: link.latencies.clone(),
    })
}
