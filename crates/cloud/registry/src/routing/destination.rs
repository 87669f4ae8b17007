//! Where an event goes.

use ids::EndpointName;
use serde::{Deserialize, Serialize};

/// The endpoints that an event is for, decided when it is appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destinations {
    /// The built-in endpoint alone, without enrichments: as without routes.
    #[default]
    BuiltIn,
    Listed(ListedDestinations),
}

/// Endpoints, and the properties that events get on their way to them. A property for several
/// endpoints is there once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedDestinations {
    /// Each endpoint once. None: the event is dropped.
    pub(crate) endpoints: Vec<Destination>,
    pub(crate) enrichments: Vec<(String, String)>,
}

/// An endpoint, and which of the event's enrichments are for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Destination {
    pub(crate) endpoint: EndpointName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) enrichments: Vec<usize>,
}

impl ListedDestinations {
    /// None when an endpoint has an enrichment that is not there.
    pub(crate) fn new(
        endpoints: Vec<Destination>,
        enrichments: Vec<(String, String)>,
    ) -> Option<Self> {
        let is_there = |index: &usize| *index < enrichments.len();
        let mut endpoint = endpoints.iter();
        let is_whole = endpoint.all(|to| to.enrichments.iter().all(is_there));
        is_whole.then_some(Self {
            endpoints,
            enrichments,
        })
    }

    /// Each endpoint, with its enrichments.
    pub fn iter(&self) -> impl Iterator<Item = (&EndpointName, Vec<(String, String)>)> {
        self.endpoints
            .iter()
            .map(|to| (&to.endpoint, self.enrichments_of(to)))
    }

    fn enrichments_of(&self, to: &Destination) -> Vec<(String, String)> {
        let indices = to.enrichments.iter();
        let found = indices.filter_map(|index| self.enrichments.get(*index));
        found.cloned().collect()
    }

    /// The endpoints that `keep`, which sees the enrichments too, and the enrichments for those.
    #[must_use]
    pub(crate) fn retain(
        self,
        mut keep: impl FnMut(&Destination, &[(String, String)]) -> bool,
    ) -> Self {
        let Self {
            mut endpoints,
            enrichments,
        } = self;
        endpoints.retain(|to| keep(to, &enrichments));
        let is_used = |index: usize| endpoints.iter().any(|to| to.enrichments.contains(&index));
        let used: Vec<bool> = (0..enrichments.len()).map(is_used).collect();
        let before = |index: usize| used.iter().take(index).filter(|used| **used).count();
        for index in endpoints.iter_mut().flat_map(|to| &mut to.enrichments) {
            *index = before(*index);
        }
        let kept = enrichments.into_iter().zip(&used);
        let kept = kept.filter_map(|(pair, used)| used.then_some(pair));
        Self {
            enrichments: kept.collect(),
            endpoints,
        }
    }
}

impl Destinations {
    /// The properties that are added for an endpoint; `None` when the event is not for it.
    #[must_use]
    pub fn enrichments(&self, endpoint: &EndpointName) -> Option<Vec<(String, String)>> {
        match self {
            Self::BuiltIn => endpoint.is_built_in().then(Vec::new),
            Self::Listed(listed) => {
                let mut endpoints = listed.endpoints.iter();
                let to = endpoints.find(|to| to.endpoint == *endpoint)?;
                Some(listed.enrichments_of(to))
            }
        }
    }

    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Listed(listed) if listed.endpoints.is_empty())
    }
}
