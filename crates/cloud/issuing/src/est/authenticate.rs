//! Who sends a request: a user of the issuer, by password, or a client with a certificate.

mod certificate;
mod user;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use pki::RequestClaim;
use wire::est::{BasicCredentials, Operation};

use super::Seen;
use super::enroll::Call;
use super::fault::{EstFault, EstReason};
use super::limits::Counted;

pub(super) use certificate::ProvenClient;
pub(super) use user::ProvenUser;

/// A client that proved who it is.
#[derive(Debug)]
pub(super) enum Requester {
    /// May request any name.
    User(ProvenUser),
    /// May request its own name.
    Client(Box<ProvenClient>),
}

impl Requester {
    pub(super) fn counted(&self) -> Counted<'_> {
        match self {
            Self::User(user) => Counted::User(user.name().as_str()),
            Self::Client(client) => Counted::Certificate(client.name()),
        }
    }
}

/// Proves who sent a request. A certificate that may have the requested name goes first, because
/// it spends no use of a user: a device that renews may go on sending the password that it was
/// set up with.
pub(super) async fn prove(
    call: &Call<'_>,
    parts: &Parts,
    claim: Option<&RequestClaim>,
    seen: &mut Seen,
) -> Result<Requester, EstFault> {
    let credentials = basic(parts);
    if let Some(Ok(credentials)) = &credentials {
        seen.username = Some(credentials.username().to_owned());
    }
    let client = certificate::prove(call, &seen.chain)?;
    if call.operation == Operation::SimpleReenroll {
        let client = client.ok_or(EstReason::NoCurrentCertificate)?;
        return Ok(Requester::Client(client?.into()));
    }
    let requested = claim
        .and_then(RequestClaim::common_name)
        .unwrap_or_default();
    match (client, credentials) {
        (Some(Ok(client)), _) if client.may_have(requested, call.issuer.profile.kind) => {
            Ok(Requester::Client(client.into()))
        }
        (_, Some(credentials)) => {
            let credentials = credentials.map_err(EstReason::from)?;
            let user = user::prove(call, &credentials, seen.address).await?;
            Ok(Requester::User(user))
        }
        // Which name it may have is said where names are checked.
        (Some(client), None) => Ok(Requester::Client(client?.into())),
        (None, None) => Err(EstReason::NoCredential.into()),
    }
}

fn basic(parts: &Parts) -> Option<Result<BasicCredentials, wire::est::CredentialsError>> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).into_iter();
    let header = headers.next()?;
    let text = match headers.next() {
        // Of two headers neither is believed.
        Some(_) => None,
        None => header.to_str().ok(),
    };
    Some(
        text.ok_or(wire::est::CredentialsError::NotBase64)
            .and_then(BasicCredentials::read),
    )
}
