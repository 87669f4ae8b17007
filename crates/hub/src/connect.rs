//! MQTT CONNECT: from a user name, a client id and what is presented to the proof that a session needs.

use std::sync::Arc;

use ids::HubHost;
use mqtt::{Connect, ConnectRefused, ConnectReturnCode};
use pki::PresentedChain;
use registry::{Identity, LocalHub};
use wire::username::{HubUsername, Username};

use crate::Hub;
use crate::prove::{NotProven, Presented, ProvenIdentity, prove};

/// Checks a CONNECT.
///
/// # Errors
/// Says what CONNACK answers. Everything about identities is answered "not authorized"; the reason goes to the log.
pub(crate) async fn check(
    hub: &Hub,
    connect: &Connect,
    chain: Option<&PresentedChain>,
) -> Result<ProvenIdentity, ConnectRefused> {
    let username = username(connect)?;
    let local = local_hub(hub, &username.host)?;
    let identity = identity(&local, username, &connect.client_id)?;
    let token = token(connect)?;
    let presented = Presented { token, chain };
    prove(hub, &local, identity, presented)
        .await
        .map_err(|reason| refused(&reason))
}

/// Whether what the proof was checked against is still what is registered.
///
/// # Errors
/// When the registry cannot be read.
pub(crate) async fn still_stands(
    hub: &Hub,
    proven: &ProvenIdentity,
) -> Result<bool, ConnectRefused> {
    let now = hub.registry().credentials(proven.identity()).await;
    let now = now.map_err(|error| refused(&NotProven::Storage(error)))?;
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
        Err(error) => Err(bad(chain_text(&error))),
    }
}

/// The hub that the client means; ports and case do not matter.
fn local_hub(hub: &Hub, host: &HubHost) -> Result<Arc<LocalHub>, ConnectRefused> {
    hub.registry()
        .served()
        .hub_at(host)
        .cloned()
        .ok_or_else(|| {
            let reason = format!("the user name is for {host}, which is no hub of this server");
            ConnectRefused::new(ConnectReturnCode::NotAuthorized, reason)
        })
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
    // X.509 clients may send an empty one.
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn refused(reason: &NotProven) -> ConnectRefused {
    let code = match reason {
        // Clients try again later, where "not authorized" is final to them.
        NotProven::Storage(_) => ConnectReturnCode::ServerUnavailable,
        _ => ConnectReturnCode::NotAuthorized,
    };
    ConnectRefused::new(code, chain_text(reason))
}

/// An error with its causes, in one line.
pub(crate) fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
