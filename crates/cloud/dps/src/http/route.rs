//! Which call a method and a path are. Pure; literal segments in any letter case.

use axum::http::Method;
use ids::{DeviceId, EnrollmentId, HubName, IdError, RegistrationId};
use provisioning::{EnrollmentKey, EnrollmentKind};
use wire::http::is;

use crate::error::ServiceFault;

pub(crate) mod ca_certificates;
pub(crate) mod resources;
pub(crate) mod serving;

/// Everything that can be asked of the provisioning service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    Device(DeviceCall<'a>),
    Operator(OperatorCall<'a>),
}

/// What devices ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceCall<'a> {
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

/// What operators ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperatorCall<'a> {
    Read(Result<EnrollmentKey, IdError>),
    Put(Result<EnrollmentKey, IdError>),
    Delete(Result<EnrollmentKey, IdError>),
    Mechanism(Result<EnrollmentKey, IdError>),
    Query(EnrollmentKind),
    Bulk(EnrollmentKind),
    ReadRegistration(Result<RegistrationId, IdError>),
    DeleteRegistration(Result<RegistrationId, IdError>),
    QueryRegistrations(Result<EnrollmentId, IdError>),
    Serving(serving::Call<'a>),
    CaCertificates(ca_certificates::Call),
    Resources(resources::Call),
    Audit,
    Refusals,
    Explain,
    Block(Result<Blocked, IdError>),
    Unblock(Result<Blocked, IdError>),
}

impl<'a> From<DeviceCall<'a>> for Call<'a> {
    fn from(call: DeviceCall<'a>) -> Self {
        Self::Device(call)
    }
}

impl<'a> From<OperatorCall<'a>> for Call<'a> {
    fn from(call: OperatorCall<'a>) -> Self {
        Self::Operator(call)
    }
}

/// Whom an operator shuts out, or lets in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// By registration id.
    Registration(RegistrationId),
    /// By what a hub knows it as.
    Device { hub: HubName, device: DeviceId },
}

impl Blocked {
    fn device(hub: &str, device: &str) -> Result<Self, IdError> {
        Ok(Self::Device {
            hub: HubName::parse(hub)?,
            device: DeviceId::parse(device)?,
        })
    }
}

const REGISTRATIONS: &str = "registrations";
const QUERY: &str = "query";
const MECHANISM: &str = "attestationmechanism";
/// First segments of the hubs' paths, whose second segment may be any device id, also `registrations`.
const HUB_ROOTS: &[&str] = &["devices", "twins", "configurations", "jobs", "statistics"];

/// What follows `/muster/v1` in this service's part of the path space.
const OWN_AREAS: &[&str] = &["hubs", "services", "dps", "audit"];

/// Finds the call.
pub(crate) fn of<'a>(method: &Method, path: &[&'a str]) -> Result<Call<'a>, ServiceFault> {
    if !is_ours(path) {
        return Err(ServiceFault::NoSuchPath);
    }
    let known = match path {
        [_, _, rest @ ..] if is_own(path) => own(method, rest),
        [root, rest @ ..] => match kind_of(root) {
            Some(kind) => enrollments(method, kind, rest),
            None if let Some(kind) = resources::Kind::of(root) => resources::of(method, kind, rest),
            None if is(root, REGISTRATIONS) => registrations(method, rest),
            None => device(method, root, &rest[1..]),
        },
        [] => Known::No,
    };
    match known {
        Known::Call(call) => Ok(call),
        Known::OtherMethod => Err(ServiceFault::Method(method.to_string())),
        Known::No => Err(ServiceFault::NoSuchPath),
    }
}

/// Whether a path is in this service's part of the path space.
pub(crate) fn is_ours(path: &[&str]) -> bool {
    match path {
        [_, _, area, ..] if is_own(path) => OWN_AREAS.iter().any(|ours| is(area, ours)),
        [root, ..] if kind_of(root).is_some() || is(root, REGISTRATIONS) => true,
        [root, ..] if resources::Kind::of(root).is_some() => true,
        [root, second, _, ..] => {
            is(second, REGISTRATIONS) && !HUB_ROOTS.iter().any(|hub| is(root, hub))
        }
        _ => false,
    }
}

/// Muster's own API. Hubs have a part of it too.
fn is_own(path: &[&str]) -> bool {
    matches!(path, [root, version, ..] if is(root, "muster") && is(version, "v1"))
}

