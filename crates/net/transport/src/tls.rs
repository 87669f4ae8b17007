//! The server's TLS: it asks every client for a certificate, requires none, and verifies no chain.
//!
//! The handshake proves that the client holds the key of the leaf that it presents. Whether that
//! leaf proves an identity is decided by the services, which can answer with the reason and record
//! it. The server sends no list of CAs: clients would then not present self-signed leaves and
//! those of other CAs.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use pki::{LeafKey, PeerChain, PresentedChain, SeenIssuers};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, OtherError,
    ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite,
};

pub mod certificate_files;

use certificate_files::OwnKey;

/// Accepts any chain, and verifies that the handshake is signed with the leaf's key.
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
        let key = usable_key(leaf)?;
        let mut known = self.algorithms.mapping.iter();
        let scheme = known.find(|(scheme, _)| *scheme == signature.scheme);
        match scheme {
            Some((_, algorithms)) if key.signed(algorithms, message, signature.signature()) => {
                Ok(HandshakeSignatureValid::assertion())
            }
            _ => Err(rustls::Error::InvalidCertificate(
                CertificateError::BadSignature,
            )),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(usable_key(leaf)?.spki());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The key of a leaf. Nothing else of it is read here: the services say what is wrong with the
/// rest, for example a critical extension that rustls does not know.
fn usable_key<'a>(leaf: &'a CertificateDer<'_>) -> Result<LeafKey<'a>, rustls::Error> {
    let key = LeafKey::of(leaf).ok_or(rustls::Error::InvalidCertificate(
        CertificateError::BadEncoding,
    ))?;
    match key.problem() {
        None => Ok(key),
        Some(problem) => Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(UnsupportedKey(problem))),
        ))),
    }
}

/// A leaf with a key whose signatures are not verified here.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UnsupportedKey(String);

/// The certificates that the server can present.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Those of the operator, in the order of the configuration.
    pub own: Vec<OwnKey>,
    /// The one that the server makes itself, with a P-256 key. It names every host.
    pub ec: Arc<CertifiedKey>,
    /// The same with an RSA key, for clients without ECDSA. `None` until it is made, a moment
    /// after the first start.
    pub rsa: Option<Arc<CertifiedKey>>,
    /// The host of a client that sends no server name.
    pub hostname: String,
}

impl Certificates {
    /// The certificate for a client that asks for `host` and verifies signatures of `schemes`. A
    /// certificate of the operator that names the host goes first. Of those that the server makes
    /// itself P-256 goes first, which costs least.
    fn choose(&self, host: Option<&str>, schemes: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let host = host.unwrap_or(&self.hostname);
        let usable = |key: &Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let own = self.own.iter().filter(|own| own.covers(host));
        let mut own = own.map(|own| &own.key);
        let made = || [Some(&self.ec), self.rsa.as_ref()].into_iter().flatten();
        own.find(|key| usable(key))
            .or_else(|| made().find(|key| usable(key)))
            .unwrap_or(&self.ec)
            .clone()
    }
}

/// The certificates in use. They are replaced while the server runs: when one is renewed, and when
/// a hub gets a new name.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<Arc<Certificates>>);

impl CurrentCertificate {
    /// Handshakes use `certificates` at first.
    #[must_use]
    pub fn new(certificates: Certificates) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(certificates))))
    }

    /// New handshakes use `certificates` from now on.
    pub fn replace(&self, certificates: Certificates) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(certificates);
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        // For TLS 1.2 these are only the schemes that the client's cipher suites can use.
        Some(certificates.choose(hello.server_name(), hello.signature_schemes()))
    }
}

/// TLS 1.2 and 1.3 (the Python SDK pins 1.2); every client is asked for a
/// certificate. Sessions are not resumed: a client proves in every handshake that it
/// holds its key (`docs/decisions/0019-every-handshake-is-a-full-one.md`).
pub fn server_config(
    certificate: Arc<CurrentCertificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // The sort is stable: among suites of one rank the library's order stays.
    provider.cipher_suites.sort_by_key(rank);
    let provider = Arc::new(provider);
    let verifier = ProofOfPossessionOnly {
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certificate);
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// AES-128 with SHA-256 goes first: processors have instructions for both, and none for SHA-384.
fn rank(suite: &SupportedCipherSuite) -> u8 {
    match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    }
}

/// The chain that the client presented. A chain that is too long, or that holds something else than
/// certificates, is kept unread for the refusal.
#[must_use]
pub fn peer_chain(
    connection: &ServerConnection,
    seen: &SeenIssuers,
    from: SocketAddr,
) -> PeerChain {
    let Some(certificates) = connection.peer_certificates() else {
        return PeerChain::default();
    };
    PresentedChain::read(certificates, seen).map_or_else(
        |unread| {
            tracing::info!(
                client.address = %from,
                error = %unread.error(),
                "the client's certificate chain is not read"
            );
            PeerChain::unread(unread)
        },
        PeerChain::of,
    )
}

#[cfg(test)]
mod tests;
