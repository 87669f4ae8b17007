//! Certification requests (PKCS#10, RFC 2986): the claim of a client that it has a
//! key, and the proof.
//!
//! Of a request only the key, the common name and the DNS names and IP addresses of the
//! subjectAltName are read. Which of them a certificate gets is decided by
//! [`IssuingProfile::admit`](crate::IssuingProfile::admit); everything else that a request asks for
//! is ignored.

mod claim;
mod make;
mod names;

use rcgen::{PublicKeyData, SignatureAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::cert::{
    RsaWeakness, SubjectKey, algorithm_of_key, common_name, is_request, is_signed_with, pem_blocks,
    pem_text, reason,
};
use crate::subject::MAX_COMMON_NAME;
use crate::{Certificate, KeyAlgorithm, MlDsa, ServerName};
pub use claim::RequestClaim;
pub use make::make_request;
pub(crate) use names::RequestedNames;

/// Longest request, bytes of DER: an RSA 8192 key and signature with room for
/// a subject and extensions.
pub const MAX_REQUEST_BYTES: usize = 8 * 1024;

/// Most DNS names and IP addresses that one request may ask for.
pub const MAX_REQUEST_NAMES: usize = 64;

/// What kind of key a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKey {
    /// ECDSA with the curve P-256.
    P256,
    /// ECDSA with the curve P-384.
    P384,
    /// RSA of 2048 to 8192 bits.
    Rsa,
    /// ML-DSA, an experiment.
    MlDsa(MlDsa),
}

impl RequestKey {
    /// The kinds that profiles have unless they say otherwise.
    pub const USUAL: [Self; 3] = [Self::P256, Self::P384, Self::Rsa];

    /// The kinds that only a profile of an experiment has.
    pub const EXPERIMENTAL: [Self; 3] = [
        Self::MlDsa(MlDsa::Level44),
        Self::MlDsa(MlDsa::Level65),
        Self::MlDsa(MlDsa::Level87),
    ];

    /// The name in configurations and lists: `P-256`, `P-384`, `RSA`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
            Self::MlDsa(level) => level.name(),
        }
    }
}

/// Why no certificate can be issued for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More bytes than any request has.
    #[error("the certificate request is longer than {MAX_REQUEST_BYTES} bytes")]
    TooLarge,
    /// The text holds no request, or several, or something else.
    #[error("one PEM block -----BEGIN CERTIFICATE REQUEST----- was expected: {0}")]
    Pem(String),
    /// The bytes are not the DER of one PKCS#10 request.
    #[error("it is no PKCS#10 certificate request in DER: {0}")]
    NotARequest(String),
    /// A key that is too short or of another kind.
    #[error(
        "its key is of a kind that is not accepted; use P-256, P-384 or RSA of 2048 to 8192 bits"
    )]
    Key,
    /// An RSA key that others can compute the private half of, or forge signatures of.
    #[error("its RSA key is weak: {0}; make another key")]
    WeakKey(RsaWeakness),
    /// The signature does not prove that the sender has the key.
    #[error("it is not signed with its own key, by RSA or ECDSA with SHA-2, or by ML-DSA")]
    Signature,
    /// The subject has no common name.
    #[error("its subject has no common name; it must be the registration id")]
    NoCommonName,
    /// The request is for another device.
    #[error("its common name {common_name:?} is not the registration id")]
    CommonNameMismatch {
        /// The common name, shortened.
        common_name: String,
    },
    /// The common name is not what the profile's certificates have there.
    #[error("its common name {common_name:?} cannot be issued: {problem}")]
    CommonName {
        /// The common name, shortened.
        common_name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The names that it asks for cannot be in a server's certificate.
    #[error("its subjectAltName cannot be issued: {0}")]
    Names(String),
    /// The profile does not have this kind of key.
    #[error("its key is {}, and the profile has only {}", .requested.name(), list(.accepted))]
    KeyType {
        /// The kind of the request's key.
        requested: RequestKey,
        /// The kinds that the profile has.
        accepted: Vec<RequestKey>,
    },
}

impl RequestError {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::Pem(_) | Self::NotARequest(_) => "csr_unparsable",
            Self::Key => "csr_key_unsupported",
            Self::WeakKey(_) => "csr_key_weak",
            Self::KeyType { .. } => "csr_key_type_forbidden",
            Self::Signature => "csr_signature_bad",
            Self::NoCommonName => "csr_common_name_absent",
            Self::CommonNameMismatch { .. } => "csr_common_name_mismatch",
            Self::CommonName { .. } => "csr_common_name_bad",
            Self::Names(_) => "csr_names_bad",
        }
    }
}

