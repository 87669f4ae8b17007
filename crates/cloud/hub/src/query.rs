//! Queries of operators, run by the registry with what live sessions know.

use std::sync::Arc;

use ids::Identity;
use registry::query::Connection;
use registry::{Connections, LastSeen};

use crate::service::Hub;

/// What the live sessions of the hubs say of devices and modules.
struct LiveConnections(Hub);

impl Connections for LiveConnections {
    fn connection(&self, identity: &Identity, stored: LastSeen) -> Connection {
        // The registry counts the messages itself.
        self.0.merged_view(identity, stored, 0).into()
    }
}

impl Hub {
    pub(crate) fn live_connections(&self) -> Arc<dyn Connections> {
        Arc::new(LiveConnections(self.clone()))
    }
}