fn own<'a>(method: &Method, path: &[&'a str]) -> Known<'a> {
    match path {
        [audit] if is(audit, "audit") => match *method {
            Method::GET => Known::of(OperatorCall::Audit),
            _ => Known::OtherMethod,
        },
        [_dps, certificates, rest @ ..] if is(certificates, "certificates") => {
            ca_certificates::of(method, rest)
        }
        [_dps, issuers, rest @ ..] if is(issuers, "issuers") => resources::own(method, rest),
        [_dps, area] if is(area, "refusals") || is(area, "explain") => verdicts(method, area),
        [_dps, area, id] if is(area, "blocks") => {
            blocks(method, RegistrationId::parse(id).map(Blocked::Registration))
        }
        [_dps, area, hub, devices, device] if is(area, "blocks") && is(devices, "devices") => {
            blocks(method, Blocked::device(hub, device))
        }
        _ => serving::of(method, path),
    }
}

fn blocks<'a>(method: &Method, whom: Result<Blocked, IdError>) -> Known<'a> {
    match *method {
        Method::PUT => Known::of(OperatorCall::Block(whom)),
        Method::DELETE => Known::of(OperatorCall::Unblock(whom)),
        _ => Known::OtherMethod,
    }
}

fn verdicts<'a>(method: &Method, segment: &str) -> Known<'a> {
    match *method {
        Method::GET if is(segment, "refusals") => Known::of(OperatorCall::Refusals),
        Method::POST if is(segment, "explain") => Known::of(OperatorCall::Explain),
        _ => Known::OtherMethod,
    }
}

/// What is known about a path.
pub(crate) enum Known<'a> {
    Call(Call<'a>),
    OtherMethod,
    No,
}

impl<'a> Known<'a> {
    fn of(call: impl Into<Call<'a>>) -> Self {
        Self::Call(call.into())
    }
}

fn kind_of(root: &str) -> Option<EnrollmentKind> {
    if is(root, "enrollments") {
        Some(EnrollmentKind::Individual)
    } else if is(root, "enrollmentgroups") {
        Some(EnrollmentKind::Group)
    } else {
        None
    }
}

fn key(kind: EnrollmentKind, id: &str) -> Result<EnrollmentKey, IdError> {
    match kind {
        EnrollmentKind::Individual => RegistrationId::parse(id).map(EnrollmentKey::Individual),
        EnrollmentKind::Group => EnrollmentId::parse(id).map(EnrollmentKey::Group),
    }
}

fn enrollments<'a>(method: &Method, kind: EnrollmentKind, rest: &[&str]) -> Known<'a> {
    Known::of(match (method, rest) {
        (&Method::POST, []) => OperatorCall::Bulk(kind),
        (&Method::POST, [query]) if is(query, QUERY) => OperatorCall::Query(kind),
        (&Method::GET, [id]) => OperatorCall::Read(key(kind, id)),
        (&Method::PUT, [id]) => OperatorCall::Put(key(kind, id)),
        (&Method::DELETE, [id]) => OperatorCall::Delete(key(kind, id)),
        (&Method::POST, [id, mechanism]) if is(mechanism, MECHANISM) => {
            OperatorCall::Mechanism(key(kind, id))
        }
        (_, [] | [_]) => return Known::OtherMethod,
        (_, [_, mechanism]) if is(mechanism, MECHANISM) => return Known::OtherMethod,
        _ => return Known::No,
    })
}

fn registrations<'a>(method: &Method, rest: &[&str]) -> Known<'a> {
    Known::of(match (method, rest) {
        (&Method::GET, [id]) => OperatorCall::ReadRegistration(RegistrationId::parse(id)),
        (&Method::DELETE, [id]) => OperatorCall::DeleteRegistration(RegistrationId::parse(id)),
        (&Method::POST, [group, query]) if is(query, QUERY) => {
            OperatorCall::QueryRegistrations(EnrollmentId::parse(group))
        }
        (_, [_]) => return Known::OtherMethod,
        (_, [_, query]) if is(query, QUERY) => return Known::OtherMethod,
        _ => return Known::No,
    })
}

