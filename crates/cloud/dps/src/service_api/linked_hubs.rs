//! The hubs that a service assigns devices to.

pub mod judged;

use ids::HubName;
use provisioning::{HubReach, LinkedHub, ServingError};
use wire::muster_api::serving::{HubHealth, HubLocation, HubState, LinkRequest, LinkedHubDocument};

use super::serving::{Request, ok};
use crate::error::ServiceFault;
use crate::http::Reply;
use crate::remote_hub::health::Health;
use crate::service_api::linked_hubs::judged as serving;

pub(crate) fn list(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let service = request.operator.registry().service();
    let links = service.hubs.iter().map(|link| document(request, link));
    Ok(ok(&links.collect::<Result<Vec<_>, _>>()?))
}

pub(crate) fn read(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    let service = request.operator.registry().service();
    let link = service.hub(name);
    let link = link.ok_or_else(|| ServingError::NotLinked(name.clone()))?;
    Ok(ok(&document(request, link)?))
}

/// Links, or changes a link.
pub(crate) async fn put(request: &Request<'_>, name: HubName) -> Result<Reply, ServiceFault> {
    let operator = &request.operator;
    let registry = operator.registry();
    let asked: LinkRequest = request.parsed()?;
    let (services, local) = (registry.services(), registry.registry().hubs());
    let draft = serving::link(name, asked, &registry.service(), &services, &local)?;
    let link = registry.link_hub(draft, operator.now()).await?;
    Ok(ok(&document(request, &link)?))
}

pub(crate) async fn delete(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    request.operator.registry().unlink_hub(name).await?;
    Ok(Reply::no_content())
}

fn document(request: &Request<'_>, link: &LinkedHub) -> Result<LinkedHubDocument, ServiceFault> {
    let health = request.operator.hub_health().get(link);
    let failing = health.failing();
    let health = HubHealth {
        state: match health {
            Health::Healthy => HubState::Healthy,
            Health::Suspect(_) => HubState::Suspect,
            Health::Unhealthy(_) => HubState::Dead,
        },
        failing_since_utc: failing.map(|failing| failing.since),
        failures: failing.map(|failing| failing.failures),
        last_error: failing.map(|failing| failing.error.clone()),
        remote_tasks: request.operator.registry().remote_tasks_at(&link.name)?,
    };
    Ok(LinkedHubDocument {
        health,
        name: link.name.clone(),
        host_name: link.host.clone(),
        location: match link.reach {
            HubReach::Here => HubLocation::Here,
            HubReach::Remote(_) => HubLocation::Remote,
        },
        allocation_weight: link.allocation_weight.unwrap_or(1),
        apply_allocation_policy: link.apply_allocation_policy,
        latencies: link.latencies.clone(),
    })
}
