//! The provisioning service: which hub a device belongs to, and how it proves who it is.
//!
//! Start with `registration/register.rs`. The transports of `device_api` and the HTTP API for
//! operators only decode, call and encode.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod service;

mod registration;

mod pending;
mod remote_hub;
mod retention;

mod device_api;

mod admission;
mod bounded;
mod refusal_log;

mod certificate;
mod enrollment_view;
mod error;
mod expiry_calendar;
mod path_area;
mod renewal;
mod revocation_lists;
mod service_api;
mod trust_bundle_view;

use axum::extract::Request;
use axum::response::Response;
use mqtt::Connect;
use pki::PeerChain;
use tokio::sync::watch;
use transport::ConnectRefused;

use crate::path_area::Area;

pub use crate::admission::AdmissionLimits;
pub use crate::device_api::mqtt::DpsSession;
pub use crate::renewal::{RenewalFault, RenewedChain};
pub use crate::service::{AwaitCertificateForHosts, Dps, DpsOptions};
pub use crate::service_api::enrollments::warnings::{issuer_warning, leaf_warning};

impl Dps {
    /// Answers a request to any of its HTTP paths, for devices and operators. The client's chain is
    /// the request extension [`PeerChain`], its address [`rest::ClientAddress`]. See
    /// [`Dps::serves`] for sharing a port.
    pub async fn answer(&self, request: Request) -> Response {
        match path_area::find(request.uri().path()) {
            Some(Area::Devices) => device_api::http::answer(self, request).await,
            Some(Area::Est) => device_api::est::answer(self, request).await,
            Some(Area::PublicPki) => self.answer_publicly(request).await,
            Some(Area::Operators) | None => service_api::answer(self, request).await,
        }
    }

    /// Whether a request path belongs to the provisioning service, when
    /// several services share a port.
    #[must_use]
    pub fn serves(path: &str) -> bool {
        path_area::find(path).is_some()
    }

    /// Answers a request to a port on which nothing but `/pki` is served.
    pub async fn answer_publicly(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let tenant = self.tenants().by_host(&parts);
        let provisioning = &tenant.context.provisioning;
        let request = Request::from_parts(parts, body);
        let corner = self.public_corner();
        corner.answer(provisioning, self.now(), request).await
    }

    /// Whether a successful answer proves who the client is. What is public proves nothing; EST says
    /// itself when its client is proven, because some of its answers are for anybody.
    #[must_use]
    pub fn success_is_proof(path: &str) -> bool {
        !matches!(path_area::find(path), Some(Area::Est | Area::PublicPki))
    }

    /// Accepts the connection of a device that wants to register. Whether it may register is
    /// the answer to its request.
    ///
    /// Fails when the CONNECT is not for this service: the return code of CONNACK, and
    /// the reason for the log.
    pub fn mqtt(&self, connect: &Connect, chain: PeerChain) -> Result<DpsSession, ConnectRefused> {
        device_api::mqtt::accept(self, connect, chain)
    }

    /// Sets the gauges of the metrics recorder.
    pub fn show_metrics(&self) {
        self.admission().update_gauges(self.now());
        let services = self.tenants().provisioning().services();
        for hub in services.iter().flat_map(|service| &service.hubs) {
            self.hub_health().update_gauge(hub);
        }
        revocation_lists::update_gauges(self);
    }

    /// Resumes pending registrations, runs remote tasks, probes remote hubs, fetches and renews
    /// revocation lists, watches the expiry of certificates and deletes what is no longer kept,
    /// until `stopping` turns true. What is interrupted then starts again with the next process.
    pub async fn run(&self, stopping: watch::Receiver<bool>) {
        tokio::join!(
            pending::run(self, stopping.clone()),
            remote_hub::outbox::run(self, stopping.clone()),
            remote_hub::probes::run(self, stopping.clone()),
            revocation_lists::run(self, stopping.clone()),
            retention::run(self, stopping.clone()),
            expiry_calendar::run(self, stopping.clone()),
            self.publish(stopping),
        );
    }

    async fn publish(&self, stopping: watch::Receiver<bool>) {
        let (provisioning, clock) = (self.tenants().provisioning(), &*self.options().clock);
        self.public_corner()
            .run(provisioning, clock, stopping)
            .await;
    }
}
