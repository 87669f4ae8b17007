use ids::{HubHost, HubName, ServiceName};
use registry::StorageError;

/// Why services, hubs, links or policies were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceSetupError {
    /// No such hub lives here.
    #[error("no hub {0} lives on this server")]
    NoSuchHub(HubName),
    /// Names of hubs are given out once on a server.
    #[error("there is a hub {0} already")]
    HubExists(HubName),
    /// Not linked to this service.
    #[error("hub {0} is not linked to this provisioning service")]
    NotLinked(HubName),
    /// There are enough of something.
    #[error("there are {limit} {what} already, and no more are kept")]
    TooMany {
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Names of services are given out once on a server.
    #[error("there is a provisioning service {0} already")]
    ServiceExists(ServiceName),
    /// One host name leads to one service.
    #[error("provisioning service {other} has the host name {host} already")]
    ServiceHostTaken { host: HubHost, other: ServiceName },
    #[error("there is no provisioning service {0}")]
    NoSuchService(ServiceName),
    #[error("there is no policy {0:?}")]
    NoSuchPolicy(String),
    /// Names of policies are given out once in a service.
    #[error("there is a policy {0:?} already")]
    PolicyExists(String),
    /// The policy that the server's owner holds.
    #[error("policy {0:?} is the service owner's: its keys can be regenerated, but it stays")]
    OwnerPolicy(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for ServiceSetupError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
