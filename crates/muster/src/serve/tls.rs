//! The server's TLS: asks every client for a certificate, requires none, and judges none.
//!
//! The handshake proves that the client holds the key of the leaf that it shows. Whether that leaf may do anything is decided
//! where the reason can be told and recorded, in `dps` and `hub`. No list of authorities is sent, because clients would then
//! keep self-signed and foreign leaves to themselves.

use std::sync::{Arc, RwLock};

use anyhow::Context;
use pki::{Certificate, PeerChain, PresentedChain, SeenIssuers};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection,
    SignatureScheme, SupportedCipherSuite,
};

/// Accepts any chain; the signature made with the leaf's key is still verified.
#[derive(Debug)]
struct ProofOfPossessionOnly {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ProofOfPossessionOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let Some(certificate) = version_1(leaf) else {
            return verify_tls12_signature(message, leaf, signature, &self.algorithms);
        };
        let scheme = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signature.scheme);
        match scheme {
            Some((_, algorithms))
                if certificate.signature_matches(algorithms, message, signature.signature()) =>
            {
                Ok(HandshakeSignatureValid::assertion())
            }
            _ => Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::BadSignature,
            )),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let Some(certificate) = version_1(leaf) else {
            return verify_tls13_signature(message, leaf, signature, &self.algorithms);
        };
        let key = SubjectPublicKeyInfoDer::from(certificate.spki_der());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The leaf if it is of X.509 version 1: `openssl x509 -req` makes such ones, and rustls cannot read them.
fn version_1(leaf: &CertificateDer<'_>) -> Option<Certificate> {
    // Nearly all are of version 3, and are read whole once the handshake is done.
    if !Certificate::claims_version_1(leaf) {
        return None;
    }
    Certificate::from_der(leaf)
        .ok()
        .filter(|certificate| certificate.version() == 1)
}

/// The certificate in use; replaced while the server runs when it is renewed or a hub gets a new name.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    /// Starts with `credential`.
    pub fn new(credential: &ca::ServerCredential) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self(RwLock::new(Arc::new(certified_key(
            credential,
        )?)))))
    }

    /// New handshakes use `credential` from now on.
    pub fn replace(&self, credential: &ca::ServerCredential) -> anyhow::Result<()> {
        let key = Arc::new(certified_key(credential)?);
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = key;
        Ok(())
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone(),
        )
    }
}

fn certified_key(credential: &ca::ServerCredential) -> anyhow::Result<CertifiedKey> {
    let chain = credential
        .chain_der()
        .into_iter()
        .map(CertificateDer::from)
        .collect();
    let key = PrivateKeyDer::Pkcs8(credential.key_der().clone_key());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).context("the server's certificate and key")
}

/// TLS 1.2 and 1.3 (the Python SDK pins 1.2), one certificate, every client asked for its own. Nobody resumes: whoever connects
/// proves anew that it has its key (`docs/decisions/0019-every-handshake-is-a-full-one.md`).
pub fn server_config(certificate: Arc<CurrentCertificate>) -> anyhow::Result<Arc<ServerConfig>> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // Stable: within one length the library's order stays.
    provider.cipher_suites.sort_by_key(rank);
    let provider = Arc::new(provider);
    let verifier = ProofOfPossessionOnly {
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certificate);
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// AES-128 with SHA-256 goes first: processors have instructions for both, and for SHA-384 they have none.
fn rank(suite: &SupportedCipherSuite) -> u8 {
    match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    }
}

/// The chain that the client showed, if it showed one that is worth looking at.
///
/// A chain beyond the limits is as good as none for the handshake, but not for the refusal: the error is kept for the operator's log.
pub fn peer_chain(connection: &ServerConnection, seen: &SeenIssuers) -> PeerChain {
    let Some(certificates) = connection.peer_certificates() else {
        return PeerChain(None);
    };
    match PresentedChain::new(certificates, seen) {
        Ok(chain) => PeerChain(Some(Arc::new(chain))),
        Err(error) => {
            tracing::info!(error = %error, "the client's certificate chain was not read");
            PeerChain(None)
        }
    }
}

#[cfg(test)]
mod tests;
