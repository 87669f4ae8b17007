//! Hubs that live here, as far as services link them.

use std::sync::Arc;

use ids::{HubHost, HubName, Timestamp};
use registry::{HubError, LocalHub};

use super::Provisioning;

impl Provisioning {
    /// Adds a hub to this data directory, with policies of its own. No service is linked to it.
    pub async fn create_hub(
        &self,
        name: HubName,
        host: HubHost,
        now: Timestamp,
    ) -> Result<Arc<LocalHub>, HubError> {
        let services = self.inner.services.clone();
        let created = self
            .registry
            .create_hub_with(name, host, now, move |tx| services.follow(tx));
        created.await
    }

    /// Deletes a hub of this data directory: one that no service is linked to and
    /// that has no devices.
    pub async fn delete_hub(&self, name: &HubName, now: Timestamp) -> Result<(), HubError> {
        let (current, services) = (self.inner.services.clone(), self.inner.services.clone());
        let is_linked = move |name: &HubName| {
            let services = current.get();
            services.iter().any(|service| service.hub(name).is_some())
        };
        let follow = move |tx: &store::Tx<'_>| services.follow(tx);
        self.registry
            .delete_hub_with(name, now, is_linked, follow)
            .await
    }
}
