//! Provisioning services: several in one data directory, each with its own ID scope, host, policies and enrollments.

use std::sync::Arc;

use ids::{HubHost, ServiceName, Timestamp};
use store::Tx;
use wire::service_api::enrollment::AllocationPolicy;

use super::acts::Act;
use super::init::{NewService, insert_service};
use super::served::{self, ServedNow};
use super::watchers::Watchers;
use super::{MAX_SERVICES, Registry};
use crate::entropy::Entropy;
use crate::error::StorageError;
use crate::service::{ProvisioningService, ServingError};

/// What a job that changes what is served needs on the writer's thread.
pub(super) struct Keeping {
    pub(super) served: Arc<ServedNow>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Keeping {
    pub(super) fn follow(&self, tx: &Tx<'_>) -> Result<(), StorageError> {
        self.served.follow(tx, &self.watchers)
    }
}

impl Registry {
    pub(super) fn keeping(&self) -> Keeping {
        Keeping {
            served: self.inner.served.clone(),
            watchers: self.inner.watchers.clone(),
            entropy: self.inner.entropy.clone(),
        }
    }

    /// Adds a provisioning service with an ID scope and an owner policy of its own, and no hub yet.
    ///
    /// # Errors
    /// When its name or host is taken, or the storage fails.
    pub async fn create_service(
        &self,
        name: ServiceName,
        host: HubHost,
        now: Timestamp,
    ) -> Result<Registry, ServingError> {
        let keeping = self.keeping();
        let target = name.to_string();
        let create = move |tx: &Tx<'_>| {
            require_free(tx, &name, &host)?;
            let new = NewService {
                name: name.to_string(),
                host: Some(host.to_string()),
            };
            let id_scope = insert_service(tx, new, &*keeping.entropy, now)?;
            keeping.follow(tx)?;
            Ok::<_, ServingError>(id_scope)
        };
        let id_scope = self.act(Act::CreateService, target, create).await?;
        // It has been committed, so it is there.
        Ok(self.for_scope(&id_scope).unwrap_or_else(|| self.clone()))
    }

    /// Chooses how hubs are chosen for enrollments that do not say.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn set_allocation_policy(
        &self,
        policy: AllocationPolicy,
    ) -> Result<Arc<ProvisioningService>, StorageError> {
        let (keeping, id_scope) = (self.keeping(), self.id_scope());
        let text = serde_json::to_value(policy).unwrap_or_default();
        let text = text.as_str().unwrap_or_default().to_owned();
        let target = text.clone();
        let set = move |tx: &Tx<'_>| {
            tx.set_allocation_policy(&id_scope, &text)?;
            keeping.follow(tx)
        };
        self.act(Act::SetAllocationPolicy, target, set).await?;
        Ok(self.service())
    }
}

fn require_free(tx: &Tx<'_>, name: &ServiceName, host: &HubHost) -> Result<(), ServingError> {
    let services = served::read(tx)?.services;
    if services.len() >= MAX_SERVICES {
        return Err(ServingError::TooMany {
            what: "provisioning services",
            limit: MAX_SERVICES,
        });
    }
    for service in services {
        if service.name == *name {
            return Err(ServingError::ServiceExists(name.clone()));
        }
        if service
            .host
            .as_ref()
            .is_some_and(|taken| taken.same_name(host))
        {
            return Err(ServingError::ServiceHostTaken {
                host: host.clone(),
                other: service.name.clone(),
            });
        }
    }
    Ok(())
}
