use std::ops::RangeInclusive;

use super::{CertId, NONCE};
use crate::der::{DerError, Reader, tag};

/// Longest request that is read, bytes of DER.
pub const MAX_OCSP_REQUEST_BYTES: usize = 8 * 1024;

/// How many certificates one request may ask for.
pub const MAX_OCSP_IDS: usize = 32;

/// How long a nonce may be (RFC 9654, 2.1).
const NONCE_BYTES: RangeInclusive<usize> = 1..=128;

/// Why a request cannot be answered; the answer is `malformedRequest`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspRequestError {
    /// More bytes than [`MAX_OCSP_REQUEST_BYTES`], or more certificates than [`MAX_OCSP_IDS`].
    #[error(
        "it is longer than {MAX_OCSP_REQUEST_BYTES} bytes or asks for more than {MAX_OCSP_IDS} \
         certificates"
    )]
    TooLarge,
    /// The bytes are not the DER of one OCSPRequest.
    #[error("it is no OCSP request in DER: {0}")]
    NotARequest(#[from] DerError),
    /// A request for no certificate.
    #[error("it asks for no certificate")]
    Empty,
    /// A nonce that is too short or too long.
    #[error("its nonce has no length from 1 to 128 bytes")]
    Nonce,
    /// A critical extension that is not understood.
    #[error("it has a critical extension that is not understood")]
    Critical,
}

/// A request. Who signed it, if anybody, does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspRequest<'a> {
    /// The certificates in question; at least one.
    pub ids: Vec<CertId<'a>>,
    /// What the answer has to repeat, so that it is not an older one.
    pub nonce: Option<&'a [u8]>,
}

impl<'a> OcspRequest<'a> {
    /// Reads the DER of one OCSPRequest.
    pub fn read(der: &'a [u8]) -> Result<Self, OcspRequestError> {
        if der.len() > MAX_OCSP_REQUEST_BYTES {
            return Err(OcspRequestError::TooLarge);
        }
        let mut outer = Reader::only(der, tag::SEQUENCE)?;
        let mut fields = outer.nested(tag::SEQUENCE)?;
        // The signature.
        outer.optional(tag::context_constructed(0))?;
        outer.end()?;
        if let Some(version) = fields.optional(tag::context_constructed(0))?
            && version.content != [tag::INTEGER, 1, 0]
        {
            return Err(DerError::Value("the version").into());
        }
        // requestorName.
        fields.optional(tag::context_constructed(1))?;
        let ids = read_ids(fields.nested(tag::SEQUENCE)?)?;
        let nonce = match fields.optional(tag::context_constructed(2))? {
            Some(extensions) => read_nonce(extensions.content)?,
            None => None,
        };
        fields.end()?;
        Ok(Self { ids, nonce })
    }
}

fn read_ids(mut list: Reader<'_>) -> Result<Vec<CertId<'_>>, OcspRequestError> {
    let mut ids = Vec::new();
    while !list.rest().is_empty() {
        if ids.len() == MAX_OCSP_IDS {
            return Err(OcspRequestError::TooLarge);
        }
        let mut request = list.nested(tag::SEQUENCE)?;
        ids.push(CertId::read(&mut request)?);
        if let Some(extensions) = request.optional(tag::context_constructed(0))? {
            let mut extensions = Reader::only(extensions.content, tag::SEQUENCE)?;
            while let Some(extension) = extensions.extension()? {
                if extension.critical {
                    return Err(OcspRequestError::Critical);
                }
            }
        }
        request.end()?;
    }
    if ids.is_empty() {
        return Err(OcspRequestError::Empty);
    }
    Ok(ids)
}

fn read_nonce(extensions: &[u8]) -> Result<Option<&[u8]>, OcspRequestError> {
    let mut extensions = Reader::only(extensions, tag::SEQUENCE)?;
    let mut nonce = None;
    while let Some(extension) = extensions.extension()? {
        if extension.oid == NONCE {
            let mut value = Reader::new(extension.value);
            let octets = value.read(tag::OCTET_STRING)?.content;
            value.end()?;
            if !NONCE_BYTES.contains(&octets.len()) || nonce.is_some() {
                return Err(OcspRequestError::Nonce);
            }
            nonce = Some(octets);
        } else if extension.critical {
            return Err(OcspRequestError::Critical);
        }
    }
    Ok(nonce)
}
