//! The name of a server (RFC 9525): a subjectAltName alone counts, never the common name.

use super::ChainError;
use crate::{Certificate, ServerName};

pub(super) fn require_name(leaf: &Certificate, wanted: &ServerName) -> Result<(), ChainError> {
    let names = leaf.server_names();
    match names.iter().any(|presented| is_for(presented, wanted)) {
        true => Ok(()),
        false => Err(ChainError::ServerName {
            subject: leaf.subject(),
            wanted: wanted.to_string(),
            presented: in_words(&names),
        }),
    }
}

fn is_for(presented: &ServerName, wanted: &ServerName) -> bool {
    match (presented, wanted) {
        (ServerName::Ip(presented), ServerName::Ip(wanted)) => presented == wanted,
        (ServerName::Dns(presented), ServerName::Dns(wanted)) => is_dns_for(presented, wanted),
        _ => false,
    }
}

/// A wildcard is the whole first label, stands for one label, and has a domain of two below it.
fn is_dns_for(presented: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_suffix('.').unwrap_or(wanted);
    match presented.strip_prefix("*.") {
        None => !presented.contains('*') && presented.eq_ignore_ascii_case(wanted),
        Some(domain) => wanted.split_once('.').is_some_and(|(label, below)| {
            !label.is_empty() && domain.contains('.') && domain.eq_ignore_ascii_case(below)
        }),
    }
}

fn in_words(names: &[ServerName]) -> String {
    if names.is_empty() {
        return "no name (subjectAltName)".to_owned();
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
