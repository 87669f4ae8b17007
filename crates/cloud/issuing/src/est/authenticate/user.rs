use std::net::IpAddr;

use ids::{Etag, IssuerUserName};
use provisioning::IssuerUser;
use wire::est::BasicCredentials;

use crate::est::enroll::Call;
use crate::est::fault::{EstFault, EstReason};
use crate::password::{CheckError, StoredPassword};

/// A user of the issuer who has its password, and is neither expired nor spent. Only this file
/// makes one.
#[derive(Debug)]
pub(in crate::est) struct ProvenUser {
    name: IssuerUserName,
    version: Etag,
}

impl ProvenUser {
    pub(in crate::est) fn name(&self) -> &IssuerUserName {
        &self.name
    }

    /// Another password gives another version.
    pub(in crate::est) fn version(&self) -> &Etag {
        &self.version
    }
}

/// Compares a password with the user's. A user that does not exist is refused as one with another
/// password is, after the same time.
pub(super) async fn prove(
    call: &Call<'_>,
    credentials: &BasicCredentials,
    address: Option<IpAddr>,
) -> Result<ProvenUser, EstFault> {
    let issuer = &call.issuer.name;
    let name = IssuerUserName::parse(credentials.username()).ok();
    let provisioning = call.service.provisioning;
    let user = name.map(|name| provisioning.issuer_user(issuer, &name));
    let user = user.transpose()?.flatten();
    let stored = user
        .as_ref()
        .map(|user| StoredPassword::from_text(user.password.reveal()));
    let password = credentials.reveal_password();
    let service = provisioning.service();
    let whose = (
        service.id_scope.as_str(),
        issuer.as_str(),
        credentials.username(),
    );
    let guess = || call.est.limits.guess(whose, address, call.service.now);
    let checked = call
        .est
        .passwords
        .check(stored.as_ref(), password, guess)
        .await;
    let proven = checked.map_err(|error| match error {
        CheckError::Busy => EstFault::Busy,
        CheckError::Limit(fault) => fault,
    })?;
    match (user, proven) {
        (Some(user), Some(_)) => admit(user, call),
        (Some(_), None) => Err(EstReason::PasswordWrong.into()),
        (None, _) => Err(EstReason::UserUnknown.into()),
    }
}

/// Says early what the transaction that issues decides: whether the user may still have a
/// certificate.
fn admit(user: IssuerUser, call: &Call<'_>) -> Result<ProvenUser, EstFault> {
    match (user.expires, user.uses_left) {
        (Some(at), _) if at <= call.service.now => Err(EstReason::UserExpired { at }.into()),
        (_, Some(0)) => Err(EstReason::UserSpent.into()),
        _ => Ok(ProvenUser {
            name: user.name,
            version: user.etag,
        }),
    }
}
