//! PEM text to certificates and back. The rule is RFC 7468, read leniently: text around blocks is allowed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::{Certificate, CertificateError};

/// How many certificates one bundle may hold: more than any chain, fewer than a trust store of the whole web.
const MAX_BUNDLE: usize = 1000;

/// Why a text is not the certificate or the certificates that were wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `-----BEGIN CERTIFICATE-----` block.
    #[error("there is no certificate in it (no -----BEGIN CERTIFICATE----- block)")]
    NoCertificate,
    /// A private key and no certificate.
    #[error("it holds a private key and no certificate; is this the key file?")]
    PrivateKeyInstead,
    /// A certificate request and no certificate.
    #[error("it holds a certificate request, not yet a certificate; let a CA sign it first")]
    RequestInstead,
    /// A block that does not end or whose Base64 is broken.
    #[error("the PEM text is broken: {0}")]
    Broken(String),
    /// A block whose content is not a certificate.
    #[error("certificate {position} of the text cannot be read")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// Several certificates where one was wanted.
    #[error(
        "it holds {0} certificates, one is wanted here; give the file with this certificate alone"
    )]
    Several(usize),
    /// More certificates than any bundle needs.
    #[error("it holds more than {MAX_BUNDLE} certificates")]
    TooMany,
}

pub(super) fn parse_bundle(text: &str) -> Result<Vec<Certificate>, PemError> {
    let mut certificates = Vec::new();
    let mut key_seen = false;
    let mut request_seen = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|error| PemError::Broken(broken(&error)))?;
        match kind {
            SectionKind::Certificate if certificates.len() == MAX_BUNDLE => {
                return Err(PemError::TooMany);
            }
            SectionKind::Certificate => {
                let position = certificates.len() + 1;
                let parsed = Certificate::from_der(&der)
                    .map_err(|source| PemError::Certificate { position, source })?;
                certificates.push(parsed);
            }
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                key_seen = true;
            }
            SectionKind::Csr => request_seen = true,
            _ => {}
        }
    }
    // Encrypted keys are not a kind of their own to the PEM reader.
    key_seen |= text.contains("PRIVATE KEY-----");
    match (certificates.is_empty(), key_seen, request_seen) {
        (false, ..) => Ok(certificates),
        (true, true, _) => Err(PemError::PrivateKeyInstead),
        (true, false, true) => Err(PemError::RequestInstead),
        (true, false, false) => Err(PemError::NoCertificate),
    }
}

pub(super) fn parse_one(bytes: &[u8]) -> Result<Certificate, PemError> {
    // DER of a certificate always starts with a SEQUENCE of more than 127 bytes.
    if bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x81]) {
        return Certificate::from_der(bytes).map_err(|source| PemError::Certificate {
            position: 1,
            source,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| PemError::NoCertificate)?;
    let mut certificates = parse_bundle(text)?;
    match (certificates.pop(), certificates.len()) {
        (Some(only), 0) => Ok(only),
        (_, others) => Err(PemError::Several(others + 1)),
    }
}

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

fn broken(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::MissingSectionEnd { end_marker } => {
            let marker = String::from_utf8_lossy(end_marker);
            format!("a block does not end with {}", marker.trim())
        }
        Error::IllegalSectionStart { .. } => "a BEGIN line is malformed".to_owned(),
        Error::Base64Decode(_) => "a block is not Base64".to_owned(),
        other => format!("{other:?}"),
    }
}
