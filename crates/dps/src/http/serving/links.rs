//! The hubs that a service assigns devices to.

use ids::HubName;
use registry::{HubReach, LinkedHub, ServingError};
use wire::serving::{HubLocation, LinkRequest, LinkedHubDocument};

use super::{Reply, Request, ok};
use crate::error::ServiceFault;
use crate::serving;

pub(super) fn list(request: &Request<'_>) -> Reply {
    let service = request.operator.registry().service();
    let links: Vec<_> = service.hubs.iter().map(document).collect();
    ok(&links)
}

pub(super) fn read(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    let service = request.operator.registry().service();
    let link = service.hub(name);
    let link = link.ok_or_else(|| ServingError::NotLinked(name.clone()))?;
    Ok(ok(&document(link)))
}

/// Links, or changes a link.
pub(super) async fn put(request: &Request<'_>, name: HubName) -> Result<Reply, ServiceFault> {
    let operator = &request.operator;
    let registry = operator.registry();
    let asked: LinkRequest = request.parsed()?;
    let draft = serving::link(name, asked, &registry.service(), &registry.served())?;
    let link = registry.link_hub(draft, operator.now()).await?;
    Ok(ok(&document(&link)))
}

pub(super) async fn delete(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    request.operator.registry().unlink_hub(name).await?;
    Ok(Reply::no_content())
}

fn document(link: &LinkedHub) -> LinkedHubDocument {
    LinkedHubDocument {
        name: link.name.clone(),
        host_name: link.host.clone(),
        location: match link.reach {
            HubReach::Here => HubLocation::Here,
            HubReach::Remote(_) => HubLocation::Remote,
        },
        allocation_weight: link.allocation_weight.unwrap_or(1),
        apply_allocation_policy: link.apply_allocation_policy,
        latencies: link.latencies.clone(),
    }
}
