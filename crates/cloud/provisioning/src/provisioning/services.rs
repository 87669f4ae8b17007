//! Provisioning services: several in one data directory, each with its own ID scope, host, policies and enrollments.

use std::sync::Arc;

use ids::{HubHost, ServiceName, Timestamp};
use registry::{Change, Entropy, StorageError, Watchers};
use store::Tx;
use wire::service_api::enrollment::AllocationPolicy;

use super::Provisioning;
use super::act::Act;
use super::init::{NewService, insert_service};
use super::services_now::{self, ServicesNow};
use crate::limits::MAX_SERVICES;
use crate::service::{ProvisioningService, ServingError};

/// What a job that changes services needs on the writer's thread.
pub(super) struct ServiceFollower {
    pub(super) services: Arc<ServicesNow>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl ServiceFollower {
    /// After the commit: takes over what `tx` wrote, then tells watchers.
    pub(super) fn follow(&self, tx: &Tx<'_>) -> Result<(), StorageError> {
        self.services.follow(tx)?;
        self.watchers.tell(tx, Change::ServicesOrHubs);
        Ok(())
    }
}

impl Provisioning {
    pub(super) fn service_follower(&self) -> ServiceFollower {
        ServiceFollower {
            services: self.inner.services.clone(),
            watchers: self.registry.watchers().clone(),
            entropy: self.registry.entropy().clone(),
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
    ) -> Result<Provisioning, ServingError> {
        let follower = self.service_follower();
        let target = name.to_string();
        let create = move |tx: &Tx<'_>| {
            require_free(tx, &name, &host)?;
            let new = NewService {
                name: name.to_string(),
                host: Some(host.to_string()),
            };
            let id_scope = insert_service(tx, new, &*follower.entropy, now)?;
            follower.follow(tx)?;
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
        let (follower, id_scope) = (self.service_follower(), self.id_scope());
        let text = serde_json::to_value(policy).unwrap_or_default();
        let text = text.as_str().unwrap_or_default().to_owned();
        let target = text.clone();
        let set = move |tx: &Tx<'_>| {
            tx.set_allocation_policy(&id_scope, &text)?;
            follower.follow(tx)
        };
        self.act(Act::SetAllocationPolicy, target, set).await?;
        Ok(self.service())
    }
}

fn require_free(tx: &Tx<'_>, name: &ServiceName, host: &HubHost) -> Result<(), ServingError> {
    let services = services_now::read(tx)?;
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
