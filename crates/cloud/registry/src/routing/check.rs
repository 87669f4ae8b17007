//! What a routing document may say.

use std::collections::HashSet;

use ids::EndpointName;
use wire::device_api::message::is_stamped;
use wire::muster_api::routing::{
    Enrichment, FallbackRoute, MAX_ENDPOINTS, MAX_ENRICHMENTS, MAX_ROUTES, NatsEndpoint, Route,
    Routing,
};
use wire::telemetry::EventSource;

use super::condition::RouteCondition;
use super::enrichment::{CompiledEnrichment, EnrichmentValue};
use super::table::{CompiledRoute, RoutingTable};
use crate::query::ParseError;

/// Names that Azure keeps for itself.
const RESERVED: [&str; 4] = [
    EndpointName::BUILT_IN,
    "operationsMonitoringEvents",
    "fileNotifications",
    "default",
];
/// Longest key of an enrichment, and longest value, in bytes.
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 4096;
/// Longest name of a user of NATS, in bytes.
const MAX_USER: usize = 256;
/// Longest condition that is kept, in bytes.
const MAX_CONDITION: usize = 16 * 1024;

/// Why a routing document is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    #[error("{what}: {count} are given; {max} are allowed")]
    TooMany {
        what: &'static str,
        count: usize,
        max: usize,
    },
    #[error("{place} has a name that is there already, or that only the hub may give")]
    Name { place: String },
    #[error("{place} names the endpoint {name}, which does not exist")]
    NoEndpoint { place: String, name: EndpointName },
    #[error("{place}: {problem}")]
    Invalid { place: String, problem: String },
    #[error("the condition of {place} cannot be read")]
    Condition {
        place: String,
        #[source]
        source: ParseError,
    },
}

fn invalid(place: &str, problem: impl Into<String>) -> RoutingError {
    RoutingError::Invalid {
        place: place.to_owned(),
        problem: problem.into(),
    }
}

impl RoutingTable {
    /// Checks a document and compiles its conditions.
    pub fn check(document: Routing) -> Result<Self, RoutingError> {
        let endpoints = endpoint_names(&document)?;
        let routes = routes(&document.routes, &endpoints)?;
        let fallback = fallback(&document.fallback_route, &endpoints)?;
        let enrichments = enrichments(&document.enrichments, &endpoints)?;
        Ok(Self {
            document,
            routes,
            fallback,
            enrichments,
        })
    }

    /// As a hub is without a document.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            document: Routing::default(),
            routes: Vec::new(),
            fallback: Some(EndpointName::built_in()),
            enrichments: Vec::new(),
        }
    }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), RoutingError> {
    match count > max {
        true => Err(RoutingError::TooMany { what, count, max }),
        false => Ok(()),
    }
}

/// Adds a name to those that are there, in lower case.
fn note(seen: &mut HashSet<String>, name: &str, place: String) -> Result<(), RoutingError> {
    match seen.insert(name.to_ascii_lowercase()) {
        true => Ok(()),
        false => Err(RoutingError::Name { place }),
    }
}

/// The built-in endpoint and those of the document.
fn endpoint_names(document: &Routing) -> Result<Vec<EndpointName>, RoutingError> {
    let endpoints = &document.endpoints;
    at_most("endpoints", endpoints.names().count(), MAX_ENDPOINTS)?;
    let mut seen: HashSet<String> = RESERVED.map(str::to_ascii_lowercase).into();
    let mut names = vec![EndpointName::built_in()];
    for (name, place) in endpoints.names() {
        note(&mut seen, name.as_str(), format!("endpoints.{place}"))?;
        names.push(name.clone());
    }
    for (index, stream) in endpoints.nats_streams.iter().enumerate() {
        require_login(stream, &format!("endpoints.natsStreams[{index}]"))?;
    }
    Ok(names)
}

fn require_login(stream: &NatsEndpoint, place: &str) -> Result<(), RoutingError> {
    let Some(user) = &stream.user else {
        return Ok(());
    };
    if user.is_empty() || user.len() > MAX_USER || user.chars().any(char::is_control) {
        let problem = "its user must have 1 to 256 bytes, none of them a control character";
        return Err(invalid(place, problem));
    }
    match stream.password {
        Some(_) => Ok(()),
        None => Err(invalid(place, "its user has no password")),
    }
}

