//! One certificate, parsed once.

mod algorithms;
mod ca;
mod digest;
mod extensions;
mod key_ids;
mod name;
mod pem;
mod signature;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ids::{CertificateSerial, IdError, Thumbprint, ThumbprintSha1, Timestamp};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{ServerName, SignatureScheme};
pub(crate) use digest::sha1;
pub use digest::sha256;
use extensions::Extensions;
pub(crate) use extensions::{ANY_POLICY, AltName, NameConstraints, Oid, Policies, Purposes};
pub(crate) use name::{
    canonical as canonical_name, canonical_parts, common_name, is_name_within, to_text as name_text,
};
pub use pem::PemError;
pub(crate) use pem::{blocks as pem_blocks, encode as encode_pem, is_request, text_of as pem_text};
pub(crate) use signature::{CERTIFICATE_ALGORITHMS, SubjectKey, algorithm_of_key, is_signed_with};
pub use signature::{LeafKey, RsaWeakness};

/// Why bytes are not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are not the DER of one X.509 certificate.
    #[error("not an X.509 certificate in DER: {0}")]
    NotACertificate(String),
    /// Bytes follow the certificate.
    #[error("{0} bytes follow the certificate")]
    TrailingBytes(usize),
    /// An extension that decides about trust cannot be read.
    #[error("the extension {name} cannot be read")]
    BadExtension {
        /// The extension's name, for example `basicConstraints`.
        name: &'static str,
    },
}

/// An X.509 certificate. Cheap to clone; says nothing about whether it is trusted.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: CertificateDer<'static>,
    sha256: Thumbprint,
    common_name: Option<String>,
    subject_der: Box<[u8]>,
    issuer_der: Box<[u8]>,
    spki_der: Box<[u8]>,
    key_algorithm: Box<[u8]>,
    key_bits: Box<[u8]>,
    serial_hex: String,
    not_before: Timestamp,
    not_after: Timestamp,
    version: u8,
    extensions: Extensions,
    /// The names as they are compared. Most are never asked for.
    subject_key: OnceLock<Box<[u8]>>,
    issuer_key: OnceLock<Box<[u8]>>,
    /// Whether a path through it was verified up to something that is enrolled.
    vouched_for: AtomicBool,
}

impl Certificate {
    /// Parses the DER of exactly one certificate.
    ///
    /// # Errors
    /// When the bytes are something else, or an extension that decides about trust
    /// is malformed or repeated.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, x509) = X509Certificate::from_der(der)
            .map_err(|error| CertificateError::NotACertificate(reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes(rest.len()));
        }
        let version = u8::try_from(x509.version.0.saturating_add(1)).unwrap_or(u8::MAX);
        let parsed = Parsed {
            sha256: sha256(der),
            common_name: common_name(x509.subject()),
            subject_der: x509.subject().as_raw().into(),
            issuer_der: x509.issuer().as_raw().into(),
            spki_der: x509.public_key().raw.into(),
            key_algorithm: algorithm_of_key(x509.public_key().raw),
            key_bits: x509.public_key().subject_public_key.data.as_ref().into(),
            serial_hex: serial_hex(x509.raw_serial()),
            not_before: Timestamp::from_unix_seconds(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix_seconds(x509.validity().not_after.timestamp()),
            version,
            extensions: Extensions::read(&x509)?,
            subject_key: OnceLock::new(),
            issuer_key: OnceLock::new(),
            vouched_for: AtomicBool::new(false),
            der: CertificateDer::from(der.to_vec()),
        };
        Ok(Self(Arc::new(parsed)))
    }

    /// Parses every `CERTIFICATE` block of a PEM text, in order; text between blocks is ignored
    /// unless it looks like one.
    ///
    /// # Errors
    /// When there is no certificate, a block or a marker is broken, certificates are there in a
    /// form that is not read, or a private key is found where a certificate was meant.
    pub fn parse_pem_bundle(text: &str) -> Result<Vec<Self>, PemError> {
        pem::parse_bundle(text)
    }

    /// What the `CERTIFICATE` blocks of a PEM text hold, certificates or not.
    ///
    /// # Errors
    /// As [`parse_pem_bundle`](Self::parse_pem_bundle), as far as the text is concerned.
    pub fn pem_to_der(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
        pem::to_der(text)
    }

