use std::net::IpAddr;

use ids::{HubHost, HubName};
use wire::muster_api::linked_hub::Latency;
use wire::service_api::identity::KeyText;

/// A hub that the provisioning service may assign devices to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedHub {
    /// Its name inside Muster, as registrations name it.
    pub name: HubName,
    /// Where devices reach it; what `assignedHub` says.
    pub host: HubHost,
    /// 1 to 1000; `None` counts as 1.
    pub allocation_weight: Option<u16>,
    /// Whether allocation policies may choose it at all.
    pub apply_allocation_policy: bool,
    /// How far clients are from it, by their network.
    pub latencies: Vec<Latency>,
    /// How its registry is reached.
    pub access: HubAccess,
    /// Host names that it had, without ports: enrollments may list them.
    pub former_hosts: Vec<HubHost>,
}

impl LinkedHub {
    /// Whether this hub had a host name before its present one.
    #[must_use]
    pub fn was_at(&self, host: &HubHost) -> bool {
        self.former_hosts
            .iter()
            .any(|former| former.same_name(host))
    }

    /// Milliseconds from a client to this hub, by the narrowest network that the client is in.
    #[must_use]
    pub fn latency_to(&self, client: IpAddr) -> Option<u32> {
        let around = |latency: &&Latency| latency.network.contains(client);
        let around = self.latencies.iter().filter(around);
        let narrowest = around.max_by_key(|latency| latency.network.prefix())?;
        Some(narrowest.milliseconds)
    }
}

/// Where a linked hub lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAccess {
    /// In this data directory: its devices are written in the registration's own transaction.
    Local,
    /// Another Muster or an Azure IoT Hub, by its service API.
    Remote(RemoteAccess),
}

/// What opens the service API of a remote hub; with the hub's host it is a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAccess {
    pub policy: String,
    pub key: KeyText,
}

/// A link about to be made or changed. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDraft {
    pub name: HubName,
    /// Where the hub is; `None` for the hub of this name that is linked already or lives here.
    pub remote: Option<(HubHost, RemoteAccess)>,
    pub allocation_weight: Option<AllocationWeight>,
    /// Whether allocation policies may choose it; a new link's answer is yes.
    pub apply_allocation_policy: Option<bool>,
    /// How far clients are from it, all that is said about it.
    pub latencies: Option<Vec<Latency>>,
}

/// A hub's share among the others: 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocationWeight(u16);

impl AllocationWeight {
    /// `None` when it is not 1 to 1000.
    #[must_use]
    pub fn new(weight: i64) -> Option<Self> {
        let weight = u16::try_from(weight).ok()?;
        (1..=1000).contains(&weight).then_some(Self(weight))
    }

    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}