fn device<'a>(method: &Method, id_scope: &'a str, rest: &[&'a str]) -> Known<'a> {
    Known::of(match (method, rest) {
        (&Method::PUT, [id, register]) if is(register, "register") => {
            DeviceCall::Register { id_scope, id }
        }
        (&Method::GET, [id, operations, operation]) if is(operations, "operations") => {
            DeviceCall::Poll {
                id_scope,
                id,
                operation,
            }
        }
        (&Method::POST, [id]) => DeviceCall::LookUp { id_scope, id },
        (_, [_]) => return Known::OtherMethod,
        (_, [_, register]) if is(register, "register") => return Known::OtherMethod,
        (_, [_, operations, _]) if is(operations, "operations") => return Known::OtherMethod,
        _ => return Known::No,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: &str) -> Result<EnrollmentKey, IdError> {
        key(EnrollmentKind::Group, id)
    }

    #[test]
    fn what_real_clients_send() {
        let (id_scope, id, operation) = ("0ne1", "Dev-1", "5.a.b");
        for (method, path, call) in [
            (
                Method::PUT,
                &["0ne1", "registrations", "Dev-1", "register"][..],
                DeviceCall::Register { id_scope, id }.into(),
            ),
            (
                Method::GET,
                &["0ne1", "registrations", "Dev-1", "operations", "5.a.b"],
                DeviceCall::Poll {
                    id_scope,
                    id,
                    operation,
                }
                .into(),
            ),
            (
                Method::POST,
                &["0ne1", "Registrations", "Dev-1"],
                DeviceCall::LookUp { id_scope, id }.into(),
            ),
            (
                Method::POST,
                &["enrollmentgroups", "g", "attestationmechanism"],
                OperatorCall::Mechanism(group("g")).into(),
            ),
            (
                Method::PUT,
                &["enrollmentGroups", "g"],
                OperatorCall::Put(group("g")).into(),
            ),
            (
                Method::POST,
                &["enrollments", "query"],
                OperatorCall::Query(EnrollmentKind::Individual).into(),
            ),
            (
                Method::GET,
                &["enrollments", "query"],
                OperatorCall::Read(key(EnrollmentKind::Individual, "query")).into(),
            ),
            (
                Method::POST,
                &["enrollments"],
                OperatorCall::Bulk(EnrollmentKind::Individual).into(),
            ),
            (
                Method::DELETE,
                &["registrations", "r"],
                OperatorCall::DeleteRegistration(RegistrationId::parse("r")).into(),
            ),
            (
                Method::POST,
                &["registrations", "g", "query"],
                OperatorCall::QueryRegistrations(EnrollmentId::parse("g")).into(),
            ),
        ] {
            assert_eq!(of(&method, path).unwrap(), call);
        }
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        for (method, path, code) in [
            (
                Method::POST,
                &["0ne1", "registrations", "d", "register"][..],
                405_000,
            ),
            (Method::PATCH, &["enrollments", "e"], 405_000),
            (Method::GET, &["enrollments"], 405_000),
            (
                Method::GET,
                &["0ne1", "registrations", "d", "other"],
                404_000,
            ),
            (Method::GET, &["nothing"], 404_000),
            (Method::GET, &[], 404_000),
        ] {
            assert_eq!(
                of(&method, path).unwrap_err().code().code(),
                code,
                "{path:?}"
            );
        }
    }

    #[test]
    fn musters_own_paths_are_told_from_the_hubs() {
        assert!(is_ours(&["muster", "v1", "hubs"]));
        assert!(is_ours(&["Muster", "V1", "DPS", "linkedHubs", "h"]));
        use ca_certificates::Call as CaCertificates;
        let root = || ids::CertificateName::parse("root");
        for (method, rest, call) in [
            (Method::GET, &[][..], CaCertificates::List),
            (Method::PUT, &["root"], CaCertificates::Put(root())),
            (
                Method::POST,
                &["Root", "generateVerificationCode"],
                CaCertificates::NewCode(root()),
            ),
            (
                Method::POST,
                &["root", "Verify"],
                CaCertificates::Verify(root()),
            ),
        ] {
            let path = [&["Muster", "v1", "DPS", "certificates"], rest].concat();
            assert_eq!(
                of(&method, &path).unwrap(),
                OperatorCall::CaCertificates(call).into()
            );
        }
        let patch = of(&Method::PATCH, &["muster", "v1", "dps", "certificates"]);
        assert_eq!(patch.unwrap_err().code().code(), 405_000);
        assert!(!is_ours(&["muster", "v1", "events"]));
        assert!(!is_ours(&["muster", "v1"]));
    }

    #[test]
    fn a_device_named_registrations_belongs_to_its_hub() {
        assert!(!is_ours(&["devices", "registrations", "modules"]));
        assert!(!is_ours(&["Twins", "registrations", "methods"]));
        assert!(is_ours(&["0ne1", "registrations", "d"]));
        assert!(!is_ours(&["0ne1", "registrations"]));
    }
}
