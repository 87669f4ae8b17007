//! The root certificates that a device trusts.

use std::sync::Arc;

use pki::Certificate;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::Identity;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} cannot be a trusted root: {reason}")]
pub struct TrustError {
    subject: String,
    reason: String,
}

/// The trusted roots of a device: it trusts servers whose certificates chain to one of them.
#[derive(Debug, Clone)]
pub struct Trust(Arc<RootCertStore>);

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
        Ok(Self(Arc::new(roots)))
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
        // The process-wide provider is not used: this library must not depend on which one a
        // program installs.
        let provider = Arc::new(aws_lc_rs::default_provider());
        #[expect(
            clippy::expect_used,
            reason = "fails only for a provider without cipher suites"
        )]
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs supports TLS 1.2 and 1.3")
            .with_root_certificates(self.0.clone())
    }
}