fn list(kinds: &[RequestKey]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

/// A request whose sender has the key. What it asks for is not yet admitted by a profile. Only
/// [`prove_request`] makes one.
#[derive(Debug, Clone)]
pub struct ProvenRequest {
    common_name: Option<String>,
    names: RequestedNames,
    kind: RequestKey,
    key_bits: Box<[u8]>,
}

/// Reads a request, DER or PEM, and proves that its sender has the key.
pub fn prove_request(request: &[u8]) -> Result<ProvenRequest, RequestError> {
    match request.first() {
        // A SEQUENCE.
        Some(0x30) => prove_der(request),
        _ => prove_der(&from_pem(request)?),
    }
}

fn from_pem(text: &[u8]) -> Result<Vec<u8>, RequestError> {
    // Base64 needs four characters for three bytes; the rest is for line ends and what stands
    // around.
    if text.len() > 2 * MAX_REQUEST_BYTES {
        return Err(RequestError::TooLarge);
    }
    let broken = |error: crate::PemError| RequestError::Pem(error.to_string());
    let text = pem_text(text).map_err(broken)?;
    match pem_blocks(&text).map_err(broken)?.as_slice() {
        [request] if is_request(request.label) => request.der().map_err(broken),
        [] => Err(RequestError::Pem("there is none".to_owned())),
        [_] => Err(RequestError::Pem("it is another kind of block".to_owned())),
        _ => Err(RequestError::Pem("there are several".to_owned())),
    }
}

fn prove_der(der: &[u8]) -> Result<ProvenRequest, RequestError> {
    if der.len() > MAX_REQUEST_BYTES {
        return Err(RequestError::TooLarge);
    }
    let (rest, request) = X509CertificationRequest::from_der(der)
        .map_err(|error| RequestError::NotARequest(reason(&error)))?;
    if !rest.is_empty() {
        let problem = format!("{} bytes follow it", rest.len());
        return Err(RequestError::NotARequest(problem));
    }
    let info = &request.certification_request_info;
    let algorithm = algorithm_of_key(info.subject_pki.raw);
    let key = SubjectKey {
        algorithm: &algorithm,
        bits: info.subject_pki.subject_public_key.data.as_ref(),
    };
    let kind = kind_of(key).ok_or(RequestError::Key)?;
    if let Some(weakness) = key.rsa_weakness() {
        return Err(RequestError::WeakKey(weakness));
    }
    if !is_signed_with(der, key) {
        return Err(RequestError::Signature);
    }
    Ok(ProvenRequest {
        common_name: common_name(&info.subject),
        names: RequestedNames::read(&request),
        kind,
        key_bits: key.bits.into(),
    })
}

fn kind_of(key: SubjectKey<'_>) -> Option<RequestKey> {
    match key.kind()? {
        KeyAlgorithm::P256 => Some(RequestKey::P256),
        KeyAlgorithm::P384 => Some(RequestKey::P384),
        KeyAlgorithm::Rsa => key.is_long_rsa().then_some(RequestKey::Rsa),
        KeyAlgorithm::MlDsa(level) => Some(RequestKey::MlDsa(level)),
        KeyAlgorithm::P521 | KeyAlgorithm::Ed25519 => None,
    }
}

impl ProvenRequest {
    /// The last common name of the subject, of any length and content.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The DNS names and IP addresses of the requested subjectAltName; an error when it cannot be
    /// read, has more than [`MAX_REQUEST_NAMES`] or one that no certificate can have.
    pub fn server_names(&self) -> Result<&[ServerName], RequestError> {
        self.names.get()
    }

    /// Whether its key is that of a certificate.
    #[must_use]
    pub fn has_key_of(&self, certificate: &Certificate) -> bool {
        kind_of(certificate.key()) == Some(self.kind) && *self.key_bits == *certificate.key_bits()
    }

    /// The kind of its key.
    #[must_use]
    pub fn kind(&self) -> RequestKey {
        self.kind
    }
}

/// A common name as errors quote it.
pub(crate) fn shortened(common_name: &str) -> String {
    common_name.chars().take(2 * MAX_COMMON_NAME).collect()
}

impl PublicKeyData for ProvenRequest {
    fn der_bytes(&self) -> &[u8] {
        &self.key_bits
    }

    /// Names the kind of key in the certificate; the issuer's key decides how that is signed.
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            RequestKey::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            RequestKey::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            RequestKey::Rsa => &rcgen::PKCS_RSA_SHA256,
            RequestKey::MlDsa(level) => level.in_rcgen(),
        }
    }
}