    /// Reads every certificate of a file: DER, PEM in UTF-8 or UTF-16, or the Base64
    /// of one of these.
    ///
    /// # Errors
    /// As [`parse_pem_bundle`](Self::parse_pem_bundle); another kind of file is named.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, PemError> {
        pem::read_all(bytes)
    }

    /// The PEM text of a file that [`read_all`](Self::read_all) would read, before anything
    /// in it is parsed.
    pub fn file_to_pem(bytes: &[u8]) -> Result<String, PemError> {
        pem::as_text(bytes)
    }

    /// Reads what an operator hands over as "a certificate": a file with exactly one, in
    /// any form of [`read_all`](Self::read_all).
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all); more than one certificate is an error too.
    pub fn parse_one(bytes: &[u8]) -> Result<Self, PemError> {
        pem::parse_one(bytes)
    }

    /// The certificate as a PEM block with a final newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der())
    }

    /// The DER encoding of the certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate's DER as rustls wants it.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// The subject's last common name, if it has one.
    #[must_use]
    pub fn subject_common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// The subject in RFC 4514 style, most specific part first, for example
    /// `CN=edge-001, O=Contoso`.
    #[must_use]
    pub fn subject(&self) -> String {
        name::to_text(&self.0.subject_der)
    }

    /// The issuer, written like [`subject`](Self::subject).
    #[must_use]
    pub fn issuer(&self) -> String {
        name::to_text(&self.0.issuer_der)
    }

    /// The subject's DER. Equal names may have different ones: see
    /// [`subject_key`](Self::subject_key).
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        &self.0.subject_der
    }

    /// The issuer's distinguished name, DER.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        &self.0.issuer_der
    }

    /// The subject in the form in which names are compared (RFC 5280, 7.1).
    #[must_use]
    pub fn subject_key(&self) -> &[u8] {
        let key = || name::canonical(&self.0.subject_der);
        self.0.subject_key.get_or_init(key)
    }

    /// The issuer in that form.
    #[must_use]
    pub fn issuer_key(&self) -> &[u8] {
        let key = || name::canonical(&self.0.issuer_der);
        self.0.issuer_key.get_or_init(key)
    }

    /// The public key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// The serial number in upper-case hexadecimal, two digits a byte, without a sign byte.
    #[must_use]
    pub fn serial_hex(&self) -> &str {
        &self.0.serial_hex
    }

    /// The serial number as a value.
    ///
    /// # Errors
    /// When it has more bytes than RFC 5280 allows, which some foreign CAs' have.
    pub fn serial(&self) -> Result<CertificateSerial, IdError> {
        CertificateSerial::parse(&self.0.serial_hex)
    }

    /// The first moment at which the certificate is valid.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// The last second in which the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Whether the certificate says that it may issue others (basicConstraints cA).
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// The DNS names and IP addresses of the subjectAltName, in its order.
    #[must_use]
    pub fn server_names(&self) -> Vec<ServerName> {
        self.0.extensions.server_names.clone()
    }

    /// Whether subject and issuer are the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.is_issued_by_name(self)
    }

    /// Whether this certificate names `issuer` as the one that issued it; signatures
    /// are not looked at.
    #[must_use]
    pub fn is_issued_by_name(&self, issuer: &Self) -> bool {
        self.0.issuer_der == issuer.0.subject_der || self.issuer_key() == issuer.subject_key()
    }

    /// The X.509 version: 1 or 3 in practice.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.0.version
    }

    /// The SHA-256 of the DER.
    #[must_use]
    pub fn sha256(&self) -> Thumbprint {
        self.0.sha256
    }

    /// The SHA-1 of the DER: shown next to the other, never trusted alone.
    #[must_use]
    pub fn sha1(&self) -> ThumbprintSha1 {
        ThumbprintSha1::from_bytes(sha1(self.der()))
    }

    /// Whether this certificate was signed with `issuer`'s key; names, dates and usages
    /// are not looked at.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        signature::is_signed_by(self, issuer)
    }

    /// Whether `signature` over `message` was made with this certificate's key by `scheme`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8], scheme: SignatureScheme) -> bool {
        signature::verifies(self, message, signature, scheme)
    }

    /// Whether the signature's algorithm is one that we verify and one that `issuer`'s
    /// key can have made.
    pub(crate) fn is_signed_in_a_supported_way(&self, issuer: &Self) -> bool {
        signature::is_supported(self, issuer)
    }

    pub(crate) fn key(&self) -> SubjectKey<'_> {
        SubjectKey {
            algorithm: self.key_algorithm(),
            bits: self.key_bits(),
        }
    }

    /// Its subject, where it has one, the names of its subjectAltName, and mail addresses where
    /// they were before there was one.
    pub(crate) fn all_names(&self) -> Vec<AltName> {
        const EMPTY: &[u8] = &[0x30, 0];
        let mut names = self.0.extensions.alt_names.clone();
        if !names.iter().any(|name| matches!(name, AltName::Mail(_))) {
            let mail = name::mail_addresses(&self.0.subject_der).into_iter();
            names.extend(mail.map(AltName::Mail));
        }
        if *self.0.subject_der != *EMPTY {
            names.push(AltName::Directory(self.0.subject_der.clone()));
        }
        names
    }

    /// Notes that a path through it was verified up to something that is enrolled.
    pub(crate) fn vouch(&self) {
        self.0.vouched_for.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_vouched_for(&self) -> bool {
        self.0.vouched_for.load(Ordering::Relaxed)
    }

    pub(crate) fn key_algorithm(&self) -> &[u8] {
        &self.0.key_algorithm
    }

    pub(crate) fn key_bits(&self) -> &[u8] {
        &self.0.key_bits
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.sha256 == other.0.sha256
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

fn serial_hex(raw: &[u8]) -> String {
    let unsigned = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    name::hex(unsigned)
}

pub(crate) fn reason(error: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(e) | x509_parser::nom::Err::Failure(e) => e.to_string(),
    }
}
