//! Provisioning services: several in one data directory, each with its own ID scope,
//! host, policies and enrollments.

use std::sync::Arc;

use ids::{HubHost, ServiceName, Timestamp};
use registry::{Change, StorageError, Watchers};
use store::{Lock, StoreError, Tx, View, unit};
use wire::service_api::enrollment::AllocationPolicy;

use super::Provisioning;
use super::act::Act;
use super::init::NewService;
use super::services_now::{self, ServicesNow};
use crate::limits::MAX_SERVICES;
use crate::service::{ProvisioningService, ServiceSetupError};

/// What a unit that changes services needs to report it.
pub(super) struct ServiceFollower {
    pub(super) services: Arc<ServicesNow>,
    pub(super) watchers: Arc<Watchers>,
}

impl ServiceFollower {
    /// After the commit: takes over what `tx` wrote, then tells watchers.
    pub(super) fn follow(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
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
        }
    }

    /// Adds a provisioning service with an ID scope and an owner policy of its own, and no hub yet.
    pub async fn create_service(
        &self,
        name: ServiceName,
        host: HubHost,
        now: Timestamp,
    ) -> Result<Provisioning, ServiceSetupError> {
        let follower = self.service_follower();
        let target = name.to_string();
        let new = NewService::new(name.clone(), Some(host.clone()), &**self.registry.entropy());
        let id_scope = new.row.id_scope.clone();
        let create = unit(
            new,
            |_| vec![Lock::Directory],
            move |_, view| require_free(view, &name, &host),
            move |new, tx, ()| {
                new.insert(tx, now)?;
                follower.follow(tx)
            },
        );
        self.act(Act::CreateService, target, create).await?;
        // It has been committed, so it is there.
        Ok(self
            .for_scope(id_scope.as_str())
            .unwrap_or_else(|| self.clone()))
    }

    /// Chooses how hubs are chosen for enrollments that do not say.
    pub async fn set_allocation_policy(
        &self,
        policy: AllocationPolicy,
    ) -> Result<Arc<ProvisioningService>, StorageError> {
        let (follower, id_scope) = (self.service_follower(), self.id_scope());
        let text = serde_json::to_value(policy).unwrap_or_default();
        let text = text.as_str().unwrap_or_default().to_owned();
        let target = text.clone();
        let set = unit(
            id_scope,
            |id_scope| vec![Lock::Service { id_scope }],
            |_, _| Ok::<_, StorageError>(()),
            move |id_scope, tx, ()| {
                tx.set_allocation_policy(id_scope, &text)?;
                follower.follow(tx)
            },
        );
        self.act(Act::SetAllocationPolicy, target, set).await?;
        Ok(self.service())
    }
}

fn require_free(
    view: &View<'_>,
    name: &ServiceName,
    host: &HubHost,
) -> Result<(), ServiceSetupError> {
    let services = services_now::read(view)?;
    if services.len() >= MAX_SERVICES {
        return Err(ServiceSetupError::TooMany {
            what: "provisioning services",
            limit: MAX_SERVICES,
        });
    }
    for service in services {
        if service.name == *name {
            return Err(ServiceSetupError::ServiceExists(name.clone()));
        }
        if service
            .host
            .as_ref()
            .is_some_and(|taken| taken.same_name(host))
        {
            return Err(ServiceSetupError::ServiceHostTaken {
                host: host.clone(),
                other: service.name.clone(),
            });
        }
    }
    Ok(())
}
