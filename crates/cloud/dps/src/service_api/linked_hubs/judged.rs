//! What operators change about hubs, links, policies and services: requests are judged here, before the registry writes.

use aws_lc_rs::constant_time;
use ids::{HubHost, HubName};
use pki::ServerName;
use provisioning::{
    AllocationWeight, LinkDraft, PolicyDraft, PolicyDraftError, ProvisioningService, RemoteAccess,
    Services, ServingError,
};
use registry::{HubError, LocalHub, LocalHubs, Right};
use wire::connection_string::ConnectionString;
use wire::error::DpsErrorCode;
use wire::muster_api::serving::{LinkRequest, PolicyRequest, ServingBodyError};
use wire::service_api::enrollment::AllocationPolicy;
use wire::service_api::identity::KeyText;

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum ServingFault {
    /// The body.
    #[error(transparent)]
    Body(#[from] ServingBodyError),
    /// The weight.
    #[error("allocationWeight is 1 to 1000, not {0}")]
    Weight(i64),
    /// The latencies.
    #[error("latencies names {0} networks, {max} at most are allowed", max = wire::muster_api::serving::MAX_LATENCIES)]
    TooManyLatencies(usize),
    /// The server's certificate could not name the host.
    #[error("{0} cannot be the name of a server: give a DNS name or an IP address")]
    Host(HubHost),
    /// Only an enrollment can name the webhook.
    #[error("custom cannot be the default: only an enrollment can name a webhook")]
    CustomByDefault,
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyDraftError),
    /// A key that was given.
    #[error("'{member}': {problem}")]
    Key {
        /// Where.
        member: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Hubs and services of the server are made by its owner.
    #[error(
        "hubs and services of the server are changed through its first provisioning service, not through {0}"
    )]
    NotServersOwner(ids::ServiceName),
    /// Another service's operator must show that he may use a hub.
    #[error("linking hub {0} needs its connection string")]
    NoKeyOfHub(HubName),
    /// The connection string is for a hub of this server, and wrong.
    #[error(
        "the connection string does not open hub {0}: none of its policies has that name and key"
    )]
    WrongKeyOfHub(HubName),
    /// The connection string is not enough.
    #[error(
        "policy {policy:?} of hub {hub} lacks RegistryWrite or ServiceConnect, which provisioning needs"
    )]
    WeakKeyOfHub {
        /// The hub.
        hub: HubName,
        /// Its policy.
        policy: String,
    },
    /// A hub of this server has its name.
    #[error("the connection string is that of this server's hub {0}; link it by that name")]
    OtherName(HubName),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] ServingError),
    /// A hub is not created or deleted.
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl ServingFault {
    /// The code, whose first three digits are the HTTP status.
    pub fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NotServersOwner(_) | Self::NoKeyOfHub(_) => Code::Forbidden,
            Self::Registry(error) => match error {
                ServingError::NoSuchHub(_) | ServingError::NotLinked(_) => Code::LinkedHubNotFound,
                ServingError::HubExists(_) => Code::LinkedHubConflict,
                ServingError::NoSuchPolicy(_) | ServingError::NoSuchService(_) => {
                    Code::ProvisioningSettingsNotFound
                }
                ServingError::TooMany { .. }
                | ServingError::ServiceExists(_)
                | ServingError::ServiceHostTaken { .. }
                | ServingError::PolicyExists(_)
                | ServingError::OwnerPolicy(_) => Code::ProvisioningSettingsConflict,
                ServingError::Storage(_) => Code::InternalServerError,
            },
            Self::Hub(error) => match error {
                HubError::NotFound(_) => Code::LinkedHubNotFound,
                HubError::Exists(_)
                | HubError::HostTaken { .. }
                | HubError::First(_)
                | HubError::Linked(_)
                | HubError::HasDevices(_) => Code::LinkedHubConflict,
                HubError::TooMany(_) => Code::ProvisioningSettingsConflict,
                HubError::Storage(_) => Code::InternalServerError,
            },
            _ => Code::ArgumentInvalid,
        }
    }

    /// Whether the server failed, and not the request.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Registry(ServingError::Storage(_)) | Self::Hub(HubError::Storage(_))
        )
    }
}

