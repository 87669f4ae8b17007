//! `/muster/v1/hubs`: the hubs that live on this server.

use std::sync::Arc;

use ids::{HubHost, HubName};
use pki::ServerName;
use provisioning::Services;
use registry::{Act, HubError, LocalHub, LocalHubs, SharedAccessPolicy};
use rest::{Reply, delete, get, put};
use wire::connection_string::ConnectionString;
use wire::error::DpsErrorCode;
use wire::muster_api::hub::{HostRequest, HubDocument};

use super::access::Access;
use super::{Call, Route, disclose, now, own_json, provisioning};
use crate::error::{NounError, ServiceFault};

/// The policy of a hub's owner.
const OWNER: &str = "iothubowner";

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/muster/v1/hubs", Access::Owner, list),
        get("/muster/v1/hubs/{name}", Access::Owner, read),
        put("/muster/v1/hubs/{name}", Access::Owner, create),
        delete("/muster/v1/hubs/{name}", Access::Owner, remove),
    ]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let (local, services) = (local_hubs(&call), provisioning(&call).services());
    let hubs = local.hubs.iter().map(|hub| describe(hub, &services));
    Ok(Reply::json(&hubs.collect::<Vec<_>>()))
}

async fn read(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    let local = local_hubs(&call);
    let hub = find(&local, &name)?;
    disclose(&call, Act::ReadHubKeys, hub.name.as_str()).await?;
    Ok(Reply::json(&with_key(hub, &provisioning(&call).services())))
}

/// The same name with the same host is the same hub, so that a request may be sent again.
async fn create(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    let HostRequest { host_name } = own_json(&call)?;
    let host = server_host(host_name, &call.service.options().host)?;
    let provisioning = provisioning(&call);
    let hub = match find(&local_hubs(&call), &name) {
        Ok(hub) if hub.host == host => {
            disclose(&call, Act::ReadHubKeys, hub.name.as_str()).await?;
            hub.clone()
        }
        _ => provisioning.create_hub(name, host, now(&call)).await?,
    };
    await_certificate_for_hosts(&call).await;
    Ok(Reply::json(&with_key(&hub, &provisioning.services())))
}

async fn remove(call: Call, name: HubName) -> Result<Reply, ServiceFault> {
    provisioning(&call).delete_hub(&name, now(&call)).await?;
    Ok(Reply::no_content())
}

fn local_hubs(call: &Call) -> Arc<LocalHubs> {
    provisioning(call).registry().hubs()
}

fn find<'l>(local: &'l LocalHubs, name: &HubName) -> Result<&'l Arc<LocalHub>, HubError> {
    let found = local.named(name);
    found.ok_or_else(|| HubError::NotFound(name.clone()))
}

/// Returns once clients can trust the server under a new host.
pub(super) async fn await_certificate_for_hosts(call: &Call) {
    if let Some(covered) = &call.service.options().await_certificate_for_hosts {
        covered().await;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be the name of a server: give a DNS name or an IP address")]
pub(super) struct BadHost(HubHost);

impl NounError for BadHost {}

/// A host that the server's certificate can name, at the server's own port unless another is given.
pub(super) fn server_host(asked: HubHost, server: &HubHost) -> Result<HubHost, BadHost> {
    if ServerName::parse(asked.name()).is_err() {
        return Err(BadHost(asked));
    }
    Ok(match asked.port() {
        Some(_) => asked,
        None => asked.with_port(server.port()),
    })
}

fn describe(hub: &LocalHub, services: &Services) -> HubDocument {
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

fn with_key(hub: &LocalHub, services: &Services) -> HubDocument {
    HubDocument {
        connection_string: connection_string(&hub.host, &hub.policies, OWNER),
        ..describe(hub, services)
    }
}

/// What opens a hub or service with one of its policies.
pub(super) fn connection_string(
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

impl NounError for HubError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NotFound(_) => Code::LinkedHubNotFound,
            Self::Exists(_)
            | Self::HostTaken { .. }
            | Self::First(_)
            | Self::Linked(_)
            | Self::HasDevices(_)
            | Self::HasTransfer(_) => Code::LinkedHubConflict,
            Self::TooMany(_) => Code::ProvisioningSettingsConflict,
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}
