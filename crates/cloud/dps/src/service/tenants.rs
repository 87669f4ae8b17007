//! The provisioning services of one server. Devices name theirs by its ID scope, operators by its host.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::request::Parts;
use axum::http::{header, uri::Authority};
use ids::HubHost;
use provisioning::{Provisioning, ProvisioningService};

use crate::registration::operation::OperationKey;
use crate::registration::register::Deps;

/// One provisioning service, with what its requests need.
pub struct Tenant {
    pub deps: Deps,
    pub operations: OperationKey,
}

impl Tenant {
    fn new(deps: Deps) -> Arc<Self> {
        let key = OperationKey::new(deps.registry.service().operation_key.reveal());
        Arc::new(Self {
            deps,
            operations: key,
        })
    }

    /// Its ID scope, hubs and policies as of the last commit.
    pub fn service(&self) -> Arc<ProvisioningService> {
        self.deps.registry.service()
    }
}

/// All of them. They share the caches of certificates, which hold nothing that is one service's secret.
pub struct Tenants {
    first: Arc<Tenant>,
    /// Those that were asked for; never more than there are services.
    others: RwLock<Vec<Arc<Tenant>>>,
}

impl Tenants {
    /// The services of a data directory; `deps` are the first one's.
    pub fn new(deps: Deps) -> Self {
        Self {
            first: Tenant::new(deps),
            others: RwLock::default(),
        }
    }

    /// A registry, for what concerns all services.
    pub fn registry(&self) -> &Provisioning {
        &self.first.deps.registry
    }

    /// The server's own.
    pub fn first(&self) -> Arc<Tenant> {
        self.first.clone()
    }

    /// The one of this ID scope, in any letter case.
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
        let registry: Provisioning = self.first.deps.registry.for_scope(id_scope)?;
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster.
        if let Some(known) = others.iter().find(is_it) {
            return Some(known.clone());
        }
        let tenant = Tenant::new(self.first.deps.of(registry));
        others.push(tenant.clone());
        Some(tenant)
    }

    /// The name that the server had before, when a request was sent to that: operators' connection strings carry it.
    pub fn former_host(&self, parts: &Parts) -> Option<HubHost> {
        let (host, local) = (host_of(parts)?, self.registry().registry().hubs());
        let mut former = local.former_hosts.iter();
        former
            .any(|former| former.host.same_name(&host))
            .then_some(host)
    }

    /// The one that an operator's request means: the one of the `Host` that it was sent to. A host that is no service's is the
    /// server's own, under whatever name it was found, and so the first one's.
    pub fn by_host(&self, parts: &Parts) -> Arc<Tenant> {
        let services = self.first.deps.registry.services();
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
