//! Properties that are added to events.

use ids::EndpointName;
use serde_json::Value as Json;

use super::condition::{Facts, find};
use crate::query::Segment;

/// An enrichment that was read.
#[derive(Debug, Clone)]
pub(super) struct CompiledEnrichment {
    pub(super) key: String,
    pub(super) value: EnrichmentValue,
    pub(super) endpoints: Vec<EndpointName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EnrichmentValue {
    Text(String),
    /// `$iothubname`
    HubName,
    /// `$twin.…`; the text stands where the path leads nowhere.
    TwinPath {
        path: Vec<Segment>,
        text: String,
    },
}

impl EnrichmentValue {
    pub(super) fn parse(text: &str) -> Self {
        if text.eq_ignore_ascii_case("$iothubname") {
            return Self::HubName;
        }
        let mut names = text.split('.');
        let is_twin = names
            .next()
            .is_some_and(|root| root.eq_ignore_ascii_case("$twin"));
        let path: Vec<Segment> = names.map(|name| Segment::Name(name.to_owned())).collect();
        match is_twin && !path.is_empty() {
            true => Self::TwinPath {
                path,
                text: text.to_owned(),
            },
            false => Self::Text(text.to_owned()),
        }
    }

    pub(super) fn of(&self, facts: &Facts<'_>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::HubName => facts.event().hub.to_string(),
            Self::TwinPath { path, text } => match find(path, facts.twin()) {
                None => text.clone(),
                Some(Json::String(found)) => found.clone(),
                Some(other) => other.to_string(),
            },
        }
    }
}
