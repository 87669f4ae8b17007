//! The device API over HTTPS: register, poll, look up.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::Response;
use ids::RegistrationId;
use pki::PeerChain;
use rest::{ClientAddress, Reply, RequestError, RequestId, body};
use wire::device_api::register_request::{MAX_BODY, UnverifiedRegister};
use wire::device_api::registration::{
    OperationStatus, RETRY_AFTER_SECONDS, RETRY_AFTER_WORKING, RegistrationStatus, register_path,
};
use wire::http::{Path, is};
use zeroize::Zeroizing;

use crate::error::ServiceFault;
use crate::registration::operations::Caller;
use crate::registration::presented::{Presented, Token};
use crate::service::Dps;

/// What devices ask, by method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DeviceCall<'a> {
    Register {
        id_scope: &'a str,
        id: &'a str,
    },
    Poll {
        id_scope: &'a str,
        id: &'a str,
        operation: &'a str,
    },
    LookUp {
        id_scope: &'a str,
        id: &'a str,
    },
}

/// Answers a request to a path of devices.
pub async fn answer(dps: &Dps, request: Request) -> Response {
    let request_id = RequestId::fresh();
    let (parts, body) = request.into_parts();
    let reply = match respond(dps, &parts, body).await {
        Ok(reply) => reply,
        Err(fault) => {
            fault.log(&request_id);
            let path = parts.uri.path().trim_start_matches('/');
            let id_scope = path.split('/').next().unwrap_or_default();
            dps.note_refusal(&fault, id_scope, ClientAddress::of(&parts))
                .await;
            fault.reply(&request_id, dps.now())
        }
    };
    reply.into_response(&request_id)
}

async fn respond(dps: &Dps, parts: &Parts, body: Body) -> Result<Reply, ServiceFault> {
    let path = Path::parse(parts.uri.path()).map_err(RequestError::from)?;
    let call = DeviceCall::find(&parts.method, &path.segments())?;
    if wire::http::api_version(parts.uri.query()).is_none() {
        return Err(RequestError::NoApiVersion.into());
    }
    let request = (parts, body);
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

impl<'a> DeviceCall<'a> {
    /// Finds the call; literal segments match in any letter case.
    fn find(method: &Method, path: &[&'a str]) -> Result<Self, RequestError> {
        let other_method = || Err(RequestError::Method(method.clone()));
        match *path {
            [id_scope, _, id] if method == Method::POST => Ok(Self::LookUp { id_scope, id }),
            [_, _, _] => other_method(),
            [id_scope, _, id, register] if is(register, "register") => match *method {
                Method::PUT => Ok(Self::Register { id_scope, id }),
                _ => other_method(),
            },
            [id_scope, _, id, operations, operation] if is(operations, "operations") => {
                match *method {
                    Method::GET => Ok(Self::Poll {
                        id_scope,
                        id,
                        operation,
                    }),
                    _ => other_method(),
                }
            }
            _ => Err(RequestError::NoSuchPath),
        }
    }
}

/// Always 202: device daemons insist on it, although the work is done by then.
async fn register(
    dps: &Dps,
    (parts, body): (&Parts, Body),
    id_scope: &str,
    id: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(parts);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a slot is not held until then.
    let permit = dps.admit_address(credential.address())?;
    let body = body::read(body, MAX_BODY).await?;
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
    Ok(Reply::json(&status)
        .with_status(202)
        .with("location", &location)
        .with("retry-after", &RETRY_AFTER_SECONDS.to_string()))
}

async fn poll(
    dps: &Dps,
    (parts, body): (&Parts, Body),
    id_scope: &str,
    id: &str,
    operation: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(parts);
    // Node sends a body with its GET; it says nothing, but has to leave the connection.
    body::read(body, MAX_BODY).await?;
    let id = RegistrationId::parse(id)?;
    let caller = credential.caller(id_scope, &id);
    let (operation, state) = dps.poll(caller, operation).await?;
    let status = OperationStatus::finished(operation.into_string(), state);
    match status.status {
        RegistrationStatus::Assigning => Ok(Reply::json(&status)
            .with_status(202)
            .with("retry-after", &RETRY_AFTER_WORKING.to_string())),
        _ => Ok(Reply::json(&status)),
    }
}

async fn look_up(
    dps: &Dps,
    (parts, body): (&Parts, Body),
    id_scope: &str,
    id: &str,
) -> Result<Reply, ServiceFault> {
    let credential = Credential::read(parts);
    let id = RegistrationId::parse(id)?;
    // A body costs memory while it arrives, and a slot is not held until then.
    let permit = dps.admit_address(credential.address())?;
    let body = body::read(body, MAX_BODY).await?;
    let caller = credential.caller(id_scope, &id);
    let admitted = dps.admit(caller, permit)?;
    let body = UnverifiedRegister::parse(&body)?;
    body.require_id(&id)?;
    body.require_no_csr()?;
    let state = dps.look_up(admitted, caller).await?;
    Ok(Reply::json(&state))
}

/// What a device presents over HTTPS, kept while its request is read.
struct Credential {
    chain: PeerChain,
    token: Option<Zeroizing<String>>,
    from: Option<ClientAddress>,
}

impl Credential {
    fn read(parts: &Parts) -> Self {
        let token = parts.headers.get(AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok());
        let extensions = &parts.extensions;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_real_clients_send() {
        let (id_scope, id, operation) = ("0ne1", "Dev-1", "5.a.b");
        for (method, path, call) in [
            (
                Method::PUT,
                &["0ne1", "registrations", "Dev-1", "register"][..],
                DeviceCall::Register { id_scope, id },
            ),
            (
                Method::GET,
                &["0ne1", "registrations", "Dev-1", "operations", "5.a.b"],
                DeviceCall::Poll {
                    id_scope,
                    id,
                    operation,
                },
            ),
            (
                Method::POST,
                &["0ne1", "Registrations", "Dev-1"],
                DeviceCall::LookUp { id_scope, id },
            ),
        ] {
            assert_eq!(DeviceCall::find(&method, path), Ok(call));
        }
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        let other_method = |method| Err(RequestError::Method(method));
        for (method, path, expected) in [
            (
                Method::POST,
                &["0ne1", "registrations", "d", "register"][..],
                other_method(Method::POST),
            ),
            (
                Method::GET,
                &["0ne1", "registrations", "d"],
                other_method(Method::GET),
            ),
            (
                Method::PUT,
                &["0ne1", "registrations", "d", "operations", "o"],
                other_method(Method::PUT),
            ),
            (
                Method::GET,
                &["0ne1", "registrations", "d", "other"],
                Err(RequestError::NoSuchPath),
            ),
        ] {
            assert_eq!(DeviceCall::find(&method, path), expected, "{path:?}");
        }
    }
}
