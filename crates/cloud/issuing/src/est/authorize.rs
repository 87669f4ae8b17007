//! Whether a proven client may have a certificate with the names that it requests.

use ids::ProfileKind;
use ids::RegistrationId;
use pki::{RequestClaim, RequestError, ServerName};
use wire::est::Operation;

use super::authenticate::{ProvenClient, Requester};
use super::edge_ca_name;
use super::enroll::Call;
use super::fault::{EstFault, EstReason};

/// Proof that a requester may have what it requests. Only this file makes one.
#[derive(Debug)]
pub(super) struct Permit(());

/// Checks the names of a request.
pub(super) async fn permit(
    call: &Call<'_>,
    requester: &Requester,
    claim: &RequestClaim,
) -> Result<Permit, EstFault> {
    let requested = claim.common_name().ok_or(RequestError::NoCommonName)?;
    if let Requester::Client(client) = requester {
        require_own_name(call, client, claim, requested)?;
        if !client.name().eq_ignore_ascii_case(requested) {
            require_enabled(call, client.name()).await?;
        }
    }
    require_enabled(call, requested).await?;
    Ok(Permit(()))
}

fn require_own_name(
    call: &Call<'_>,
    client: &ProvenClient,
    claim: &RequestClaim,
    requested: &str,
) -> Result<(), EstReason> {
    let kind = call.issuer.profile.kind;
    if !client.may_have(requested, kind) {
        return Err(EstReason::OtherName {
            own: client.name().to_owned(),
            requested: requested.chars().take(128).collect(),
        });
    }
    let renews = call.operation == Operation::SimpleReenroll;
    if renews && !claim.has_subject_of(client.leaf()) {
        return Err(changed(client));
    }
    if kind != ProfileKind::EdgeServer {
        return Ok(());
    }
    let (own, wanted) = (client.leaf().server_names(), claim.server_names()?);
    if renews && !is_same(&own, wanted) {
        return Err(changed(client));
    }
    let may_have = |name: &&ServerName| own.contains(name) || is_named(name, client.name());
    match wanted.iter().find(|name| !may_have(name)) {
        None => Ok(()),
        Some(name) => Err(EstReason::OtherServerName {
            name: name.to_string(),
        }),
    }
}

fn changed(client: &ProvenClient) -> EstReason {
    EstReason::SubjectChanged {
        current: client.leaf().subject(),
    }
}

/// A request without names asks for those that its common name gives.
fn is_same(own: &[ServerName], wanted: &[ServerName]) -> bool {
    wanted.is_empty()
        || (own.iter().all(|name| wanted.contains(name))
            && wanted.iter().all(|name| own.contains(name)))
}

fn is_named(name: &ServerName, own: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(own)
}

/// An individual enrollment that is disabled, also by a block, keeps its device from enrolling.
async fn require_enabled(call: &Call<'_>, name: &str) -> Result<(), EstFault> {
    let ids = match call.issuer.profile.kind {
        ProfileKind::EdgeCa => edge_ca_name::devices(name),
        _ => RegistrationId::parse(name).into_iter().collect(),
    };
    for id in ids {
        match call.service.provisioning.find_individual(&id).await? {
            Some(record) if record.blocked => {
                return Err(EstReason::Blocked(record.key.clone()).into());
            }
            Some(record) if !record.enabled => {
                return Err(EstReason::Disabled(record.key.clone()).into());
            }
            _ => {}
        }
    }
    Ok(())
}
