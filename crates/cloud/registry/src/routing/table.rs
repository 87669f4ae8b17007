//! The routes of a hub, read and ready.

use ids::EndpointName;
use wire::muster_api::routing::Routing;
use wire::telemetry::{EventSource, MAX_MESSAGE};

use super::condition::{Facts, RouteCondition, TwinDocument};
use super::destination::{Destination, Destinations, ListedDestinations};
use super::enrichment::CompiledEnrichment;
use crate::event::Event;

#[derive(Debug, Clone)]
pub(super) struct CompiledRoute {
    pub(super) source: EventSource,
    pub(super) condition: RouteCondition,
    pub(super) endpoint: EndpointName,
}

/// The routing of a hub that was checked. Made by [`RoutingTable::check`] alone.
#[derive(Debug, Clone)]
pub struct RoutingTable {
    pub(super) document: Routing,
    /// Those that are enabled.
    pub(super) routes: Vec<CompiledRoute>,
    pub(super) fallback: Option<EndpointName>,
    pub(super) enrichments: Vec<CompiledEnrichment>,
}

impl RoutingTable {
    /// What was checked.
    #[must_use]
    pub fn document(&self) -> &Routing {
        &self.document
    }

    /// Whether events are as without routes.
    fn is_plain(&self) -> bool {
        let built_in = self
            .fallback
            .as_ref()
            .is_some_and(EndpointName::is_built_in);
        self.routes.is_empty() && self.enrichments.is_empty() && built_in
    }

    /// Whether an enabled route wants events of this source.
    #[must_use]
    pub fn wants(&self, source: EventSource) -> bool {
        self.routes.iter().any(|route| route.source == source)
    }

    /// Where an event goes. `read_twin` reads the twin of its sender, at most once.
    pub fn destinations(
        &self,
        event: &Event,
        read_twin: &dyn Fn() -> Option<TwinDocument>,
    ) -> Destinations {
        if self.is_plain() {
            return match event.source {
                EventSource::DeviceMessages => Destinations::BuiltIn,
                _ => Destinations::Listed(ListedDestinations::default()),
            };
        }
        let facts = Facts::new(event, read_twin);
        let listed = self.enriched(self.endpoints(&facts), &facts);
        let listed = listed.retain(|to, enrichments| fits(event, to, enrichments));
        match listed.endpoints.as_slice() {
            [only] if only.endpoint.is_built_in() && only.enrichments.is_empty() => {
                Destinations::BuiltIn
            }
            _ => Destinations::Listed(listed),
        }
    }

    /// Each endpoint of a route that matches, once; of telemetry that none matches, the fallback.
    fn endpoints(&self, facts: &Facts<'_>) -> Vec<&EndpointName> {
        let source = facts.event().source;
        let mut endpoints: Vec<&EndpointName> = Vec::new();
        for route in self.routes.iter().filter(|route| route.source == source) {
            let is_new = !endpoints.contains(&&route.endpoint);
            if is_new && route.condition.decide(facts) == Some(true) {
                endpoints.push(&route.endpoint);
            }
        }
        if endpoints.is_empty() && source == EventSource::DeviceMessages {
            endpoints.extend(&self.fallback);
        }
        endpoints
    }

    /// The values are made once, whatever the number of endpoints.
    fn enriched(&self, endpoints: Vec<&EndpointName>, facts: &Facts<'_>) -> ListedDestinations {
        let is_for = |to: &EndpointName| endpoints.contains(&to);
        let concerned = self.enrichments.iter();
        let concerned: Vec<_> = concerned
            .filter(|enrichment| enrichment.endpoints.iter().any(is_for))
            .collect();
        let indices = |endpoint: &EndpointName| {
            let places = concerned.iter().enumerate();
            let places = places.filter(|(_, enrichment)| enrichment.endpoints.contains(endpoint));
            places.map(|(index, _)| index).collect()
        };
        let destination = |endpoint: &&EndpointName| Destination {
            endpoint: (*endpoint).clone(),
            enrichments: indices(endpoint),
        };
        let values = concerned.iter();
        let values = values.map(|enrichment| (enrichment.key.clone(), enrichment.value.of(facts)));
        ListedDestinations {
            endpoints: endpoints.iter().map(destination).collect(),
            enrichments: values.collect(),
        }
    }
}

/// A message that grows beyond the limit on its way to an endpoint does not reach it, as documented.
fn fits(event: &Event, to: &Destination, enrichments: &[(String, String)]) -> bool {
    let length = |(name, value): &(String, String)| name.len() + value.len();
    let added = to.enrichments.iter().filter_map(|at| enrichments.get(*at));
    let added: usize = added.map(length).sum();
    let sent: usize = event.properties.iter().map(length).sum();
    added == 0 || event.body.len() + sent + added <= MAX_MESSAGE
}
