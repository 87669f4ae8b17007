//! The device API: register, poll, look up.

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use ids::RegistrationId;
use pki::PeerChain;
use rest::ClientAddress;
use wire::device_api::registration::{
    OperationStatus, RETRY_AFTER_SECONDS, RETRY_AFTER_WORKING, RegistrationStatus,
    UnverifiedRegister, register_path,
};
use zeroize::Zeroizing;

use crate::error::ServiceFault;
use crate::http::route::DeviceCall;
use crate::http::{Incoming, Reply};
use crate::registration::operations::RegisterBody;
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
    let shown = Shown::by(&request);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a place is not held until then.
    let may = dps.may_ask(shown.presented().from)?;
    let body = request
        .read(wire::device_api::registration::MAX_BODY)
        .await?;
    let admitted = dps.admit(id_scope, &id, shown.presented(), may)?;
    let body = UnverifiedRegister::parse(&body)?;
    body.require_id(&id)?;
    let presented = Presented {
        tpm: body.tpm.as_ref(),
        ..shown.presented()
    };
    let operation = dps
        .begin(admitted, &id, presented, RegisterBody::of(&body))
        .await?;
    let location = format!(
        "https://{}{}",
        dps.options().host,
        register_path(id_scope, id.as_str())
    );
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
    let shown = Shown::by(&request);
    // Node sends a body with its GET; it says nothing, but has to leave the connection.
    request
        .read(wire::device_api::registration::MAX_BODY)
        .await?;
    let id = RegistrationId::parse(id)?;
    let presented = shown.presented();
    let (operation, state) = dps.poll(id_scope, &id, presented, operation).await?;
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
    let shown = Shown::by(&request);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a place is not held until then.
    let may = dps.may_ask(shown.presented().from)?;
    let body = request
        .read(wire::device_api::registration::MAX_BODY)
        .await?;
    let admitted = dps.admit(id_scope, &id, shown.presented(), may)?;
    let body = UnverifiedRegister::parse(&body)?;
    body.require_id(&id)?;
    body.require_no_csr()?;
    let state = dps.look_up(admitted, &id, shown.presented()).await?;
    Ok(Reply::json(StatusCode::OK, &state))
}

/// What the device showed when this connection was made.
/// What a device shows over HTTPS, kept while its request is read.
struct Shown {
    chain: PeerChain,
    token: Option<Zeroizing<String>>,
    from: Option<ClientAddress>,
}

impl Shown {
    fn by(request: &Incoming<'_>) -> Self {
        let token = request.header(AUTHORIZATION.as_str());
        Self {
            chain: request
                .parts
                .extensions
                .get::<PeerChain>()
                .cloned()
                .unwrap_or_default(),
            token: token.map(|token| Zeroizing::new(token.to_owned())),
            from: request.parts.extensions.get().copied(),
        }
    }

    fn presented(&self) -> Presented<'_> {
        Presented {
            token: self.token.as_ref().and_then(|token| Token::of(token)),
            from: self.from.map(|ClientAddress(address)| address),
            ..Presented::by(&self.chain)
        }
    }
}
