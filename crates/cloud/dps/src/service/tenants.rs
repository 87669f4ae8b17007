//! The provisioning services of one server. Devices name theirs by its ID
//! scope, operators by its host.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::request::Parts;
use axum::http::{header, uri::Authority};
use ids::HubHost;
use provisioning::{Provisioning, ProvisioningService};

use crate::registration::context::Context;
use crate::registration::operation_id::OperationKey;

/// A provisioning service with the key of its operation ids.
pub struct Tenant {
    pub context: Context,
    pub operations: OperationKey,
}

impl Tenant {
    fn new(context: Context) -> Arc<Self> {
        let key = OperationKey::new(context.provisioning.service().operation_key.reveal());
        Arc::new(Self {
            context,
            operations: key,
        })
    }

    /// Its ID scope, hubs and policies as of the last commit.
    pub fn service(&self) -> Arc<ProvisioningService> {
        self.context.provisioning.service()
    }
}

/// All of them. They share the cache of verified issuers, which holds no secret of a service.
pub struct Tenants {
    first: Arc<Tenant>,
    /// Those that were used; never more than there are services.
    others: RwLock<Vec<Arc<Tenant>>>,
}

impl Tenants {
    /// The services of a data directory; `context` is the first one's.
    pub fn new(context: Context) -> Self {
        Self {
            first: Tenant::new(context),
            others: RwLock::default(),
        }
    }

    /// For what concerns all services.
    pub fn provisioning(&self) -> &Provisioning {
        &self.first.context.provisioning
    }

    /// The server's own service.
    pub fn first(&self) -> Arc<Tenant> {
        self.first.clone()
    }

    /// The service of this ID scope, in any letter case.
    pub fn by_scope(&self, id_scope: &str) -> Option<Arc<Tenant>> {
        let is_it = |tenant: &&Arc<Tenant>| tenant.service().id_scope.matches(id_scope);
        if is_it(&&self.first) {
            return Some(self.first.clone());
        }
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.iter().find(is_it) {
            return Some(known.clone());
        }
        drop(others);
        let provisioning = self.first.context.provisioning.for_scope(id_scope)?;
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster.
        if let Some(known) = others.iter().find(is_it) {
            return Some(known.clone());
        }
        let tenant = Tenant::new(self.first.context.for_service(provisioning));
        others.push(tenant.clone());
        Some(tenant)
    }

    /// A former name of the server, when a request was sent to that: connection
    /// strings of operators carry it.
    pub fn former_host(&self, parts: &Parts) -> Option<HubHost> {
        let (host, local) = (host_of(parts)?, self.provisioning().registry().hubs());
        let mut former = local.former_hosts.iter();
        former
            .any(|former| former.host.same_name(&host))
            .then_some(host)
    }

    /// The service that an operator's request means: the one of the `Host` that it was sent to. Any
    /// other host is a name of the server itself, and means the first service.
    pub fn by_host(&self, parts: &Parts) -> Arc<Tenant> {
        let services = self.first.context.provisioning.services();
        let named = host_of(parts);
        let found = named.and_then(|host| {
            let at = |service: &&Arc<ProvisioningService>| {
                let own = service.host.as_ref();
                own.is_some_and(|own| own.same_name(&host))
            };
            let service = services.iter().find(at)?;
            self.by_scope(service.id_scope.as_str())
        });
        found.unwrap_or_else(|| self.first.clone())
    }
}

/// The host that a request was sent to, as its client spells it.
fn host_of(parts: &Parts) -> Option<HubHost> {
    let header = parts.headers.get(header::HOST);
    let text = header.and_then(|host| host.to_str().ok());
    let text = text.or_else(|| parts.uri.authority().map(Authority::as_str))?;
    HubHost::parse(text).ok()
}
