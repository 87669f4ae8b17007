//! Who may call what: a token of a shared access policy of the service that the request is sent to.

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use outbound::OnBehalf;
use provisioning::Provisioning;
use registry::{Actor, Right};
use rest::policy::{self, Demand, Policy, PolicyError};
use rest::{Asked, ClientAddress};
use wire::sas::UnverifiedToken;

use crate::error::ServiceFault;
use crate::registration::context::Context;
use crate::service::Dps;
use crate::service::tenants::Tenant;

/// The callers that a route admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A policy with all of these rights.
    AllOf(&'static [Right]),
    /// A policy with the right `ServiceConfig` of the server's first service, whose
    /// operators own the server.
    Owner,
}

/// Proof that the caller is an operator with the rights that the route demands, and its way to what
/// is stored. Only [`admit`] makes one.
pub struct Permit {
    tenant: Arc<Tenant>,
    /// Acts on behalf of this operator.
    provisioning: Provisioning,
    on_behalf: OnBehalf,
}

impl Permit {
    /// What is stored, as the operator's service sees it.
    pub fn provisioning(&self) -> &Provisioning {
        &self.provisioning
    }

    /// What the operator's service decides registrations with.
    pub fn context(&self) -> &Context {
        &self.tenant.context
    }

    /// On whose behalf calls are made that this operator causes.
    pub fn on_behalf(&self) -> OnBehalf {
        self.on_behalf
    }
}

/// Checks the token of a request.
pub fn admit(dps: &Dps, asked: &Asked<'_, Access>) -> Result<Permit, ServiceFault> {
    let header = asked.parts.headers.get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let token = UnverifiedToken::parse(header.ok_or(ServiceFault::NoToken(None))?);
    let token = token.map_err(|error| ServiceFault::NoToken(Some(error.into())))?;
    let tenant = dps.tenants().by_host(asked.parts);
    let service = tenant.service();
    let former = dps.tenants().former_host(asked.parts);
    let host = match &service.host {
        Some(own) => own,
        None => former.as_ref().unwrap_or(&dps.options().host),
    };
    let policies = service.policies.iter().map(|policy| Policy {
        name: &policy.name,
        keys: [&policy.primary, &policy.secondary],
        rights: &policy.rights,
    });
    let demand = Demand::All(match asked.access {
        Access::AllOf(rights) => rights,
        Access::Owner => &[Right::ServiceConfig],
    });
    let admitted = policy::admit(&token, policies, demand, host.as_str(), dps.now());
    let admitted = admitted.map_err(|error| match error {
        PolicyError::Lacks { .. } => ServiceFault::Forbidden(error),
        other => ServiceFault::NoToken(Some(other)),
    })?;
    let on_behalf = dps.on_behalf(&service.id_scope);
    if *asked.access == Access::Owner && on_behalf != OnBehalf::Owner {
        return Err(ServiceFault::NotServersOwner(service.name.clone()));
    }
    let provisioning = tenant.context.provisioning.by(Actor {
        policy: admitted.policy().to_owned(),
        request_id: asked.request_id.to_string(),
        address: ClientAddress::of(asked.parts),
        at: dps.now(),
    });
    Ok(Permit {
        tenant,
        provisioning,
        on_behalf,
    })
}
