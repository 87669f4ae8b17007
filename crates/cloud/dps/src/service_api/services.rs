//! `/muster/v1/services`: the provisioning services of this server; `/muster/v1/dps/settings`:
//! those of the caller's own.

use std::sync::Arc;

use ids::{HubHost, ServiceName};
use provisioning::{Act, ProvisioningService, ServiceSetupError};
use registry::Right;
use rest::{Reply, get, patch, put};
use wire::error::DpsErrorCode;
use wire::muster_api::hub::HostRequest;
use wire::muster_api::service::{ServiceDocument, SettingsPatch};
use wire::service_api::enrollment::AllocationPolicy;

use super::access::Access;
use super::hubs::{await_certificate_for_hosts, connection_string, server_host};
use super::{Call, Route, disclose, now, own_json, provisioning};
use crate::error::{NounError, ServiceFault};

/// The policy of a service's owner.
const OWNER: &str = "provisioningserviceowner";

pub(super) fn routes() -> Vec<Route> {
    let settings = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/services", Access::Owner, list),
        get("/muster/v1/services/{name}", Access::Owner, read),
        put("/muster/v1/services/{name}", Access::Owner, create),
        get("/muster/v1/dps/settings", settings, read_settings),
        patch("/muster/v1/dps/settings", settings, change_settings),
    ]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let services = provisioning(&call).services();
    let services = services
        .iter()
        .map(|service| describe(service, &call.service.options().host));
    Ok(Reply::json(&services.collect::<Vec<_>>()))
}

async fn read(call: Call, name: ServiceName) -> Result<Reply, ServiceFault> {
    let services = provisioning(&call).services();
    let service = services.iter().find(|service| service.name == name);
    let service = service.ok_or(ServiceSetupError::NoSuchService(name))?;
    disclose(&call, Act::ReadServiceKeys, service.name.as_str()).await?;
    Ok(Reply::json(&with_key(
        service,
        &call.service.options().host,
    )))
}

/// The same name with the same host is the same service, so that a request may be sent again.
async fn create(call: Call, name: ServiceName) -> Result<Reply, ServiceFault> {
    let server = &call.service.options().host;
    let HostRequest { host_name } = own_json(&call)?;
    let host = server_host(host_name, server)?;
    let provisioning = provisioning(&call);
    if host.same_name(server) {
        let other = provisioning.service().name.clone();
        return Err(ServiceSetupError::ServiceHostTaken { host, other }.into());
    }
    let services = provisioning.services();
    let is_it = |service: &&Arc<ProvisioningService>| {
        service.name == name && service.host.as_ref() == Some(&host)
    };
    let service = match services.iter().find(is_it) {
        Some(service) => {
            disclose(&call, Act::ReadServiceKeys, service.name.as_str()).await?;
            service.clone()
        }
        None => {
            let created = provisioning.create_service(name, host, now(&call)).await?;
            created.service()
        }
    };
    await_certificate_for_hosts(&call).await;
    Ok(Reply::json(&with_key(&service, server)))
}

async fn read_settings(call: Call) -> Result<Reply, ServiceFault> {
    let service = provisioning(&call).service();
    Ok(Reply::json(&describe(
        &service,
        &call.service.options().host,
    )))
}

async fn change_settings(call: Call) -> Result<Reply, ServiceFault> {
    let SettingsPatch { allocation_policy } = own_json(&call)?;
    if allocation_policy == AllocationPolicy::Custom {
        return Err(CustomByDefault.into());
    }
    let changed = provisioning(&call).set_allocation_policy(allocation_policy);
    let service = changed.await?;
    Ok(Reply::json(&describe(
        &service,
        &call.service.options().host,
    )))
}

#[derive(Debug, thiserror::Error)]
#[error("custom cannot be the default: only an enrollment can name a webhook")]
struct CustomByDefault;

impl NounError for CustomByDefault {}

fn describe(service: &ProvisioningService, server: &HubHost) -> ServiceDocument {
    ServiceDocument {
        name: service.name.clone(),
        id_scope: service.id_scope.clone(),
        service_operations_host_name: service.host.as_ref().unwrap_or(server).clone(),
        allocation_policy: service.allocation_policy,
        linked_hubs: service.hubs.iter().map(|hub| hub.name.clone()).collect(),
        connection_string: None,
    }
}

fn with_key(service: &ProvisioningService, server: &HubHost) -> ServiceDocument {
    let host = service.host.as_ref().unwrap_or(server);
    ServiceDocument {
        connection_string: connection_string(host, &service.policies, OWNER),
        ..describe(service, server)
    }
}

/// Also of linked hubs and policies.
impl NounError for ServiceSetupError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NoSuchHub(_) | Self::NotLinked(_) => Code::LinkedHubNotFound,
            Self::HubExists(_) => Code::LinkedHubConflict,
            Self::NoSuchPolicy(_) | Self::NoSuchService(_) => Code::ProvisioningSettingsNotFound,
            Self::TooMany { .. }
            | Self::ServiceExists(_)
            | Self::ServiceHostTaken { .. }
            | Self::PolicyExists(_)
            | Self::OwnerPolicy(_) => Code::ProvisioningSettingsConflict,
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}
