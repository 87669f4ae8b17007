//! MQTT CONNECT: checks user name, client id and credentials, and returns the proof
//! that a session needs.

use std::sync::Arc;

use ids::{HubHost, Identity, error_chain};
use mqtt::{Connect, ConnectReturnCode};
use pki::PresentedChain;
use registry::LocalHub;
use transport::ConnectRefused;
use wire::device_api::username::{HubUsername, Username};

use crate::service::Hub;
use crate::sessions::prove::{NotProven, Presented, ProvenIdentity, prove};

pub(crate) struct Checked {
    pub(crate) proven: ProvenIdentity,
    /// The Plug and Play model that the client announced.
    pub(crate) model_id: Option<String>,
}

/// The error is the return code of CONNACK, and the reason for the log. Every fault of an identity
/// is answered "not authorized".
pub(crate) async fn check(
    hub: &Hub,
    connect: &Connect,
    chain: Option<&PresentedChain>,
) -> Result<Checked, ConnectRefused> {
    let mut username = username(connect)?;
    let local = local_hub(hub, &username.host)?;
    let model_id = username.model_id.take();
    let identity = identity(&local, username, &connect.client_id)?;
    let token = token(connect)?;
    let presented = Presented { token, chain };
    let proven = prove(hub, &local, identity, presented).await;
    Ok(Checked {
        proven: proven.map_err(|reason| refused(&reason))?,
        model_id,
    })
}

/// Whether the credentials that the proof was checked against are still registered.
///
/// # Errors
/// When the storage fails, or a certificate was revoked meanwhile.
pub(crate) async fn is_still_registered(
    hub: &Hub,
    proven: &ProvenIdentity,
) -> Result<bool, ConnectRefused> {
    let (registry, identity) = (hub.registry(), proven.identity());
    let failed = |error| refused(&NotProven::Storage(error));
    let path = proven.path().into_iter();
    let certificates = path.flat_map(|path| path.keys.iter().copied());
    let revoked = registry.not_in_force_at_hub(&identity.hub, certificates, hub.now());
    if let Some(reason) = revoked.map_err(failed)? {
        return Err(refused(&reason.into()));
    }
    let now = registry.credentials(identity).await.map_err(failed)?;
    Ok(now.as_ref() == Some(proven.credentials()))
}

fn username(connect: &Connect) -> Result<HubUsername, ConnectRefused> {
    let bad =
        |reason: String| ConnectRefused::new(ConnectReturnCode::BadUserNameOrPassword, reason);
    let text = connect
        .username
        .as_deref()
        .ok_or_else(|| bad("CONNECT has no user name".to_owned()))?;
    match Username::parse(text) {
        Ok(Username::Hub(username)) => Ok(username),
        Ok(Username::Provisioning(_)) => Err(bad(
            "the user name is for the provisioning service".to_owned()
        )),
        Err(error) => Err(bad(error_chain(&error))),
    }
}

/// The hub of a host name; ports and case do not matter.
fn local_hub(hub: &Hub, host: &HubHost) -> Result<Arc<LocalHub>, ConnectRefused> {
    let local = hub.registry().hubs();
    if let Some(local) = local.hub_at(host) {
        return Ok(local.clone());
    }
    // "Not authorized" makes a device register again; then it gets the new name.
    let reason = match local.hub_formerly_at(host) {
        Some(local) => former_name(host, local),
        None => format!("the user name is for {host}, which is no hub of this server"),
    };
    Err(ConnectRefused::new(
        ConnectReturnCode::NotAuthorized,
        reason,
    ))
}

/// The reason for the log when a device uses a former name of its hub.
pub(crate) fn former_name(host: &HubHost, local: &LocalHub) -> String {
    format!(
        "it comes to {host}, the former name of the hub at {}; a device that was provisioned \
         registers again, another one needs the new name",
        local.host
    )
}

fn identity(
    local: &LocalHub,
    username: HubUsername,
    client_id: &str,
) -> Result<Identity, ConnectRefused> {
    let identity = Identity {
        hub: local.name.clone(),
        device: username.device,
        module: username.module,
    };
    let expected = identity.to_string();
    if client_id != expected {
        let reason =
            format!("the client id is {client_id:?} where the user name says {expected:?}");
        return Err(ConnectRefused::new(
            ConnectReturnCode::IdentifierRejected,
            reason,
        ));
    }
    Ok(identity)
}

fn token(connect: &Connect) -> Result<Option<&str>, ConnectRefused> {
    let Some(password) = &connect.password else {
        return Ok(None);
    };
    let text = std::str::from_utf8(password.as_bytes()).map_err(|_| {
        ConnectRefused::new(
            ConnectReturnCode::BadUserNameOrPassword,
            "the password is not UTF-8",
        )
    })?;
    // X.509 clients may send an empty password.
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn refused(reason: &NotProven) -> ConnectRefused {
    let code = match reason {
        // Clients retry after this code; "not authorized" is final to them.
        NotProven::Storage(_) => ConnectReturnCode::ServerUnavailable,
        _ => ConnectReturnCode::NotAuthorized,
    };
    ConnectRefused::new(code, error_chain(reason))
}
