//! Routes of a hub: which events go to which endpoints, and what is added on the way.
//!
//! The decision is made when an event is appended to the log and stands in its record. Endpoints
//! are readers of that log: a change of the routes concerns later events only.

mod check;
mod condition;
mod destination;
mod enrichment;
mod message;
mod table;
mod test;

pub use check::RoutingError;
pub use condition::{Facts, RouteCondition, TwinDocument};
pub(crate) use destination::Destination;
pub use destination::{Destinations, ListedDestinations};
pub use table::RoutingTable;
pub use test::{TestContext, test_route, test_routes};
