//! Name constraints (RFC 5280, 4.2.1.10): the names that an issuer permits below itself.

use crate::Certificate;
use crate::cert::{AltName, NameConstraints, canonical_parts, is_name_within};

use super::ChainError;
use super::path::Path;

/// Most comparisons of a name with a constraint for one path.
const MAX_COMPARISONS: usize = 10_000;

/// Requires that every name of a path is permitted by the issuers above it and the trust anchor.
pub(super) fn require_permitted(path: &Path<'_>) -> Result<(), ChainError> {
    let mut below = vec![path.leaf];
    let mut left = MAX_COMPARISONS;
    for issuer in path.issuers.iter().copied().chain([path.trust_anchor]) {
        if let Some(constraints) = &issuer.extensions().name_constraints {
            for certificate in &below {
                require_within(certificate, constraints, issuer, &mut left)?;
            }
        }
        // RFC 5280, 6.1.3 (b): a self-issued CA certificate is not constrained.
        if !issuer.is_self_issued() {
            below.push(issuer);
        }
    }
    Ok(())
}

fn require_within(
    certificate: &Certificate,
    constraints: &NameConstraints,
    issuer: &Certificate,
    left: &mut usize,
) -> Result<(), ChainError> {
    let names = certificate.all_names();
    let each = constraints.permitted.len() + constraints.excluded.len();
    *left = left
        .checked_sub(names.len().saturating_mul(each))
        .ok_or_else(|| {
            let problem = "more names and name constraints than are compared".to_owned();
            ChainError::NotUnderstood {
                subject: issuer.subject(),
                problem,
            }
        })?;
    for name in names {
        match match_name(&name, constraints) {
            NameMatch::Permitted => {}
            NameMatch::Forbidden => {
                return Err(ChainError::NameConstraint {
                    subject: certificate.subject(),
                    name: name.to_string(),
                    issuer: issuer.subject(),
                });
            }
            NameMatch::NotEvaluated => {
                return Err(ChainError::NotUnderstood {
                    subject: issuer.subject(),
                    problem: format!(
                        "name constraints on {name}, a kind of name that is not evaluated"
                    ),
                });
            }
        }
    }
    Ok(())
}

enum NameMatch {
    Permitted,
    Forbidden,
    NotEvaluated,
}

fn match_name(name: &AltName, constraints: &NameConstraints) -> NameMatch {
    let of_its_kind = |all: &[AltName]| all.iter().any(|one| one.kind() == name.kind());
    let is_constrained = of_its_kind(&constraints.permitted);
    if let AltName::Other(_) = name {
        let is_asked = is_constrained || of_its_kind(&constraints.excluded);
        return if is_asked {
            NameMatch::NotEvaluated
        } else {
            NameMatch::Permitted
        };
    }
    let is_in = |base: &AltName| is_within(name, base, Side::Permitted);
    let is_out = |base: &AltName| is_within(name, base, Side::Excluded);
    let permitted = !is_constrained || constraints.permitted.iter().any(is_in);
    match permitted && !constraints.excluded.iter().any(is_out) {
        true => NameMatch::Permitted,
        false => NameMatch::Forbidden,
    }
}

/// On which side a subtree is: what cannot be read is within none that permits, and
/// within any that excludes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Permitted,
    Excluded,
}

fn is_within(name: &AltName, base: &AltName, side: Side) -> bool {
    let unreadable = side == Side::Excluded;
    match (name, base) {
        (AltName::Dns(name), AltName::Dns(base)) => is_dns_within(name, base, side),
        (AltName::Mail(name), AltName::Mail(base)) => {
            is_mail_within(name, base).unwrap_or(unreadable)
        }
        (AltName::Uri(name), AltName::Uri(base)) => {
            uri_host(name).map_or(unreadable, |host| is_host_within(&host, base))
        }
        (AltName::Directory(name), AltName::Directory(base)) => {
            match (canonical_parts(name), canonical_parts(base)) {
                (Some(name), Some(base)) => is_name_within(&name, &base),
                _ => unreadable,
            }
        }
        (AltName::Ip(name), AltName::Ip(base)) => {
            is_address_within(name, base).unwrap_or(unreadable)
        }
        _ => false,
    }
}

/// The host itself and everything below it; with a leading dot only what is below it.
fn is_dns_within(name: &str, base: &str, side: Side) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    let name = name.strip_suffix('.').unwrap_or(&name);
    let (bare, itself) = match base.strip_prefix('.') {
        Some(bare) => (bare, false),
        None => (base.as_str(), true),
    };
    if base.is_empty() || (itself && name == bare) || is_below(name, bare) {
        return true;
    }
    // A wildcard stands for names of which one may be excluded.
    let domain = name.strip_prefix("*.").filter(|_| side == Side::Excluded);
    domain.is_some_and(|domain| is_below(bare, domain))
}

fn is_below(name: &str, base: &str) -> bool {
    let before = name
        .strip_suffix(base)
        .and_then(|before| before.strip_suffix('.'));
    before.is_some_and(|before| !before.is_empty())
}

/// A mailbox, those of a host, or with a leading dot those of the hosts below one.
fn is_mail_within(name: &str, base: &str) -> Option<bool> {
    let (local, host) = name
        .rsplit_once('@')
        .filter(|(local, host)| is_local_part(local) && !host.is_empty())?;
    Some(match base.rsplit_once('@') {
        Some((base_local, base_host)) => {
            local == base_local && host.eq_ignore_ascii_case(base_host)
        }
        None => is_host_within(host, base),
    })
}

/// An @ stands in the local part of an address between quotes alone (RFC 5321, 4.1.2).
fn is_local_part(local: &str) -> bool {
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    !local.is_empty() && (is_quoted || !local.contains('@'))
}

/// A host, or with a leading dot the hosts below it.
fn is_host_within(host: &str, base: &str) -> bool {
    let (host, base) = (host.to_ascii_lowercase(), base.to_ascii_lowercase());
    match base.strip_prefix('.') {
        _ if base.is_empty() => true,
        Some(domain) => is_below(&host, domain),
        None => host == base,
    }
}

/// The host name of a URI; `None` when it has none, or an address.
fn uri_host(uri: &str) -> Option<String> {
    let (_, after) = uri.split_once("://")?;
    let authority = after.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    (!host.is_empty() && !is_address).then(|| host.to_owned())
}

/// `base` is an address and a mask of the same length.
fn is_address_within(address: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    let ones = mask.iter().map(|byte| byte.count_ones()).sum::<u32>();
    let leading = mask.iter().take_while(|byte| **byte == 0xff).count();
    let first_other = mask.get(leading).map_or(0, |byte| byte.leading_ones());
    // A mask is a row of ones and then zeros.
    if ones != u32::try_from(leading).ok()? * 8 + first_other {
        return None;
    }
    let fits = address
        .iter()
        .zip(network)
        .zip(mask)
        .all(|((a, n), m)| a & m == n & m);
    Some(address.len() == network.len() && fits)
}
