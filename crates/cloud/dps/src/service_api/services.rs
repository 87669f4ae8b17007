//! Provisioning services of this server, and the settings of one's own.

use ids::{HubHost, ServiceName};
use provisioning::{Act, ProvisioningService, ServingError};
use wire::muster_api::serving::{HostRequest, ServiceDocument, SettingsPatch};

use super::hubs::connection_string;
use super::serving::{Request, ok};
use crate::error::ServiceFault;
use crate::http::Reply;
use crate::service_api::linked_hubs::judged as serving;

/// The policy of a service's owner.
const OWNER: &str = "provisioningserviceowner";

pub(crate) fn list(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let operator = owner.operator();
    let services = operator.registry().services();
    let all = services
        .iter()
        .map(|service| document(service, &operator.options().host));
    Ok(ok(&all.collect::<Vec<_>>()))
}

pub(crate) async fn read(request: &Request<'_>, name: &ServiceName) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let operator = owner.operator();
    let services = operator.registry().services();
    let service = services.iter().find(|service| service.name == *name);
    let service = service.ok_or_else(|| ServingError::NoSuchService(name.clone()))?;
    let act = Act::ReadServiceKeys;
    request.disclose(act, service.name.as_str()).await?;
    Ok(ok(&opened(service, &operator.options().host)))
}

/// Creates. The same name with the same host is the same service, so that a request may be sent again.
pub(crate) async fn put(request: &Request<'_>, name: ServiceName) -> Result<Reply, ServiceFault> {
    let owner = request.as_owner()?;
    let operator = owner.operator();
    let server = &operator.options().host;
    let HostRequest { host_name } = request.parsed()?;
    let host = serving::host(host_name, server)?;
    if host.same_name(server) {
        let other = operator.registry().service().name.clone();
        return Err(ServingError::ServiceHostTaken { host, other }.into());
    }
    let services = operator.registry().services();
    let is_it = |service: &&std::sync::Arc<ProvisioningService>| {
        service.name == name && service.host.as_ref() == Some(&host)
    };
    let service = match services.iter().find(is_it) {
        Some(service) => {
            let act = Act::ReadServiceKeys;
            request.disclose(act, service.name.as_str()).await?;
            service.clone()
        }
        None => {
            let registry = operator.registry();
            let created = registry.create_service(name, host, operator.now()).await?;
            created.service()
        }
    };
    owner.await_certificate_for_hosts().await;
    Ok(ok(&opened(&service, server)))
}

pub(crate) fn settings(request: &Request<'_>) -> Reply {
    let operator = &request.operator;
    let service = operator.registry().service();
    ok(&document(&service, &operator.options().host))
}

pub(crate) async fn patch_settings(request: &Request<'_>) -> Result<Reply, ServiceFault> {
    let operator = &request.operator;
    let SettingsPatch { allocation_policy } = request.parsed()?;
    let policy = serving::default_policy(allocation_policy)?;
    let service = operator.registry().set_allocation_policy(policy).await?;
    Ok(ok(&document(&service, &operator.options().host)))
}

fn document(service: &ProvisioningService, server: &HubHost) -> ServiceDocument {
    ServiceDocument {
        name: service.name.clone(),
        id_scope: service.id_scope.clone(),
        service_operations_host_name: service.host.as_ref().unwrap_or(server).clone(),
        allocation_policy: service.allocation_policy,
        linked_hubs: service.hubs.iter().map(|hub| hub.name.clone()).collect(),
        connection_string: None,
    }
}

fn opened(service: &ProvisioningService, server: &HubHost) -> ServiceDocument {
    let host = service.host.as_ref().unwrap_or(server);
    ServiceDocument {
        connection_string: connection_string(host, &service.policies, OWNER),
        ..document(service, server)
    }
}
