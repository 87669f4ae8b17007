//! The hubs that live in a data directory.

use std::sync::Arc;

use ids::{HubHost, HubName};

use crate::error::StorageError;
use crate::policy::SharedAccessPolicy;

/// A hub that lives in this data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalHub {
    /// Its name inside Muster; part of every identity's key.
    pub name: HubName,
    /// Where devices reach it; what `assignedHub` says.
    pub host: HubHost,
    /// Its shared access policies: `iothubowner`, `service`, `device`, `registryRead`,
    /// `registryReadWrite`.
    pub policies: Vec<SharedAccessPolicy>,
}

/// A host name that a hub had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerHost {
    pub host: HubHost,
    /// Which hub had it; `None` when that hub is deleted.
    pub hub: Option<HubName>,
}

/// All hubs that live in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalHubs {
    /// Linked or not, in the order in which they were created.
    pub hubs: Vec<Arc<LocalHub>>,
    /// Host names that they had and no hub has now, the latest first. Devices were told them.
    pub former_hosts: Vec<FormerHost>,
}

impl LocalHubs {
    /// The hub of this name.
    #[must_use]
    pub fn named(&self, name: &HubName) -> Option<&Arc<LocalHub>> {
        self.hubs.iter().find(|hub| hub.name == *name)
    }

    /// The hub at this host; case and ports do not matter.
    #[must_use]
    pub fn hub_at(&self, host: &HubHost) -> Option<&Arc<LocalHub>> {
        self.hubs.iter().find(|hub| hub.host.same_name(host))
    }

    /// The hub that had this host, when no hub has it now; case and ports do not matter.
    #[must_use]
    pub fn hub_formerly_at(&self, host: &HubHost) -> Option<&Arc<LocalHub>> {
        let mut former = self.former_hosts.iter();
        let former = former.find(|former| former.host.same_name(host))?;
        self.named(former.hub.as_ref()?)
    }
}

/// Why a hub was not created or deleted.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// No such hub lives here.
    #[error("no hub {0} lives on this server")]
    NotFound(HubName),
    /// Hub names are unique on a server.
    #[error("there is a hub {0} already")]
    Exists(HubName),
    /// One host name leads to one hub.
    #[error("hub {other} has the host name {host} already")]
    HostTaken {
        host: HubHost,
        /// The hub that has it.
        other: HubName,
    },
    /// The hub that the data directory began with.
    #[error("hub {0} carries the server's own host name and cannot be deleted; unlink it instead")]
    First(HubName),
    /// A provisioning service may still assign devices to it.
    #[error("hub {0} is linked to a provisioning service; unlink it first")]
    Linked(HubName),
    #[error("hub {0} has devices; delete them first, or move them by registering again")]
    HasDevices(HubName),
    #[error("hub {0} has an import or export that has not ended; cancel it first")]
    HasTransfer(HubName),
    /// A server has so many hubs at most.
    #[error("there are {0} hubs already, and no more are kept")]
    TooMany(usize),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for HubError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
