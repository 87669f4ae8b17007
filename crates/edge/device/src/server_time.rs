//! What time a server says it is, asked when its certificate does not fit the device's clock.
//!
//! A device whose clock is wrong cannot verify by time. So the chain is verified as of a moment at
//! which all its certificates were valid, nothing secret is sent, and the answer counts only if the
//! server's own certificate is valid at the time that it says. An attacker would need the key of a
//! former certificate, and could only make the device believe a time within that one's validity.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;
use ids::{HubHost, Timestamp};
use pki::Certificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::clock::unix_time;
use crate::trust::provider;
use crate::{HttpsClient, HttpsError, Trust};

/// Why a server does not say what time it is.
#[derive(Debug, thiserror::Error)]
pub enum ServerTimeError {
    #[error("{0} cannot be asked what time it is")]
    Connection(HubHost, #[source] HttpsError),
    #[error("{0} does not say what time it is")]
    NoDate(HubHost),
    /// The server's certificate is not valid at the time that it says.
    #[error("{host} says that it is {}, when its own certificate is not valid", time.in_seconds())]
    Contradiction { host: HubHost, time: Timestamp },
    #[error("the trusted roots cannot be used: {0}")]
    Roots(String),
}

/// Asks a server, port 443 unless the host has a port, what time it is.
pub async fn server_time(host: &HubHost, trust: &Trust) -> Result<Timestamp, ServerTimeError> {
    let verifier = Arc::new(WheneverValid::new(trust)?);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerTimeError::Roots(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let client = HttpsClient::verifying(host.clone(), trust, Arc::new(config));
    let answer = client.send(Method::GET, "/", None, None).await;
    let answer = answer.map_err(|source| ServerTimeError::Connection(host.clone(), source))?;
    let time = answer
        .date
        .ok_or_else(|| ServerTimeError::NoDate(host.clone()))?;
    match verifier.is_valid_at(time) {
        true => Ok(time),
        false => Err(ServerTimeError::Contradiction {
            host: host.clone(),
            time,
        }),
    }
}

/// Verifies a chain as of a moment at which all its certificates are valid.
#[derive(Debug)]
struct WheneverValid {
    inner: Arc<WebPkiServerVerifier>,
    /// The common validity of the certificates that the server sent.
    validity: Mutex<Option<(Timestamp, Timestamp)>>,
}

impl WheneverValid {
    fn new(trust: &Trust) -> Result<Self, ServerTimeError> {
        let roots = trust.roots().clone();
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        Ok(Self {
            inner: inner.map_err(|error| ServerTimeError::Roots(error.to_string()))?,
            validity: Mutex::default(),
        })
    }

    fn is_valid_at(&self, time: Timestamp) -> bool {
        let validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        validity.is_some_and(|(from, to)| from <= time && time <= to)
    }
}

impl ServerCertVerifier for WheneverValid {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let leaf_read = Certificate::from_der(leaf).map_err(|_| bad())?;
        let mut common = (leaf_read.not_before(), leaf_read.not_after());
        for certificate in intermediates {
            // A server may send certificates that its chain does not need, such as its root.
            let Ok(read) = Certificate::from_der(certificate) else {
                continue;
            };
            common = (
                common.0.max(read.not_before()),
                common.1.min(read.not_after()),
            );
        }
        let (from, to) = common;
        if from > to {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        let at = unix_time(from);
        let verified = self
            .inner
            .verify_server_cert(leaf, intermediates, name, ocsp, at)?;
        *self.validity.lock().unwrap_or_else(PoisonError::into_inner) = Some(common);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
