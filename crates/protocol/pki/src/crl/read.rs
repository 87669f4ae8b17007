use std::ops::Range;

use ids::Timestamp;

use super::extensions::Extensions;
use super::{MAX_CRL_BYTES, RevocationReason, RevokedEntry, oid};
use crate::cert::{name_text, pem_blocks, pem_text};
use crate::der::{DerError, Extension, Reader, tag, unsigned};

/// Why bytes are not a list that we can use, before its signature is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// More bytes than [`MAX_CRL_BYTES`].
    #[error("the revocation list is longer than {MAX_CRL_BYTES} bytes")]
    TooLarge,
    /// The text is not one PEM block `X509 CRL`.
    #[error("one PEM block -----BEGIN X509 CRL-----, or DER, was expected: {0}")]
    Pem(String),
    /// The bytes are not the DER of one CertificateList.
    #[error("it is no certificate revocation list in DER: {0}")]
    NotACrl(#[from] DerError),
    /// The algorithm that is signed is not the algorithm beside the signature.
    #[error("its two signature algorithms differ")]
    Algorithms,
    /// A list of changes, which is useless without its base list.
    #[error("it is a delta list; give the full list of the CA")]
    Delta,
    /// A list with entries of other CAs.
    #[error("it is an indirect list, with entries of other CAs; give the list of the CA itself")]
    Indirect,
    /// A list that leaves out revocations on purpose.
    #[error("it covers only {0}; give a list that covers all revoked certificates")]
    Partial(&'static str),
    /// A critical extension that is not understood.
    #[error("its critical extension {0} is not understood")]
    Critical(String),
    /// A cRLNumber that is critical (RFC 5280, 5.2.3).
    #[error("its cRLNumber is critical, which it must not be")]
    NumberCritical,
    /// A reason that RFC 5280 does not know, or that belongs into delta lists.
    #[error("an entry has the reason code {0}, which no full list can have")]
    Reason(u8),
}

/// cRLNumber: up to 20 bytes. Greater ones are later lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlNumber(Box<[u8]>);

impl CrlNumber {
    pub(super) fn new(content: &[u8]) -> Self {
        Self(unsigned(content).into())
    }

    /// The highest byte first, without leading zeros.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for CrlNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |number: &Self| (number.0.len(), number.0.clone());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for CrlNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for CrlNumber {
    /// Hexadecimal, as OpenSSL shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// A list whose structure is sound and whose signature is not verified.
#[derive(Debug)]
pub struct UnverifiedCrl(pub(super) Crl);

#[derive(Debug)]
pub(super) struct Crl {
    pub(super) der: Vec<u8>,
    /// Where the content of revokedCertificates is in the DER.
    entries: Range<usize>,
    pub(super) count: usize,
    pub(super) issuer: Box<[u8]>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Option<Timestamp>,
    pub(super) extensions: Extensions,
}

impl UnverifiedCrl {
    /// Reads a full list, DER or one PEM block, and every entry of it.
    pub fn read(bytes: Vec<u8>) -> Result<Self, CrlError> {
        match bytes.first() {
            Some(&tag::SEQUENCE) => Ok(Self(Crl::read(bytes)?)),
            _ => Ok(Self(Crl::read(from_pem(&bytes)?)?)),
        }
    }

    /// The name of the CA that the list says it is of, in RFC 4514 style.
    #[must_use]
    pub fn issuer(&self) -> String {
        name_text(&self.0.issuer)
    }

    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.0.issuer
    }

    pub(crate) fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }
}

fn from_pem(bytes: &[u8]) -> Result<Vec<u8>, CrlError> {
    if bytes.len() > 2 * MAX_CRL_BYTES {
        return Err(CrlError::TooLarge);
    }
    let broken = |error: crate::PemError| CrlError::Pem(error.to_string());
    let text = pem_text(bytes).map_err(broken)?;
    match pem_blocks(&text).map_err(broken)?.as_slice() {
        [list] if list.label == "X509 CRL" => list.der().map_err(broken),
        [] => Err(CrlError::Pem("there is none".to_owned())),
        [_] => Err(CrlError::Pem("it is another kind of block".to_owned())),
        _ => Err(CrlError::Pem("there are several".to_owned())),
    }
}

