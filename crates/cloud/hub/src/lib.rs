//! The hubs: device sessions over MQTT and HTTPS, and the service API of operators.
//!
//! One [`Hub`] serves every hub of the data directory, linked to a provisioning service or not; the host name in a request or user name says which.
//! `service_api` and `mqtt` only decode, call and encode; what happens is in `prove`, `telemetry`, `method`,
//! `deployments` and in the registry.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod sessions;

mod connect;
mod prove;

mod method;
mod telemetry;
mod twin_view;

mod deployments;
mod expiry;
mod presence;
mod query;

mod error;

mod mqtt;
mod service_api;

use std::sync::Arc;

use ::mqtt::Connect;
use ids::{Clock, Timestamp};
use pki::PresentedChain;
use registry::Registry;
use tokio::sync::watch;
use transport::ConnectRefused;
use transport::pace::{Pace, Paces};
use transport::sessions::Sessions;

pub use crate::method::MethodError;
pub use crate::mqtt::HubSession;
use crate::sessions::{HubSessions, Notes};

/// What a program decides for its hubs.
#[derive(Clone)]
pub struct HubOptions {
    /// Tells the time.
    pub clock: Clock,
    /// How much telemetry may be sent.
    pub pace: Pace,
}

/// The hubs of a data directory. Cheap to clone; clones share the live sessions.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    sessions: HubSessions,
    clock: Clock,
    paces: Paces,
}

impl Hub {
    /// Builds the hubs over an open registry and starts to listen for its changes.
    #[must_use]
    pub fn new(registry: Registry, options: HubOptions) -> Self {
        let sessions = HubSessions::new(options.clock.clone());
        registry.watch(Arc::new(sessions.clone()));
        Self {
            inner: Arc::new(Inner {
                registry,
                sessions,
                clock: options.clock,
                paces: Paces::new(options.pace),
            }),
        }
    }

    /// Answers a request to any HTTP path of the hubs, for devices and operators. The client's chain is the request
    /// extension [`pki::PeerChain`], its address [`rest::ClientAddress`].
    pub async fn answer(&self, request: axum::extract::Request) -> axum::response::Response {
        service_api::answer(self, request).await
    }

    /// Accepts a connection: proves the identity and opens its session, closing an older one.
    ///
    /// # Errors
    /// Says what CONNACK answers, and the reason for the log.
    pub async fn mqtt(
        &self,
        connect: &Connect,
        chain: Option<Arc<PresentedChain>>,
    ) -> Result<HubSession, ConnectRefused> {
        mqtt::accept(self, connect, chain).await
    }

    /// Applies deployments, forgets events that are too old, and writes when devices were heard of, until `shutdown` turns true.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        tokio::join!(
            deployments::run(self, shutdown.clone()),
            expiry::run(self, shutdown.clone()),
            presence::keep(self, shutdown),
        );
    }

    /// Closes every session and admits no new one.
    pub fn drain(&self) {
        self.sessions().drain("the server is shutting down");
    }

    /// Live sessions of all hubs, for metrics.
    #[must_use]
    pub fn connected(&self) -> u64 {
        let local = self.inner.registry.hubs();
        local
            .hubs
            .iter()
            .map(|hub| self.sessions().connected(&hub.name))
            .sum()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.inner.sessions.live()
    }

    /// Presences that are not stored yet.
    pub(crate) fn notes(&self) -> &Notes {
        self.inner.sessions.notes()
    }

    /// Changes whenever deployments may target other devices.
    pub(crate) fn targeting(&self) -> watch::Receiver<u64> {
        self.inner.sessions.targeting()
    }

    pub(crate) fn paces(&self) -> &Paces {
        &self.inner.paces
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }
}
