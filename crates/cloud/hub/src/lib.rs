//! The hubs: device sessions over MQTT and HTTPS, and the service API for operators.
//!
//! One [`Hub`] serves every hub of the data directory, linked to a provisioning service or not;
//! the host name in a request or user name says which. `service_api` and `sessions::mqtt` only
//! decode, call and encode.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod service;

mod messages;
mod quantities;
mod sessions;
mod throttling;
mod twin_view;

mod deployments;
mod endpoints;
mod event_view;
mod import_view;
mod jobs;
mod metrics;
mod query;
mod renewals;
mod rollouts;
mod uploads;

mod error;
mod service_api;

use std::sync::Arc;

use ::mqtt::Connect;
use axum::extract::Request;
use axum::response::Response;
use pki::PresentedChain;
use tokio::sync::watch;
use transport::ConnectRefused;

pub use crate::messages::method::MethodError;
pub use crate::quantities::{DeviceLimits, HubLimits};
pub use crate::renewals::{
    CertificateChain, CertificateIssuer, CertificateRefused, CertificateRequest, Issuing,
};
pub use crate::service::{Hub, HubOptions};
pub use crate::sessions::mqtt::HubSession;
pub use crate::uploads::UploadOptions;

impl Hub {
    /// Answers a request to any HTTP path of the hubs, for devices and operators. The client's
    /// chain is the request extension [`pki::PeerChain`], its address [`rest::ClientAddress`].
    pub async fn answer(&self, request: Request) -> Response {
        if Self::receives_files(request.uri().path()) {
            return uploads::blob_api::answer(self, request).await;
        }
        service_api::answer(self, request).await
    }

    /// Whether requests to a path bring files, which may take long.
    #[must_use]
    pub fn receives_files(path: &str) -> bool {
        uploads::blob_api::serves(path)
    }

    /// Accepts a connection: proves the identity and opens its session. An older session of
    /// the identity is closed.
    ///
    /// # Errors
    /// The return code of CONNACK, and the reason for the log.
    pub async fn mqtt(
        &self,
        connect: &Connect,
        chain: Option<Arc<PresentedChain>>,
    ) -> Result<HubSession, ConnectRefused> {
        sessions::mqtt::accept(self, connect, chain).await
    }

    /// Ends sessions whose certificate is revoked, applies configurations, brings rollouts further,
    /// runs jobs, delivers events to endpoints and deletes them after their retention, ends
    /// cloud-to-device messages and uploads whose time has run out, and stores presences, until
    /// `shutdown` turns true.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        tokio::join!(
            deployments::run(self, shutdown.clone()),
            rollouts::run(self, shutdown.clone()),
            metrics::run(self, shutdown.clone()),
            messages::expiry::run(self, shutdown.clone()),
            jobs::run(self, shutdown.clone()),
            endpoints::run(self, shutdown.clone()),
            messages::queue_expiry::run(self, shutdown.clone()),
            messages::relay::run(self, shutdown.clone()),
            uploads::clean::run(self, shutdown.clone()),
            sessions::revoked::run(self, shutdown.clone()),
            sessions::presence::run(self, shutdown),
        );
    }
}
