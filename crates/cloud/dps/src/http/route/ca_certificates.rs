//! Which call below `/muster/v1/dps/certificates` a method and a path are.

use axum::http::Method;
use ids::{CertificateName, IdError};
use wire::http::is;

use super::Known;

type Name = Result<CertificateName, IdError>;

/// What operators ask about CA certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Read(Name),
    Put(Name),
    Delete(Name),
    NewCode(Name),
    Verify(Name),
}

/// Finds the call. Azure's resource manager calls the third verb `generateVerificationCode`.
pub(crate) fn of<'a>(method: &Method, rest: &[&str]) -> Known<'a> {
    let is_new_code = |verb| is(verb, "verificationCode") || is(verb, "generateVerificationCode");
    let call = match (method, rest) {
        (&Method::GET, []) => Call::List,
        (&Method::GET, [name]) => Call::Read(CertificateName::parse(name)),
        (&Method::PUT, [name]) => Call::Put(CertificateName::parse(name)),
        (&Method::DELETE, [name]) => Call::Delete(CertificateName::parse(name)),
        (&Method::POST, [name, verb]) if is_new_code(verb) => {
            Call::NewCode(CertificateName::parse(name))
        }
        (&Method::POST, [name, verb]) if is(verb, "verify") => {
            Call::Verify(CertificateName::parse(name))
        }
        (_, [] | [_]) => return Known::OtherMethod,
        (_, [_, verb]) if is_new_code(verb) || is(verb, "verify") => return Known::OtherMethod,
        _ => return Known::No,
    };
    Known::of(super::OperatorCall::CaCertificates(call))
}
