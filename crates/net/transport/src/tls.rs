//! The server's TLS: asks every client for a certificate, requires none, and judges none.
//!
//! The handshake proves that the client holds the key of the leaf that it shows. Whether that leaf may do anything is decided
//! where the reason can be told and recorded, in `dps` and `hub`. No list of authorities is sent, because clients would then
//! keep self-signed and foreign leaves to themselves.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use pki::{LeafKey, PeerChain, PresentedChain, SeenIssuers};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, OtherError,
    ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite,
};

pub mod certificate_files;

use certificate_files::OwnKey;

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

/// The key of a leaf. Nothing else of it is read here: what is wrong with the rest, such as a critical extension that rustls does not
/// know, is for those to say who can answer.
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

/// A leaf with a key whose signatures nobody here verifies.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UnsupportedKey(String);

/// The certificates that the server can show.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The operator's own.
    pub own: Vec<OwnKey>,
    /// The one that the server makes itself: it names every host.
    pub ec: Arc<CertifiedKey>,
    /// The same for TLS that knows nothing but RSA; `None` until it is made, a moment after the first start.
    pub rsa: Option<Arc<CertifiedKey>>,
    /// What a client means that names no host.
    pub hostname: String,
}

impl Certificates {
    /// The one to show to a client that asks for a host and verifies signatures of these kinds. One of the operator's own goes first, where
    /// it names the host; of those that the server makes itself P-256 goes first, which costs least.
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

/// The certificates in use; replaced while the server runs when one is renewed or a hub gets a new name.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<Arc<Certificates>>);

impl CurrentCertificate {
    /// Starts with `certificates`.
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
        // For TLS 1.2 these are only what the client's cipher suites can use.
        Some(certificates.choose(hello.server_name(), hello.signature_schemes()))
    }
}

/// A chain, the leaf first, and the leaf's key.
pub fn certified_key(
    chain: Vec<Vec<u8>>,
    key: PrivatePkcs8KeyDer<'_>,
) -> Result<CertifiedKey, rustls::Error> {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(key.clone_key());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
}

/// TLS 1.2 and 1.3 (the Python SDK pins 1.2), every client asked for its own. Nobody resumes: whoever connects
/// proves anew that it has its key (`docs/decisions/0019-every-handshake-is-a-full-one.md`).
///
/// # Errors
/// When the cryptography provider lacks what TLS needs.
pub fn server_config(
    certificate: Arc<CurrentCertificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // Stable: within one length the library's order stays.
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

/// AES-128 with SHA-256 goes first: processors have instructions for both, and for SHA-384 they have none.
fn rank(suite: &SupportedCipherSuite) -> u8 {
    match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    }
}

/// The chain that the client showed, if it showed one. One beyond the limits, or with something else than a certificate in it, is kept for
/// the refusal.
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
            tracing::info!(client.address = %from, error = %unread.error(), "the client's certificate chain is not read");
            PeerChain::unread(unread)
        },
        PeerChain::of,
    )
}

#[cfg(test)]
mod tests;
