//! The root certificates that a device trusts, and the proxies by which it reaches servers.

use std::sync::Arc;

use pki::Certificate;
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::clock::{Clock, ClockOfTls};
use crate::{Identity, Proxies};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} cannot be a trusted root: {reason}")]
pub struct TrustError {
    subject: String,
    reason: String,
}

/// The trusted roots of a device: it trusts servers whose certificates chain to one of them. The
/// proxies are here too, so that no connection is made without them.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    clock: Option<Arc<dyn Clock>>,
    proxies: Arc<Proxies>,
}

impl Trust {
    /// The roots of the operating system (or of `SSL_CERT_FILE`) and `extra`. System roots that
    /// cannot be read are left out.
    pub fn native_and(extra: &[Certificate]) -> Result<Self, TrustError> {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::debug!(error = %error, "some system root certificates cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(native.certs);
        tracing::debug!(added, ignored, "system root certificates loaded");
        Self::with(roots, extra)
    }

    pub fn only(roots: &[Certificate]) -> Result<Self, TrustError> {
        Self::with(RootCertStore::empty(), roots)
    }

    fn with(mut roots: RootCertStore, extra: &[Certificate]) -> Result<Self, TrustError> {
        for certificate in extra {
            let der = certificate.certificate_der().clone();
            roots.add(der).map_err(|error| TrustError {
                subject: certificate.subject(),
                reason: error.to_string(),
            })?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            clock: None,
            proxies: Arc::default(),
        })
    }

    /// Verifies certificates by another clock than that of the machine, and tells it the time of
    /// every server that is trusted.
    #[must_use]
    pub fn by_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// The same roots. Connections go through `proxies`.
    #[must_use]
    pub fn through(self, proxies: Proxies) -> Self {
        Self {
            proxies: Arc::new(proxies),
            ..self
        }
    }

    pub(crate) fn clock(&self) -> Option<&Arc<dyn Clock>> {
        self.clock.as_ref()
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    pub(crate) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The configuration for TLS connections, with a client certificate for servers
    /// that ask for one.
    #[must_use]
    pub fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let builder = self.builder();
        Arc::new(match identity {
            Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
            None => builder.with_no_client_auth(),
        })
    }

    fn builder(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let time: Arc<dyn TimeProvider> = match &self.clock {
            Some(clock) => Arc::new(ClockOfTls(clock.clone())),
            None => Arc::new(DefaultTimeProvider),
        };
        #[expect(
            clippy::expect_used,
            reason = "fails only for a provider without cipher suites"
        )]
        ClientConfig::builder_with_details(provider(), time)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs supports TLS 1.2 and 1.3")
            .with_root_certificates(self.roots.clone())
    }
}

/// The process-wide provider is not used: this library must not depend on which one a program
/// installs.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
