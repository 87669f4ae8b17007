//! Which call on an issuer or a trust bundle a method and a path are: Azure's paths and our own.

use axum::http::Method;
use ids::{IdError, IssuerName, TrustBundleId};
use provisioning::ResourceName;
use wire::http::is;

use super::{Known, QUERY};

/// Of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Issuer,
    TrustBundle,
}

/// What operators ask about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Azure's list: a bare array.
    Query(Kind),
    /// Our own: an object with the array in it.
    ListIssuers,
    Read(Result<ResourceName, IdError>),
    Put(Result<ResourceName, IdError>),
    Delete(Result<ResourceName, IdError>),
}

impl Kind {
    /// What the first segment of Azure's path names.
    pub(crate) fn of(root: &str) -> Option<Self> {
        if is(root, "certificateAuthorities") {
            Some(Self::Issuer)
        } else if is(root, "trustBundles") {
            Some(Self::TrustBundle)
        } else {
            None
        }
    }

    fn name(self, text: &str) -> Result<ResourceName, IdError> {
        match self {
            Self::Issuer => IssuerName::parse(text).map(ResourceName::Issuer),
            Self::TrustBundle => TrustBundleId::parse(text).map(ResourceName::TrustBundle),
        }
    }
}

/// Below `/certificateAuthorities` and `/trustBundles`.
pub(crate) fn of<'a>(method: &Method, kind: Kind, rest: &[&str]) -> Known<'a> {
    let call = match (method, rest) {
        (&Method::GET, []) => Call::Query(kind),
        (&Method::POST, [query]) if is(query, QUERY) => Call::Query(kind),
        (_, [name]) => return named(method, kind, name),
        (_, []) => return Known::OtherMethod,
        _ => return Known::No,
    };
    Known::of(super::OperatorCall::Resources(call))
}

/// Below `/muster/v1/dps/issuers`.
pub(crate) fn own<'a>(method: &Method, rest: &[&str]) -> Known<'a> {
    match (method, rest) {
        (&Method::GET, []) => Known::of(super::OperatorCall::Resources(Call::ListIssuers)),
        (_, [name]) => named(method, Kind::Issuer, name),
        (_, []) => Known::OtherMethod,
        _ => Known::No,
    }
}

fn named<'a>(method: &Method, kind: Kind, name: &str) -> Known<'a> {
    let call = match *method {
        Method::GET => Call::Read(kind.name(name)),
        Method::PUT => Call::Put(kind.name(name)),
        Method::DELETE => Call::Delete(kind.name(name)),
        _ => return Known::OtherMethod,
    };
    Known::of(super::OperatorCall::Resources(call))
}
