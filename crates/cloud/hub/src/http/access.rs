//! Who may do what over HTTP. Every handler is reached through a [`Permit`], which only this file makes.

use axum::http::Method;
use axum::http::request::Parts;
use ids::Identity;
use registry::{LocalHub, Right};
use wire::http::Path;
use wire::sas::UnverifiedToken;

use crate::Hub;
use crate::connect::former_name;
use crate::error::HubError;
use crate::prove::{NotProven, Presented, ProvenIdentity, prove, verify_policy_token};

use super::route::Route;
use super::{Called, authorization, peer};

/// Proof that a caller may do what his request asks.
pub(super) struct Permit {
    caller: Caller,
}

enum Caller {
    /// An operator or a back end, by a shared access policy.
    Policy { name: String, rights: Vec<Right> },
    /// A device or module, about itself or its own modules.
    Identity(Box<ProvenIdentity>),
}

impl Permit {
    /// The device or module that calls; `None` for operators.
    pub(super) fn identity(&self) -> Option<&Identity> {
        match &self.caller {
            Caller::Identity(proven) => Some(proven.identity()),
            Caller::Policy { .. } => None,
        }
    }

    /// Who the caller is, for the audit: the policy, or the device itself.
    pub(super) fn name(&self) -> String {
        match &self.caller {
            Caller::Policy { name, .. } => name.clone(),
            Caller::Identity(proven) => format!("device {}", proven.identity()),
        }
    }

    /// Whether keys may be shown: not to those who may only read the registry.
    pub(super) fn shows_keys(&self) -> bool {
        match &self.caller {
            Caller::Identity(_) => true,
            Caller::Policy { rights, .. } => {
                rights.contains(&Right::RegistryWrite) || rights.contains(&Right::ServiceConnect)
            }
        }
    }
}

/// Which rights allow a request, any one of them.
fn rights(route: &Route, method: &Method) -> &'static [Right] {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    let reads = method == Method::GET;
    match route {
        Route::Devices | Route::Device(_) | Route::Modules(_) | Route::Module(..) if reads => {
            &[RegistryRead]
        }
        Route::Devices | Route::Device(_) | Route::Modules(_) | Route::Module(..) => {
            &[RegistryWrite]
        }
        Route::DeviceStatistics => &[RegistryRead],
        Route::ServiceStatistics | Route::Query | Route::TestQueries => {
            &[ServiceConnect, RegistryRead]
        }
        Route::Configurations | Route::Configuration(_) if reads => &[ServiceConnect, RegistryRead],
        Route::Configurations | Route::Configuration(_) | Route::ApplyContent(_) => {
            &[ServiceConnect, RegistryWrite]
        }
        Route::Twin(..) | Route::Methods(..) | Route::ReadEvents => &[ServiceConnect],
        Route::Commands(_) => &[ServiceConnect],
        // Only the device itself, or a policy in its place: see `sender`.
        Route::Events(..)
        | Route::DeviceBound(_)
        | Route::DeviceBoundLock(_)
        | Route::DeviceBoundAbandon(_)
        | Route::NotOffered(_, Some(_)) => &[],
        Route::NotOffered(_, None) => &[ServiceConnect, RegistryRead, RegistryWrite],
    }
}

/// The device or module in whose own name a resource may be used.
fn sender(route: &Route, local: &LocalHub) -> Option<Identity> {
    let (device, module) = match route {
        Route::Events(device, module) => (device, module.clone()),
        Route::Modules(device)
        | Route::Module(device, _)
        | Route::DeviceBound(device)
        | Route::DeviceBoundLock(device)
        | Route::DeviceBoundAbandon(device)
        | Route::NotOffered(_, Some(device)) => (device, None),
        _ => return None,
    };
    Some(Identity {
        hub: local.name.clone(),
        device: device.clone(),
        module,
    })
}

/// Admits a request, or says why not.
pub(super) async fn admit(
    hub: &Hub,
    (local, called): (&LocalHub, &Called),
    route: &Route,
    path: &Path,
    parts: &Parts,
) -> Result<Permit, HubError> {
    let token = authorization(&parts.headers);
    let rights = rights(route, &parts.method);
    if let Some(text) = token
        && !rights.is_empty()
    {
        let parsed =
            UnverifiedToken::parse(text).map_err(|error| HubError::Unauthorized(error.into()))?;
        if parsed.policy().is_some() {
            return by_policy(hub, (local, called), rights, path, &parsed);
        }
    }
    let Some(identity) = sender(route, local) else {
        return Err(HubError::NoCredentials);
    };
    // A device that is refused registers again and is told the new name.
    if let Called::Former(host) = called {
        return Err(HubError::FormerName(former_name(host, local)));
    }
    let peer = peer(parts);
    let presented = Presented {
        token,
        chain: peer.presented().map(AsRef::as_ref),
    };
    match prove(hub, local, identity, presented).await {
        Ok(proven) => {
            hub.sessions().heard_of(proven.identity());
            Ok(Permit {
                caller: Caller::Identity(Box::new(proven)),
            })
        }
        Err(NotProven::Nothing) => Err(HubError::NoCredentials),
        Err(reason) => Err(HubError::Unauthorized(reason)),
    }
}

/// Back ends keep what they were given: a former name of the hub opens it as its present one does.
fn by_policy(
    hub: &Hub,
    (local, called): (&LocalHub, &Called),
    rights: &[Right],
    path: &Path,
    token: &UnverifiedToken,
) -> Result<Permit, HubError> {
    let host = match called {
        Called::Present => &local.host,
        Called::Former(host) => host,
    };
    let resource = format!("{host}/{}", path.segments().join("/"));
    let (_verified, policy) =
        verify_policy_token(local, token, &resource, hub.now()).map_err(HubError::Unauthorized)?;
    if !rights.iter().any(|right| policy.grants(*right)) {
        let names: Vec<&str> = rights.iter().map(|right| right.name()).collect();
        return Err(HubError::Forbidden(format!(
            "policy {:?} has none of the rights {}",
            policy.name,
            names.join(", ")
        )));
    }
    Ok(Permit {
        caller: Caller::Policy {
            name: policy.name.clone(),
            rights: policy.rights.clone(),
        },
    })
}
