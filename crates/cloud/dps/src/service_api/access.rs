//! Operators' requests: a token of a shared access policy that grants what is asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use ids::Timestamp;
use provisioning::Provisioning;
use registry::{Actor, Right};
use rest::OnProof;
use wire::sas::{SharedAccessKey, UnverifiedToken};

use crate::error::{ServiceFault, TokenFault};
use crate::http::{Incoming, RequestId, client_address};
use crate::outbound::OnBehalf;
use crate::registration::context::Context;
use crate::remote_hub::health::HubHealth;
use crate::service::tenants::Tenant;
use crate::service::{Dps, DpsOptions};

/// How far an operator's clock may lag behind ours.
const SKEW: Duration = Duration::from_secs(300);

/// An operator's way to the registry. Only this file makes one, for a caller who has the right.
pub(crate) struct Operator<'a> {
    dps: &'a Dps,
    tenant: Arc<Tenant>,
    /// In this operator's hands.
    registry: Provisioning,
}

/// Checks the request's token.
///
/// # Errors
/// When there is none, no policy's key signed it, it expired or is for another host, or its policy lacks the right.
pub(crate) fn authorize<'a>(
    dps: &'a Dps,
    request: &Incoming<'_>,
    right: Right,
) -> Result<Operator<'a>, ServiceFault> {
    let header = request.header(AUTHORIZATION.as_str());
    let header = header.ok_or(ServiceFault::NoToken(None))?;
    let refuse = |fault: TokenFault| ServiceFault::NoToken(Some(fault));
    let token = UnverifiedToken::parse(header).map_err(|error| refuse(error.into()))?;
    let tenant = dps.tenants().by_host(request.parts);
    let service = tenant.service();
    let former = dps.tenants().former_host(request.parts);
    let host = match &service.host {
        Some(own) => own,
        None => former.as_ref().unwrap_or(&dps.options().host),
    };
    let named = token.policy().ok_or_else(|| refuse(TokenFault::Unnamed))?;
    let policy = service.policies.iter().find(|policy| policy.name == named);
    let policy = policy.ok_or_else(|| refuse(TokenFault::NoPolicy(named.to_owned())))?;
    let keys: Vec<SharedAccessKey> = [&policy.primary, &policy.secondary]
        .into_iter()
        .filter_map(|key| SharedAccessKey::try_from(key).ok())
        .collect();
    token
        .verify(&keys, host.as_str(), dps.now(), SKEW)
        .map_err(|error| refuse(error.into()))?;
    if policy.grants(right) {
        if let Some(OnProof(tell)) = request.parts.extensions.get() {
            tell();
        }
        let registry = tenant.context.provisioning.by(Actor {
            policy: policy.name.clone(),
            request_id: request_id(request),
            address: client_address(request.parts),
            at: dps.now(),
        });
        Ok(Operator {
            dps,
            tenant,
            registry,
        })
    } else {
        Err(ServiceFault::Forbidden {
            policy: policy.name.clone(),
            right,
        })
    }
}

fn request_id(request: &Incoming<'_>) -> String {
    let given = request.parts.extensions.get::<RequestId>();
    given.map(|id| id.0.clone()).unwrap_or_default()
}

impl Operator<'_> {
    /// Everything that is stored, as the operator's service sees it.
    pub(crate) fn registry(&self) -> &Provisioning {
        &self.registry
    }

    /// What the operator's service decides with.
    pub(crate) fn context(&self) -> &Context {
        &self.tenant.context
    }

    /// How the hubs are.
    pub(crate) fn hub_health(&self) -> &HubHealth {
        self.dps.hub_health()
    }

    /// For whose sake calls are made that this operator causes.
    pub(crate) fn on_behalf(&self) -> OnBehalf {
        self.dps.on_behalf(&self.tenant.service().id_scope)
    }

    /// What the program decided for all services.
    pub(crate) fn options(&self) -> &DpsOptions {
        self.dps.options()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.dps.now()
    }
}
