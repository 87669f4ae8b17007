//! The device API over HTTPS.

use std::net::IpAddr;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use ids::RegistrationId;
use pki::PeerChain;
use rest::ClientAddress;
use wire::device_api::registration::{
    MAX_BODY, OperationStatus, RETRY_AFTER_SECONDS, RETRY_AFTER_WORKING, RegistrationStatus,
    UnverifiedRegister, register_path,
};
use zeroize::Zeroizing;

use crate::error::ServiceFault;
use crate::http::route::DeviceCall;
use crate::http::{Incoming, Reply};
use crate::registration::operations::Caller;
use crate::registration::presented::{Presented, Token};
use crate::service::Dps;

pub async fn answer(
    dps: &Dps,
    request: Incoming<'_>,
    call: DeviceCall<'_>,
) -> Result<Reply, ServiceFault> {
    match call {
        DeviceCall::Register { id_scope, id } => register(dps, request, id_scope, id).await,
        DeviceCall::Poll {
            id_scope,
            id,
            operation,
        } => poll(dps, request, id_scope, id, operation).await,
        DeviceCall::LookUp { id_scope, id } => look_up(dps, request, id_scope, id).await,
    }
}

/// Always 202: device daemons insist on it, although the work is done by then.
async fn register(
    dps: &Dps,
    request: Incoming<'_>,
    id_scope: &str,
    id: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(&request);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a slot is not held until then.
    let permit = dps.admit_address(credential.address())?;
    let body = request.read(MAX_BODY).await?;
    let caller = credential.caller(id_scope, &id);
    let admitted = dps.admit(caller, permit)?;
    let body = UnverifiedRegister::parse(&body)?;
    body.require_id(&id)?;
    let caller = Caller {
        presented: Presented {
            tpm: body.tpm.as_ref(),
            ..caller.presented
        },
        ..caller
    };
    let operation = dps.register(admitted, caller, (&body).into()).await?;
    let path = register_path(id_scope, id.as_str());
    let location = format!("https://{}{path}", dps.options().host);
    let status = OperationStatus::assigning(operation.into_string(), id);
    Ok(Reply::json(StatusCode::ACCEPTED, &status)
        .with(LOCATION, &location)
        .with(RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string()))
}

async fn poll(
    dps: &Dps,
    request: Incoming<'_>,
    id_scope: &str,
    id: &str,
    operation: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(&request);
    // Node sends a body with its GET; it says nothing, but has to leave the connection.
    request.read(MAX_BODY).await?;
    let id = RegistrationId::parse(id)?;
    let caller = credential.caller(id_scope, &id);
    let (operation, state) = dps.poll(caller, operation).await?;
    let status = OperationStatus::finished(operation.into_string(), state);
    match status.status {
        RegistrationStatus::Assigning => Ok(Reply::json(StatusCode::ACCEPTED, &status)
            .with(RETRY_AFTER, &RETRY_AFTER_WORKING.to_string())),
        _ => Ok(Reply::json(StatusCode::OK, &status)),
    }
}

async fn look_up(
    dps: &Dps,
    request: Incoming<'_>,
    id_scope: &str,
    id: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(&request);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a slot is not held until then.
    let permit = dps.admit_address(credential.address())?;
    let body = request.read(MAX_BODY).await?;
    let caller = credential.caller(id_scope, &id);
    let admitted = dps.admit(caller, permit)?;
    let body = UnverifiedRegister::parse(&body)?;
    body.require_id(&id)?;
    body.require_no_csr()?;
    let state = dps.look_up(admitted, caller).await?;
    Ok(Reply::json(StatusCode::OK, &state))
}

/// What a device presents over HTTPS, kept while its request is read.
struct Credential {
    chain: PeerChain,
    token: Option<Zeroizing<String>>,
    from: Option<ClientAddress>,
}

impl Credential {
    fn read(request: &Incoming<'_>) -> Self {
        let token = request.header(AUTHORIZATION.as_str());
        let extensions = &request.parts.extensions;
        Self {
            chain: extensions.get::<PeerChain>().cloned().unwrap_or_default(),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
            from: extensions.get().copied(),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.from.map(|ClientAddress(address)| address)
    }

    fn caller<'a>(&'a self, id_scope: &'a str, id: &'a RegistrationId) -> Caller<'a> {
        let token = self.token.as_ref();
        Caller {
            id_scope,
            registration_id: id,
            presented: Presented {
                token: token.and_then(|token| Token::from_text(token)),
                from: self.address(),
                ..Presented::from(&self.chain)
            },
        }
    }
}