impl Crl {
    fn read(der: Vec<u8>) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLarge);
        }
        let mut list = Reader::only(&der, tag::SEQUENCE)?;
        let mut fields = list.nested(tag::SEQUENCE)?;
        let algorithm = list.read(tag::SEQUENCE)?.content;
        list.bit_string()?;
        list.end()?;

        let version = fields
            .optional(tag::INTEGER)?
            .map(|version| version.content);
        if version.is_some_and(|version| version != [1]) {
            return Err(DerError::Value("the version").into());
        }
        if fields.read(tag::SEQUENCE)?.content != algorithm {
            return Err(CrlError::Algorithms);
        }
        let issuer = fields.read(tag::SEQUENCE)?.whole.into();
        let this_update = fields.time()?;
        let next_update = match fields.rest().first() {
            Some(&(tag::UTC_TIME | tag::GENERALIZED_TIME)) => Some(fields.time()?),
            _ => None,
        };
        let revoked = fields.optional(tag::SEQUENCE)?;
        let revoked = revoked.map(|entries| entries.content).unwrap_or_default();
        let extensions = match fields.optional(tag::context_constructed(0))? {
            Some(list) => Extensions::read(Reader::only(list.content, tag::SEQUENCE)?)?,
            None => Extensions::default(),
        };
        fields.end()?;
        let count = count_entries(revoked)?;
        let entries = place(&der, revoked);
        Ok(Self {
            entries,
            count,
            issuer,
            this_update,
            next_update,
            extensions,
            der,
        })
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(Reader::new(&self.der[self.entries.clone()]))
    }
}

/// Where `part`, a slice of `whole`, is in it.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let begin = part.as_ptr().addr() - whole.as_ptr().addr();
    begin..begin + part.len()
}

/// Reads every entry, so that none can fail later.
fn count_entries(revoked: &[u8]) -> Result<usize, CrlError> {
    let mut reader = Reader::new(revoked);
    let mut count = 0;
    while next_entry(&mut reader)?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// The entries of a list, in its order. Borrows from the list.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Reader<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = RevokedEntry<'a>;

    fn next(&mut self) -> Option<RevokedEntry<'a>> {
        // Every entry was read when the list was.
        next_entry(&mut self.0).ok().flatten()
    }
}

fn next_entry<'a>(entries: &mut Reader<'a>) -> Result<Option<RevokedEntry<'a>>, CrlError> {
    if entries.rest().is_empty() {
        return Ok(None);
    }
    let mut fields = entries.nested(tag::SEQUENCE)?;
    let serial = unsigned(fields.read(tag::INTEGER)?.content);
    if serial.is_empty() {
        return Err(DerError::Value("a serial number").into());
    }
    let when = fields.time()?;
    let reason = match fields.optional(tag::SEQUENCE)? {
        Some(extensions) => reason(Reader::new(extensions.content))?,
        None => RevocationReason::Unspecified,
    };
    fields.end()?;
    Ok(Some(RevokedEntry {
        serial,
        when,
        reason,
    }))
}

/// What the extensions of an entry say.
fn reason(mut extensions: Reader<'_>) -> Result<RevocationReason, CrlError> {
    let mut reason = RevocationReason::Unspecified;
    while let Some(extension) = extensions.extension()? {
        let Extension {
            oid,
            critical,
            value,
        } = extension;
        match oid {
            oid::REASON_CODE => {
                let code = Reader::new(value).read(tag::ENUMERATED)?.content;
                let &[code] = code else {
                    return Err(DerError::Value("a reason code").into());
                };
                reason = RevocationReason::from_code(code).ok_or(CrlError::Reason(code))?;
            }
            oid::CERTIFICATE_ISSUER => return Err(CrlError::Indirect),
            oid::INVALIDITY_DATE => {}
            _ if critical => return Err(super::extensions::not_understood(oid)),
            _ => {}
        }
    }
    Ok(reason)
}
