//! Where an event goes.

use ids::EndpointName;
use serde::{Deserialize, Serialize};

/// The endpoints that an event is for, decided when it is appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destinations {
    /// The built-in endpoint alone, without enrichments: as without routes.
    #[default]
    BuiltIn,
    /// Each endpoint once. None: the event is dropped.
    Listed(Vec<Destination>),
}

/// An endpoint, and the properties that events get on their way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub endpoint: EndpointName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrichments: Vec<(String, String)>,
}

impl Destinations {
    /// The properties that are added for an endpoint; `None` when the event is not for it.
    #[must_use]
    pub fn enrichments(&self, endpoint: &EndpointName) -> Option<&[(String, String)]> {
        match self {
            Self::BuiltIn => endpoint.is_built_in().then_some(&[]),
            Self::Listed(listed) => listed
                .iter()
                .find(|destination| destination.endpoint == *endpoint)
                .map(|destination| destination.enrichments.as_slice()),
        }
    }

    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Listed(listed) if listed.is_empty())
    }
}
