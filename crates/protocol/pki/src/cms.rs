//! CMS SignedData without signers (RFC 5652, 5; RFC 5272, 4.1): a list of certificates, as EST
//! answers with it.

use crate::der::{DerError, Reader, Writer, tag};
use crate::{Certificate, CertificateError};

/// Longest message that is read, bytes of DER.
pub const MAX_CMS_BYTES: usize = 256 * 1024;

/// How many certificates one message may hold.
pub const MAX_CMS_CERTIFICATES: usize = 32;

/// 1.2.840.113549.1.7.1.
const ID_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// 1.2.840.113549.1.7.2.
const ID_SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

/// Why a message is no list of certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// More bytes than [`MAX_CMS_BYTES`], or more certificates than [`MAX_CMS_CERTIFICATES`].
    #[error(
        "it is longer than {MAX_CMS_BYTES} bytes or holds more than {MAX_CMS_CERTIFICATES} \
         certificates"
    )]
    TooLarge,
    /// The bytes are not the DER of one ContentInfo with SignedData.
    #[error("it is no CMS SignedData in DER: {0}")]
    NotSignedData(#[from] DerError),
    /// Signed content or signers where only certificates belong.
    #[error("it has content or signers; a list of certificates has neither")]
    NotCertsOnly,
    /// One of the certificates cannot be read.
    #[error("certificate {position} of it cannot be read")]
    Certificate {
        /// The place in the list, counted from 1.
        position: usize,
        /// The fault of that certificate.
        #[source]
        source: CertificateError,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    Empty,
}

/// Encodes certificates in the order in which they are given, DER except for that order: a DER SET
/// would be sorted, and clients take the first certificate for theirs.
#[must_use]
pub fn certs_only(certificates: &[&Certificate]) -> Vec<u8> {
    let mut der = Writer::default();
    der.sequence(|der| {
        der.element(tag::OID, ID_SIGNED_DATA);
        der.nest(tag::context_constructed(0), |der| {
            der.sequence(|der| {
                // Version 1: neither attribute certificates nor signers.
                der.element(tag::INTEGER, &[1]);
                // No digest algorithms.
                der.element(tag::SET, &[]);
                der.sequence(|der| der.element(tag::OID, ID_DATA));
                der.nest(tag::context_constructed(0), |der| {
                    for certificate in certificates {
                        der.raw(certificate.der());
                    }
                });
                // No signers.
                der.element(tag::SET, &[]);
            });
        });
    });
    der.finish()
}

/// Reads a list of certificates; lists of revoked ones beside them are skipped.
pub fn read_certs_only(der: &[u8]) -> Result<Vec<Certificate>, CmsError> {
    if der.len() > MAX_CMS_BYTES {
        return Err(CmsError::TooLarge);
    }
    let mut info = Reader::only(der, tag::SEQUENCE)?;
    if info.read(tag::OID)?.content != ID_SIGNED_DATA {
        return Err(DerError::Value("the content type").into());
    }
    let content = info.read(tag::context_constructed(0))?.content;
    info.end()?;
    let mut signed_data = Reader::only(content, tag::SEQUENCE)?;
    signed_data.integer()?;
    signed_data.read(tag::SET)?;
    let mut encapsulated = signed_data.nested(tag::SEQUENCE)?;
    encapsulated.read(tag::OID)?;
    let has_content = !encapsulated.rest().is_empty();
    let certificates = signed_data.optional(tag::context_constructed(0))?;
    signed_data.optional(tag::context_constructed(1))?;
    let has_signers = !signed_data.read(tag::SET)?.content.is_empty();
    signed_data.end()?;
    if has_content || has_signers {
        return Err(CmsError::NotCertsOnly);
    }
    read_certificates(certificates.map(|set| set.content).unwrap_or_default())
}

fn read_certificates(set: &[u8]) -> Result<Vec<Certificate>, CmsError> {
    let mut reader = Reader::new(set);
    let mut found = Vec::new();
    while !reader.rest().is_empty() {
        if found.len() == MAX_CMS_CERTIFICATES {
            return Err(CmsError::TooLarge);
        }
        let der = reader.read(tag::SEQUENCE)?.whole;
        let position = found.len() + 1;
        let certificate = Certificate::from_der(der)
            .map_err(|source| CmsError::Certificate { position, source })?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(CmsError::Empty);
    }
    Ok(found)
}
