//! What stands behind the ports: which service a request path or a CONNECT belongs to.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use dps::Dps;
use hub::Hub;
use tower::ServiceExt;

/// The services, as the doors see them. Cloning is cheap.
#[derive(Clone)]
pub struct Front {
    pub dps: Dps,
    pub hub: Hub,
    hubs: Router,
    health: Router,
}

impl Front {
    /// Puts the services beside each other on one port.
    pub fn new(dps: Dps, hub: Hub, health: Router) -> Self {
        Self {
            hubs: hub.router(),
            dps,
            hub,
            health,
        }
    }

    /// Hands a request to the service that its path belongs to; a path of nobody gets the hubs' 404.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let router = if super::health::serves(path) {
            &self.health
        } else if Dps::serves(path) {
            return self.dps.answer(request).await;
        } else {
            &self.hubs
        };
        match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
