//! Which call of Muster's own API a method and the path below `/muster/v1` are.

use axum::http::Method;
use ids::{HubName, IdError, ServiceName};
use wire::http::is;

use super::Known;

/// What operators ask about hubs, links, policies and services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    ListHubs,
    ReadHub(Result<HubName, IdError>),
    PutHub(Result<HubName, IdError>),
    DeleteHub(Result<HubName, IdError>),
    ListServices,
    ReadService(Result<ServiceName, IdError>),
    PutService(Result<ServiceName, IdError>),
    ListLinks,
    ReadLink(Result<HubName, IdError>),
    PutLink(Result<HubName, IdError>),
    DeleteLink(Result<HubName, IdError>),
    ReadSettings,
    PatchSettings,
    ListPolicies,
    ReadPolicy(&'a str),
    PutPolicy(&'a str),
    DeletePolicy(&'a str),
    RegenerateKey(&'a str),
    ListAllocations,
    ReadAllocation(&'a str),
    ReplayAllocation(&'a str),
    WebhookKey,
}

/// Finds the call.
pub(crate) fn of<'a>(method: &Method, path: &[&'a str]) -> Known<'a> {
    let all = [
        Method::GET,
        Method::PUT,
        Method::PATCH,
        Method::POST,
        Method::DELETE,
    ];
    match call(method, path) {
        Some(call) => Known::of(super::OperatorCall::Serving(call)),
        None if all.iter().any(|other| call(other, path).is_some()) => Known::OtherMethod,
        None => Known::No,
    }
}

fn call<'a>(method: &Method, path: &[&'a str]) -> Option<Call<'a>> {
    match path {
        [hubs, rest @ ..] if is(hubs, "hubs") => hub(method, rest),
        [services, rest @ ..] if is(services, "services") => service(method, rest),
        [_dps, links, rest @ ..] if is(links, "linkedHubs") => link(method, rest),
        [_dps, settings] if is(settings, "settings") => match *method {
            Method::GET => Some(Call::ReadSettings),
            Method::PATCH => Some(Call::PatchSettings),
            _ => None,
        },
        [_dps, policies, rest @ ..] if is(policies, "policies") => policy(method, rest),
        [_dps, allocations, rest @ ..] if is(allocations, "allocations") => {
            allocation(method, rest)
        }
        [_dps, key] if is(key, "webhookKey") => match *method {
            Method::GET => Some(Call::WebhookKey),
            _ => None,
        },
        _ => None,
    }
}

fn hub<'a>(method: &Method, rest: &[&str]) -> Option<Call<'a>> {
    Some(match (method, rest) {
        (&Method::GET, []) => Call::ListHubs,
        (&Method::GET, [name]) => Call::ReadHub(HubName::parse(name)),
        (&Method::PUT, [name]) => Call::PutHub(HubName::parse(name)),
        (&Method::DELETE, [name]) => Call::DeleteHub(HubName::parse(name)),
        _ => return None,
    })
}

fn service<'a>(method: &Method, rest: &[&str]) -> Option<Call<'a>> {
    Some(match (method, rest) {
        (&Method::GET, []) => Call::ListServices,
        (&Method::GET, [name]) => Call::ReadService(ServiceName::parse(name)),
        (&Method::PUT, [name]) => Call::PutService(ServiceName::parse(name)),
        _ => return None,
    })
}

fn link<'a>(method: &Method, rest: &[&str]) -> Option<Call<'a>> {
    Some(match (method, rest) {
        (&Method::GET, []) => Call::ListLinks,
        (&Method::GET, [name]) => Call::ReadLink(HubName::parse(name)),
        (&Method::PUT, [name]) => Call::PutLink(HubName::parse(name)),
        (&Method::DELETE, [name]) => Call::DeleteLink(HubName::parse(name)),
        _ => return None,
    })
}

fn policy<'a>(method: &Method, rest: &[&'a str]) -> Option<Call<'a>> {
    Some(match (method, rest) {
        (&Method::GET, []) => Call::ListPolicies,
        (&Method::GET, [name]) => Call::ReadPolicy(name),
        (&Method::PUT, [name]) => Call::PutPolicy(name),
        (&Method::DELETE, [name]) => Call::DeletePolicy(name),
        (&Method::POST, [name, verb]) if is(verb, "regenerateKey") => Call::RegenerateKey(name),
        _ => return None,
    })
}

fn allocation<'a>(method: &Method, rest: &[&'a str]) -> Option<Call<'a>> {
    Some(match (method, rest) {
        (&Method::GET, []) => Call::ListAllocations,
        (&Method::GET, [id]) => Call::ReadAllocation(id),
        (&Method::POST, [id, verb]) if is(verb, "replay") => Call::ReplayAllocation(id),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(method: Method, path: &[&str]) -> Option<u32> {
        let whole: Vec<&str> = ["muster", "v1"]
            .into_iter()
            .chain(path.iter().copied())
            .collect();
        let found = super::super::of(&method, &whole);
        found.err().map(|fault| fault.code().code())
    }

    #[test]
    fn calls_other_methods_and_unknown_paths_are_told_apart() {
        for (method, path, expected) in [
            (Method::GET, &["hubs"][..], None),
            (Method::PUT, &["HUBS", "h"], None),
            (Method::POST, &["hubs"], Some(405_000)),
            (Method::PATCH, &["services", "s"], Some(405_000)),
            (Method::DELETE, &["dps", "linkedhubs", "h"], None),
            (Method::POST, &["dps", "settings"], Some(405_000)),
            (
                Method::POST,
                &["dps", "policies", "p", "RegenerateKey"],
                None,
            ),
            (
                Method::GET,
                &["dps", "policies", "p", "regenerateKey"],
                Some(405_000),
            ),
            (
                Method::GET,
                &["dps", "policies", "p", "other"],
                Some(404_000),
            ),
            (Method::GET, &["hubs", "h", "x"], Some(404_000)),
            (Method::GET, &["dps", "nothing"], Some(404_000)),
            (Method::GET, &["dps", "allocations"], None),
            (Method::POST, &["dps", "allocations", "7", "replay"], None),
            (Method::DELETE, &["dps", "allocations", "7"], Some(405_000)),
            (Method::GET, &["dps", "webhookkey"], None),
        ] {
            assert_eq!(code(method.clone(), path), expected, "{method} {path:?}");
        }
    }
}
