//! Which issuer a request means.

use ids::IssuerName;
use provisioning::{IssuerRecord, Provisioning};

use super::fault::{EstFault, EstReason};

/// The issuer of a name, or without one the default: the only issuer, or the one that was made the
/// default.
pub(super) fn find(
    provisioning: &Provisioning,
    name: Option<&str>,
) -> Result<IssuerRecord, EstFault> {
    if let Some(name) = name {
        let known = IssuerName::parse(name).ok();
        let found = known.map(|name| provisioning.issuer(&name)).transpose()?;
        let shortened = || name.chars().take(64).collect();
        return Ok(found
            .flatten()
            .ok_or_else(|| EstReason::NoIssuer { name: shortened() })?);
    }
    let mut all = provisioning.issuers()?;
    let default = all.iter().position(|issuer| issuer.settings.is_default);
    match (default, all.len()) {
        (Some(index), _) => Ok(all.swap_remove(index)),
        (None, 1) => Ok(all.remove(0)),
        (None, 0) => Err(EstReason::NoIssuers.into()),
        (None, count) => Err(EstReason::NoDefault { count }.into()),
    }
}