/// A host that the server's certificate can name, at the server's own port unless another is given.
pub fn host(asked: HubHost, server: &HubHost) -> Result<HubHost, ServingFault> {
    if ServerName::parse(asked.name()).is_err() {
        return Err(ServingFault::Host(asked));
    }
    Ok(match asked.port() {
        Some(_) => asked,
        None => asked.with_port(server.port()),
    })
}

/// The allocation policy of enrollments that do not say.
pub fn default_policy(asked: AllocationPolicy) -> Result<AllocationPolicy, ServingFault> {
    match asked {
        AllocationPolicy::Custom => Err(ServingFault::CustomByDefault),
        other => Ok(other),
    }
}

/// A policy about to be made.
pub fn policy(name: &str, request: &PolicyRequest) -> Result<PolicyDraft, ServingFault> {
    let key = |member, text: &Option<String>| {
        let parsed = text.as_deref().map(KeyText::parse).transpose();
        parsed.map_err(|problem| ServingFault::Key { member, problem })
    };
    let keys = [
        key("primaryKey", &request.primary_key)?,
        key("secondaryKey", &request.secondary_key)?,
    ];
    Ok(PolicyDraft::new(name, &request.rights, keys)?)
}

/// A link about to be made or changed. Whoever operates the server's first service may link the server's hubs by name; the
/// others show, as for a remote hub, that they hold a key of it.
pub fn link(
    name: HubName,
    request: LinkRequest,
    service: &ProvisioningService,
    services: &Services,
    local: &LocalHubs,
) -> Result<LinkDraft, ServingFault> {
    let weight = |weight| AllocationWeight::new(weight).ok_or(ServingFault::Weight(weight));
    let allocation_weight = request.allocation_weight.map(weight).transpose()?;
    let remote = match request.connection_string {
        Some(shown) => match local.hubs.iter().find(|hub| hub.host == shown.host) {
            Some(hub) => {
                require_key(hub, &name, &shown)?;
                None
            }
            None => Some(remote(shown)),
        },
        None if is_first(service, services) || service.hub(&name).is_some() => None,
        None => return Err(ServingFault::NoKeyOfHub(name)),
    };
    let latencies = match request.latencies {
        Some(latencies) if latencies.len() > wire::muster_api::serving::MAX_LATENCIES => {
            return Err(ServingFault::TooManyLatencies(latencies.len()));
        }
        latencies => latencies,
    };
    Ok(LinkDraft {
        latencies,
        name,
        remote,
        allocation_weight,
        apply_allocation_policy: request.apply_allocation_policy,
    })
}

/// Whether whoever operates this service owns the server.
pub fn is_first(service: &ProvisioningService, services: &Services) -> bool {
    let first = services.first();
    first.is_some_and(|first| first.id_scope == service.id_scope)
}

fn remote(shown: ConnectionString) -> (HubHost, RemoteAccess) {
    let ConnectionString { host, policy, key } = shown;
    (host, RemoteAccess { policy, key })
}

fn require_key(
    hub: &LocalHub,
    name: &HubName,
    shown: &ConnectionString,
) -> Result<(), ServingFault> {
    let named = |policy: &&registry::SharedAccessPolicy| {
        policy.name.eq_ignore_ascii_case(&shown.policy)
            && (is_same(&policy.primary, &shown.key) || is_same(&policy.secondary, &shown.key))
    };
    let policy = hub.policies.iter().find(named);
    let policy = policy.ok_or_else(|| ServingFault::WrongKeyOfHub(hub.name.clone()))?;
    if !(policy.grants(Right::RegistryWrite) && policy.grants(Right::ServiceConnect)) {
        return Err(ServingFault::WeakKeyOfHub {
            hub: hub.name.clone(),
            policy: policy.name.clone(),
        });
    }
    match hub.name == *name {
        true => Ok(()),
        false => Err(ServingFault::OtherName(hub.name.clone())),
    }
}

/// In constant time: whoever may link hubs of his own must not learn another's key by trying.
fn is_same(stored: &KeyText, shown: &KeyText) -> bool {
    let (stored, shown) = (stored.reveal().as_bytes(), shown.reveal().as_bytes());
    constant_time::verify_slices_are_equal(stored, shown).is_ok()
}
