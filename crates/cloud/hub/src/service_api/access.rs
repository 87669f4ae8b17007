//! Who may do what over HTTP. A handler is reached with a [`Permit`], which only this file makes.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use ids::{DeviceId, HubHost, HubName, Identity, ModuleId};
use pki::PeerChain;
use registry::{Actor, LocalHub, Right};
use rest::policy::{Demand, PolicyError, PolicyPermit};
use rest::{ClientAddress, RequestError};
use wire::sas::UnverifiedToken;

use crate::error::HubError;
use crate::messages::telemetry::Sender;
use crate::service::Hub;
use crate::sessions::connect::former_name;
use crate::sessions::prove::{NotProven, Presented, ProvenIdentity, policies, prove};

/// The callers that a route admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A policy with any one of these rights.
    AnyOf(&'static [Right]),
    /// The same, or the device of the path, by its own credentials.
    AnyOfOrDevice(&'static [Right]),
    /// The device or module of the path, or a policy with `DeviceConnect` in its place.
    Sender,
}

/// Proof that a caller may do what its request asks.
pub(crate) struct Permit {
    hub: HubName,
    caller: Caller,
    actor: Actor,
}

enum Caller {
    /// An operator or a back end, by a shared access policy.
    Policy(PolicyPermit<Right>),
    /// A device or module, about itself or its own modules.
    Identity(Box<ProvenIdentity>),
}

/// The name under which a request came to its hub.
enum Called {
    Present,
    /// The hub had it once.
    Former(HubHost),
}

impl Permit {
    /// The hub that the request means.
    pub(super) fn hub(&self) -> &HubName {
        &self.hub
    }

    /// The device or module that calls; `None` for operators.
    pub(super) fn sender(&self) -> Option<Sender<'_>> {
        match &self.caller {
            Caller::Identity(proven) => Some(Sender {
                identity: proven.identity(),
                stamp: proven.stamp(),
            }),
            Caller::Policy(_) => None,
        }
    }

    /// The caller, for the audit.
    pub(super) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// Whether the caller may change the registry.
    pub(super) fn writes_registry(&self) -> bool {
        match &self.caller {
            Caller::Identity(_) => false,
            Caller::Policy(policy) => policy.grants(&Right::RegistryWrite),
        }
    }

    /// Whether keys are in the answer: not for callers that may only read the registry.
    pub(super) fn shows_keys(&self) -> bool {
        match &self.caller {
            Caller::Identity(_) => true,
            Caller::Policy(policy) => {
                policy.grants(&Right::RegistryWrite) || policy.grants(&Right::ServiceConnect)
            }
        }
    }
}

/// Admits a request, or says why not.
pub(super) async fn admit(hub: &Hub, asked: &rest::Asked<'_, Access>) -> Result<Permit, HubError> {
    let (local, called) = local_hub(hub, asked.parts)?;
    let caller = caller(hub, (&local, &called), asked).await?;
    let policy = match &caller {
        Caller::Policy(permit) => permit.policy().to_owned(),
        Caller::Identity(proven) => format!("device {}", proven.identity()),
    };
    Ok(Permit {
        hub: local.name.clone(),
        caller,
        actor: Actor {
            policy,
            request_id: asked.request_id.to_string(),
            address: ClientAddress::of(asked.parts),
            at: hub.now(),
        },
    })
}

async fn caller(
    hub: &Hub,
    (local, called): (&LocalHub, &Called),
    asked: &rest::Asked<'_, Access>,
) -> Result<Caller, HubError> {
    let token = authorization(&asked.parts.headers);
    if let (Some(text), Access::AnyOf(rights) | Access::AnyOfOrDevice(rights)) =
        (token, asked.access)
    {
        let parsed =
            UnverifiedToken::parse(text).map_err(|error| HubError::Unauthorized(error.into()))?;
        if parsed.policy().is_some() {
            return by_policy(hub, (local, called), rights, asked, &parsed);
        }
    }
    let Some(identity) = sender(asked, local)? else {
        return Err(HubError::NoCredentials);
    };
    // A device that is refused registers again and learns the new name.
    if let Called::Former(host) = called {
        return Err(HubError::FormerName(former_name(host, local)));
    }
    let peer = asked.parts.extensions.get::<PeerChain>();
    let presented = Presented {
        token,
        chain: peer.and_then(PeerChain::presented).map(AsRef::as_ref),
    };
    match prove(hub, local, identity, presented).await {
        Ok(proven) => {
            hub.sessions().record_activity(proven.identity());
            Ok(Caller::Identity(Box::new(proven)))
        }
        Err(NotProven::NothingPresented) => Err(HubError::NoCredentials),
        Err(reason) => Err(HubError::Unauthorized(reason)),
    }
}

/// Back ends keep the connection string that they were given: a former name of the hub opens it as
/// its present one does.
fn by_policy(
    hub: &Hub,
    (local, called): (&LocalHub, &Called),
    rights: &'static [Right],
    asked: &rest::Asked<'_, Access>,
    token: &UnverifiedToken,
) -> Result<Caller, HubError> {
    let host = match called {
        Called::Present => &local.host,
        Called::Former(host) => host,
    };
    let resource = format!("{host}/{}", asked.path.segments().join("/"));
    let demand = Demand::Any(rights);
    let admitted = rest::policy::admit(token, policies(local), demand, &resource, hub.now());
    admitted.map(Caller::Policy).map_err(|error| match error {
        PolicyError::Lacks { .. } => HubError::Forbidden(error),
        other => HubError::Unauthorized(other.into()),
    })
}

/// The device or module in whose own name the route may be used.
fn sender(
    asked: &rest::Asked<'_, Access>,
    local: &LocalHub,
) -> Result<Option<Identity>, RequestError> {
    let module = match asked.access {
        Access::AnyOf(_) => return Ok(None),
        Access::AnyOfOrDevice(_) => None,
        Access::Sender => asked.parameter("module").map(ModuleId::parse).transpose()?,
    };
    let device = asked.parameter("device").map(DeviceId::parse).transpose()?;
    Ok(device.map(|device| Identity {
        hub: local.name.clone(),
        device,
        module,
    }))
}

/// The hub that the `Host` header means. A host of no hub is fine as long as there is only one hub.
fn local_hub(hub: &Hub, parts: &Parts) -> Result<(Arc<LocalHub>, Called), HubError> {
    let local = hub.registry().hubs();
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let text = header.or(parts.uri.authority().map(Authority::as_str));
    let text = text.unwrap_or_default();
    if let Ok(host) = HubHost::parse(text) {
        if let Some(named) = local.hub_at(&host) {
            return Ok((named.clone(), Called::Present));
        }
        if let Some(former) = local.hub_formerly_at(&host) {
            return Ok((former.clone(), Called::Former(host)));
        }
    }
    match local.hubs.as_slice() {
        [only] => Ok((only.clone(), Called::Present)),
        _ => Err(HubError::NoSuchHub(text.to_owned())),
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default())
        .filter(|text| !text.is_empty())
}
