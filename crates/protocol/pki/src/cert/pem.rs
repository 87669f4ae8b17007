//! Certificates in the forms in which people have them, and PEM text back. The rule is RFC 7468,
//! read leniently: text around blocks, line ends and the place of markers do not matter. A
//! certificate is read or the file is refused; none is skipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Certificate, CertificateError};

mod blocks;
mod form;

pub(crate) use blocks::{Block, blocks};

/// How many certificates one bundle may hold: more than any chain, fewer than a trust store
/// of the whole web.
const MAX_BUNDLE: usize = 1000;

/// How many certificates of a file are named in an error.
const NAMED: usize = 5;

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
    /// Something else that is known.
    #[error("{0}")]
    Instead(&'static str),
    /// A block of another kind that holds certificates too.
    #[error("line {line} begins a block {label:?}, which {}", instead_of(.label))]
    OtherForm {
        /// The label of the block, such as `CERTIFICATE REQUEST`.
        label: String,
        /// The line where the block begins.
        line: usize,
    },
    /// A line that looks like a BEGIN or END marker and is not valid.
    #[error(
        "line {line} has a broken marker; a certificate stands between -----BEGIN CERTIFICATE----- \
         and -----END CERTIFICATE-----, with five hyphens each"
    )]
    Marker {
        /// The line, counted from 1.
        line: usize,
    },
    /// Base64 without markers beside blocks with them.
    #[error(
        "line {line} has Base64 without a -----BEGIN … line before it; add the line, or take the \
         text away"
    )]
    Bare {
        /// The line, counted from 1.
        line: usize,
    },
    /// A block that does not end or whose Base64 is broken.
    #[error("the PEM text is broken: {0}")]
    Broken(String),
    /// A block whose content is not a certificate.
    #[error("certificate {position} of the text cannot be read")]
    Certificate {
        /// The block's position in the text, counted from 1.
        position: usize,
        /// The fault of that certificate.
        #[source]
        source: CertificateError,
    },
    /// Several certificates where one was wanted.
    #[error(
        "it holds {count} certificates ({}), one is wanted here; give a file with that certificate \
         alone",
        .subjects.join("; ")
    )]
    Several {
        /// The number of certificates in the file.
        count: usize,
        /// Whose they are; the first of them.
        subjects: Vec<String>,
    },
    /// More certificates than any bundle needs.
    #[error("it holds more than {MAX_BUNDLE} certificates")]
    TooMany,
}

/// Whether a block of this label is a certificate: RFC 7468 section 5.1 has the old names, too.
fn is_certificate(label: &str) -> bool {
    matches!(
        label,
        "CERTIFICATE" | "X509 CERTIFICATE" | "X.509 CERTIFICATE"
    )
}

/// Whether a block of this label is a certification request: `certreq` and `keytool`
/// write the second one.
pub(crate) fn is_request(label: &str) -> bool {
    matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST")
}

/// Whether a block of this label has certificates in it in a form that is not read here.
fn holds_certificates(label: &str) -> bool {
    matches!(label, "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS")
        || (label.contains("CERTIFICATE") && !is_certificate(label) && !is_request(label))
}

fn instead_of(label: &str) -> &'static str {
    match label {
        "TRUSTED CERTIFICATE" => {
            "is OpenSSL's own form of a certificate; write a plain one: openssl x509 -in FILE -out \
             certificate.pem"
        }
        "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => {
            "is PKCS#7; take the certificates out of it: openssl pkcs7 -in FILE -print_certs -out \
             certificates.pem"
        }
        _ => "is not read here; a certificate is a block CERTIFICATE",
    }
}

/// The certificates of a text.
pub(super) fn parse_bundle(text: &str) -> Result<Vec<Certificate>, PemError> {
    let parse = |(position, der): (usize, Vec<u8>)| {
        Certificate::from_der(&der).map_err(|source| form::instead(&der, position, source))
    };
    (1..).zip(to_der(text)?).map(parse).collect()
}

/// What the blocks of certificates hold. Keys, requests, parameters and the like
/// may stand beside them.
pub(super) fn to_der(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let blocks = blocks(text)?;
    if let Some(block) = blocks.iter().find(|block| holds_certificates(block.label)) {
        let label = block.label.to_owned();
        return Err(PemError::OtherForm {
            label,
            line: block.line,
        });
    }
    let wanted: Vec<&Block<'_>> = blocks
        .iter()
        .filter(|block| is_certificate(block.label))
        .collect();
    if wanted.len() > MAX_BUNDLE {
        return Err(PemError::TooMany);
    }
    if wanted.is_empty() {
        return Err(missing(text, &blocks));
    }
    wanted.iter().map(|block| block.der()).collect()
}

/// What is there instead of a certificate.
fn missing(text: &str, blocks: &[Block<'_>]) -> PemError {
    let has = |is: fn(&str) -> bool| blocks.iter().any(|block| is(block.label));
    if has(|label| label.ends_with("PRIVATE KEY")) {
        PemError::PrivateKeyInstead
    } else if has(is_request) {
        PemError::RequestInstead
    } else if has(|label| label.ends_with("PUBLIC KEY")) {
        PemError::Instead(form::PUBLIC_KEY)
    } else if has(|label| label.ends_with("CRL")) {
        PemError::Instead(form::CRL)
    } else if text.contains('\0') {
        PemError::Instead(form::UTF_16)
    } else {
        PemError::NoCertificate
    }
}

/// The one certificate of a file.
pub(super) fn parse_one(bytes: &[u8]) -> Result<Certificate, PemError> {
    let mut certificates = read_all(bytes)?;
    match (certificates.pop(), certificates.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(PemError::NoCertificate),
        (Some(last), others) => {
            certificates.push(last);
            let subjects = certificates.iter().take(NAMED).map(Certificate::subject);
            Err(PemError::Several {
                count: others + 1,
                subjects: subjects.collect(),
            })
        }
    }
}

pub(crate) use form::text_of;
pub(super) use form::{as_text, read_all};

/// A PEM block. Of a private key nothing stays in memory but the text that is returned.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    const AROUND: usize = "-----BEGIN -----\n-----END -----\n".len();
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let lines = base64.len().div_ceil(64);
    // A text that grows leaves its beginning where it was before.
    let mut text = String::with_capacity(AROUND + 2 * label.len() + base64.len() + lines);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_into_memory_of_its_size() {
        for (label, length) in [("PRIVATE KEY", 138), ("X", 48), ("X", 0), ("X", 1)] {
            let text = encode(label, &vec![7; length]);
            assert_eq!(text.len(), text.capacity(), "{label} {length}");
        }
    }
}
