//! What all parts of the hubs share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ids::{Clock, Timestamp};
use outbound::{Outbound, Streams};
use registry::Registry;
use tokio::sync::watch;
use transport::pace::{Pace, PaceLimiter};
use transport::sessions::Sessions;

use crate::endpoints::health::EndpointHealth;
use crate::messages::open_streams::OpenStreams;
use crate::quantities::{DeviceLimits, HubBuckets, HubLimits};
use crate::renewals::{CertificateIssuer, Renewals};
use crate::sessions::certificates::SessionCertificates;
use crate::sessions::presence::unsaved::UnsavedPresences;
use crate::sessions::watcher::SessionWatcher;
use crate::uploads::{UploadOptions, Uploads};

/// The settings of a program's hubs.
#[derive(Clone)]
pub struct HubOptions {
    pub clock: Clock,
    /// How much telemetry a device may send.
    pub pace: Pace,
    /// Calls webhooks.
    pub outbound: Arc<dyn Outbound>,
    /// Connects to the NATS servers of endpoints.
    pub streams: Arc<dyn Streams>,
    /// Issues other certificates to connected devices.
    pub certificate_issuer: Arc<dyn CertificateIssuer>,
    /// How often each hub may be asked for what.
    pub limits: HubLimits,
    /// How often each device or module may ask for what.
    pub device_limits: DeviceLimits,
    /// Where files of devices go.
    pub uploads: UploadOptions,
    /// The folder of what is imported and exported.
    pub transfers: PathBuf,
}

/// The hubs of a data directory. Cheap to clone; clones share the live sessions.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    watcher: SessionWatcher,
    clock: Clock,
    pace_limiter: PaceLimiter,
    outbound: Arc<dyn Outbound>,
    streams: Arc<dyn Streams>,
    certificate_issuer: Arc<dyn CertificateIssuer>,
    renewals: Renewals,
    session_certificates: SessionCertificates,
    endpoint_health: EndpointHealth,
    open_streams: OpenStreams,
    /// Turns true once, when the hubs are drained.
    draining: watch::Sender<bool>,
    buckets: HubBuckets,
    uploads: Uploads,
    transfers: PathBuf,
}

impl Hub {
    /// Builds the hubs over an open registry and watches its changes.
    #[must_use]
    pub fn new(registry: Registry, options: HubOptions) -> Self {
        let watcher = SessionWatcher::new(options.clock.clone());
        registry.watch(Arc::new(watcher.clone()));
        let folders = vec![options.uploads.directory.clone(), options.transfers.clone()];
        registry.set_hub_folders(folders);
        Self {
            inner: Arc::new(Inner {
                registry,
                watcher,
                clock: options.clock,
                pace_limiter: PaceLimiter::new(options.pace),
                outbound: options.outbound,
                streams: options.streams,
                certificate_issuer: options.certificate_issuer,
                renewals: Renewals::default(),
                session_certificates: SessionCertificates::default(),
                endpoint_health: EndpointHealth::default(),
                open_streams: OpenStreams::default(),
                draining: watch::Sender::new(false),
                buckets: HubBuckets::new(&options.limits, &options.device_limits),
                uploads: Uploads::new(options.uploads),
                transfers: options.transfers,
            }),
        }
    }

    /// Closes every session and every stream of events, and accepts no new session.
    pub fn drain(&self) {
        self.inner.draining.send_replace(true);
        self.sessions().drain("the server is shutting down");
    }

    /// Live sessions of all hubs.
    #[must_use]
    pub fn connected(&self) -> u64 {
        let hubs = &self.inner.registry.hubs().hubs;
        hubs.iter()
            .map(|hub| self.sessions().connected(&hub.name))
            .sum()
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.inner.watcher.sessions()
    }

    pub(crate) fn unsaved_presences(&self) -> &UnsavedPresences {
        self.inner.watcher.unsaved_presences()
    }

    /// Changes whenever deployments may target other devices.
    pub(crate) fn targeting(&self) -> watch::Receiver<u64> {
        self.inner.watcher.targeting()
    }

    /// Changes whenever a job is created, cancelled, or has ended.
    pub(crate) fn job_changes(&self) -> watch::Receiver<u64> {
        self.inner.watcher.jobs()
    }

    /// Changes whenever endpoints may be others.
    pub(crate) fn routing_changes(&self) -> watch::Receiver<u64> {
        self.inner.watcher.routing()
    }

    /// Changes whenever events of the hubs themselves wait for their log.
    pub(crate) fn hub_events(&self) -> watch::Receiver<u64> {
        self.inner.watcher.hub_events()
    }

    pub(crate) fn outbound(&self) -> &dyn Outbound {
        &*self.inner.outbound
    }

    pub(crate) fn streams(&self) -> &dyn Streams {
        &*self.inner.streams
    }

    pub(crate) fn certificate_issuer(&self) -> &dyn CertificateIssuer {
        &*self.inner.certificate_issuer
    }

    pub(crate) fn renewals(&self) -> &Renewals {
        &self.inner.renewals
    }

    pub(crate) fn session_certificates(&self) -> &SessionCertificates {
        &self.inner.session_certificates
    }

    /// Changes whenever another certificate is revoked or restored.
    pub(crate) fn revocation_changes(&self) -> watch::Receiver<u64> {
        self.inner.watcher.revocations()
    }

    pub(crate) fn endpoint_health(&self) -> &EndpointHealth {
        &self.inner.endpoint_health
    }

    pub(crate) fn open_streams(&self) -> &OpenStreams {
        &self.inner.open_streams
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.inner.draining.subscribe()
    }

    pub(crate) fn pace_limiter(&self) -> &PaceLimiter {
        &self.inner.pace_limiter
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.inner.uploads
    }

    pub(crate) fn transfers(&self) -> &Path {
        &self.inner.transfers
    }

    pub(crate) fn hub_buckets(&self) -> &HubBuckets {
        &self.inner.buckets
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }
}
