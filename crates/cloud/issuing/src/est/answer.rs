//! Answers in the forms of RFC 7030.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use axum::http::request::Parts;
use pki::{Certificate, PrivateKey};
use provisioning::IssuerRecord;
use rest::Reply;
use wire::est::{CERTIFICATES, CSR_ATTRIBUTES, TRANSFER_ENCODING};
use wire::muster_api::issuer::DeviceKeyType;
use zeroize::Zeroizing;

use super::fault::{EstFault, EstReason};
use crate::profile::request_key;

/// What a client without accepted credentials is asked for.
const CHALLENGE: &str = "Basic realm=\"Muster EST\", charset=\"UTF-8\"";

/// How the base64 of an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As RFC 7030 has it, and as `openssl base64 -d` reads it.
    Lines,
    /// As RFC 8951 allows.
    OneLine,
}

impl Form {
    /// strongSwan's `pki` (5.9) does not skip line ends. It sends none of the headers by which
    /// others say who they are and what they accept.
    pub(super) fn of(parts: &Parts) -> Self {
        let says_more = [USER_AGENT, ACCEPT, ACCEPT_ENCODING]
            .iter()
            .any(|name| parts.headers.contains_key(name));
        match says_more {
            true => Self::Lines,
            false => Self::OneLine,
        }
    }
}

/// Certificates in the order in which they are given.
pub(super) fn certificates(certificates: &[Certificate], form: Form) -> Reply {
    let all: Vec<&Certificate> = certificates.iter().collect();
    base64(CERTIFICATES, &pki::certs_only(&all), form)
}

/// What a request should ask for: the issuer's first kind of key.
pub(super) fn csr_attributes(issuer: &IssuerRecord, form: Form) -> Reply {
    let first = issuer.profile.key_types.first().copied();
    let kind = request_key(first.unwrap_or(DeviceKeyType::P256));
    base64(CSR_ATTRIBUTES, &pki::csr_attributes(kind), form)
}

/// A private key that was made for a client, and its certificate.
pub(super) fn key_and_certificate(key: &PrivateKey, certificate: &Certificate) -> Reply {
    let certificates = pki::certs_only(&[certificate]);
    let boundary = rest::fresh_guid().simple().to_string();
    let (content_type, body) = wire::est::key_and_certificate(
        key.pkcs8_der().secret_pkcs8_der(),
        &certificates,
        &boundary,
    );
    Reply::bytes(&content_type, bytes::Bytes::from_owner(Wiped(body)))
        .with("cache-control", "no-store")
}

/// A body that is overwritten once it is sent.
struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn base64(content_type: &str, der: &[u8], form: Form) -> Reply {
    let body = match form {
        Form::Lines => wire::est::encode(der),
        Form::OneLine => wire::est::encode_in_one_line(der),
    };
    Reply::bytes(content_type, body).with(TRANSFER_ENCODING, "base64")
}

/// The answer to a request that does not get what it asked for: a line of text.
pub(super) fn fault(fault: &EstFault) -> Reply {
    let status = fault.status();
    let text = format!("{}\n", fault.outside());
    let reply = Reply::bytes("text/plain; charset=utf-8", text).with_status(status);
    let reply = match fault {
        EstFault::Refused(EstReason::Method(operation)) => reply.with("allow", operation.method()),
        _ if status == 401 => reply.with("www-authenticate", CHALLENGE),
        _ => reply,
    };
    match fault.retry_after() {
        Some(seconds) => reply.with("retry-after", &seconds.to_string()),
        None => reply,
    }
}