/// The one endpoint of a route, as it is spelled where it is defined.
fn endpoint(
    named: &[EndpointName],
    known: &[EndpointName],
    place: &str,
) -> Result<EndpointName, RoutingError> {
    let [name] = named else {
        return Err(invalid(place, "endpointNames must have exactly one name"));
    };
    existing(name, known, place)
}

fn existing(
    name: &EndpointName,
    known: &[EndpointName],
    place: &str,
) -> Result<EndpointName, RoutingError> {
    let is = |known: &&EndpointName| known.as_str().eq_ignore_ascii_case(name.as_str());
    let found = known.iter().find(is).cloned();
    found.ok_or_else(|| RoutingError::NoEndpoint {
        place: place.to_owned(),
        name: name.clone(),
    })
}

fn condition(text: &str, place: &str) -> Result<RouteCondition, RoutingError> {
    if text.len() > MAX_CONDITION {
        let problem = format!("the condition is longer than {MAX_CONDITION} bytes");
        return Err(invalid(place, problem));
    }
    RouteCondition::parse(text).map_err(|source| RoutingError::Condition {
        place: place.to_owned(),
        source,
    })
}

fn routes(
    routes: &[Route],
    endpoints: &[EndpointName],
) -> Result<Vec<CompiledRoute>, RoutingError> {
    at_most("routes", routes.len(), MAX_ROUTES)?;
    let (mut seen, mut compiled) = (HashSet::new(), Vec::new());
    for route in routes {
        let place = format!("route {}", route.name);
        note(&mut seen, route.name.as_str(), place.clone())?;
        let read = CompiledRoute {
            source: route.source,
            condition: condition(&route.condition, &place)?,
            endpoint: endpoint(&route.endpoint_names, endpoints, &place)?,
        };
        if route.is_enabled {
            compiled.push(read);
        }
    }
    Ok(compiled)
}

fn fallback(
    route: &FallbackRoute,
    endpoints: &[EndpointName],
) -> Result<Option<EndpointName>, RoutingError> {
    let place = "fallbackRoute";
    if route.source != EventSource::DeviceMessages {
        return Err(invalid(place, "its source must be DeviceMessages"));
    }
    if !matches!(
        route.condition.trim().to_ascii_lowercase().as_str(),
        "" | "true"
    ) {
        return Err(invalid(place, "its condition must be true"));
    }
    let endpoint = endpoint(&route.endpoint_names, endpoints, place)?;
    Ok(route.is_enabled.then_some(endpoint))
}

fn enrichments(
    enrichments: &[Enrichment],
    endpoints: &[EndpointName],
) -> Result<Vec<CompiledEnrichment>, RoutingError> {
    at_most("enrichments", enrichments.len(), MAX_ENRICHMENTS)?;
    let (mut seen, mut compiled) = (HashSet::new(), Vec::new());
    for (index, enrichment) in enrichments.iter().enumerate() {
        let place = format!("enrichments[{index}]");
        let key = &enrichment.key;
        let is_system = key.starts_with('$') || is_stamped(key);
        if key.is_empty() || key.len() > MAX_KEY || is_system {
            let problem = "its key must be the name of an application property, of at most 256 \
                           bytes";
            return Err(invalid(&place, problem));
        }
        if enrichment.value.is_empty() || enrichment.value.len() > MAX_VALUE {
            return Err(invalid(&place, "its value must have 1 to 4096 bytes"));
        }
        note(&mut seen, key, place.clone())?;
        if enrichment.endpoint_names.is_empty() {
            return Err(invalid(&place, "endpointNames is empty"));
        }
        let named = enrichment.endpoint_names.iter();
        let named = named.map(|name| existing(name, endpoints, &place));
        compiled.push(CompiledEnrichment {
            key: key.clone(),
            value: EnrichmentValue::parse(&enrichment.value),
            endpoints: named.collect::<Result<_, _>>()?,
        });
    }
    Ok(compiled)
}
