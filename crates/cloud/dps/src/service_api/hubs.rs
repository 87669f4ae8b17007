//! Hubs that live on this server.

use std::sync::Arc;

use ids::{HubHost, HubName};
use provisioning::Services;
use registry::{Act, HubError, LocalHub, LocalHubs, SharedAccessPolicy};
use wire::connection_string::ConnectionString;
use wire::muster_api::serving::{HostRequest, HubDocument};

use super::serving::{Request, ok};
use crate::error::ServiceFault;
use crate::http::Reply;
use crate::service_api::linked_hubs::judged as serving;

/// The policy of a hub's owner.
const OWNER: &str = "iothubowner";

pub(crate) fn list(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let registry = owner.operator().registry();
    let (local, services) = (registry.registry().hubs(), registry.services());
    let hubs = local.hubs.iter().map(|hub| document(hub, &services));
    Ok(ok(&hubs.collect::<Vec<_>>()))
}

pub(crate) async fn read(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let registry = owner.operator().registry();
    let local = registry.registry().hubs();
    let hub = find(&local, name)?;
    request
        .disclose(Act::ReadHubKeys, hub.name.as_str())
        .await?;
    Ok(ok(&opened(hub, &registry.services())))
}

/// Creates. The same name with the same host is the same hub, so that a request may be sent again.
pub(crate) async fn put(request: &Request<'_>, name: HubName) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let operator = owner.operator();
    let HostRequest { host_name } = request.parsed()?;
    let host = serving::host(host_name, &operator.options().host)?;
    let registry = operator.registry();
    let hub = match find(&registry.registry().hubs(), &name) {
        Ok(hub) if hub.host == host => {
            request
                .disclose(Act::ReadHubKeys, hub.name.as_str())
                .await?;
            hub.clone()
        }
        _ => registry.create_hub(name, host, operator.now()).await?,
    };
    owner.await_certificate_for_hosts().await;
    Ok(ok(&opened(&hub, &registry.services())))
}

pub(crate) async fn delete(request: &Request<'_>, name: &HubName) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    owner
        .operator()
        .registry()
        .delete_hub(name, request.operator.now())
        .await?;
    Ok(Reply::no_content())
}

fn find<'l>(local: &'l LocalHubs, name: &HubName) -> Result<&'l Arc<LocalHub>, HubError> {
    let found = local.named(name);
    found.ok_or_else(|| HubError::NotFound(name.clone()))
}

fn document(hub: &LocalHub, services: &Services) -> HubDocument {
    let linking = services
        .iter()
        .filter(|service| service.hub(&hub.name).is_some());
    HubDocument {
        name: hub.name.clone(),
        host_name: hub.host.clone(),
        linked_by: linking.map(|service| service.name.clone()).collect(),
        connection_string: None,
    }
}

fn opened(hub: &LocalHub, services: &Services) -> HubDocument {
    HubDocument {
        connection_string: connection_string(&hub.host, &hub.policies, OWNER),
        ..document(hub, services)
    }
}

/// What opens a hub or service with one of its policies.
pub(crate) fn connection_string(
    host: &HubHost,
    policies: &[SharedAccessPolicy],
    name: &str,
) -> Option<String> {
    let policy = policies.iter().find(|policy| policy.name == name)?;
    let whole = ConnectionString {
        host: host.clone(),
        policy: policy.name.clone(),
        key: policy.primary.clone(),
    };
    Some(whole.reveal().to_string())
}
