use ids::{HubName, Identity};
use serde_json::{Map, Value};

/// Something that live sessions may have to hear of. Reported after its commit is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The desired properties changed. Applying `patch` as a merge patch to the version
    /// before gives this version.
    Desired {
        identity: Identity,
        /// The merge patch, without `$version`.
        patch: Map<String, Value>,
        /// The section's `$version` now.
        version: u64,
    },
    /// The device (with all its modules) or module was deleted, or moved to another hub.
    Gone { identity: Identity },
    /// The device was disabled.
    Disabled {
        /// Which; never a module.
        identity: Identity,
    },
    /// What the identity proves itself with is another one now.
    CredentialsChanged { identity: Identity },
    /// A cloud-to-device message waits for the device or module.
    MessageQueued { identity: Identity },
    /// Deployments, tags or reported properties changed in a way that targeting depends on: run
    /// [`Registry::evaluate_configurations`](crate::Registry::evaluate_configurations).
    Targeting { hub: HubName },
    /// Routes or endpoints of a hub changed.
    Routing { hub: HubName },
    /// A job was created, cancelled, or has ended.
    Jobs { hub: HubName },
    /// Events of a hub itself wait to be appended to its log.
    HubEvents { hub: HubName },
    /// A certificate was revoked, put on hold or restored, or a revocation list changed.
    Revocations,
    /// Services, hubs, links or policies changed.
    ServicesOrHubs,
}

/// Gets every change that the registry commits.
///
/// Called on the writer's thread, after the commit, in the order of commits: it must only hand over
/// (to channels), never wait.
pub trait Watcher: Send + Sync {
    /// A change has been committed.
    fn changed(&self, change: &Change);
}
