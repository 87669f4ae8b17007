use aws_lc_rs::digest::{self, Algorithm};

use crate::Certificate;
use crate::der::{DerError, Reader, Writer, tag, unsigned};

/// 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 26];
/// 2.16.840.1.101.3.4.2.1.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// The hash by which a request names the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OcspHash {
    /// What nearly all clients use.
    Sha1,
    /// The other one that RFC 9654 and browsers' rules know.
    Sha256,
}

impl OcspHash {
    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => SHA1,
            Self::Sha256 => SHA256,
        }
    }

    fn of_oid(oid: &[u8]) -> Option<Self> {
        [Self::Sha1, Self::Sha256]
            .into_iter()
            .find(|hash| hash.oid() == oid)
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }
}

/// CertID: which certificate of which CA a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertId<'a> {
    /// `None` for an algorithm that we do not know, so that the CA cannot be recognized.
    pub hash: Option<OcspHash>,
    /// The serial number, the highest byte first, without a sign byte.
    pub serial: &'a [u8],
    name_hash: &'a [u8],
    key_hash: &'a [u8],
    whole: &'a [u8],
}

impl<'a> CertId<'a> {
    pub(super) fn read(list: &mut Reader<'a>) -> Result<Self, DerError> {
        let element = list.read(tag::SEQUENCE)?;
        let mut fields = Reader::new(element.content);
        let mut algorithm = fields.nested(tag::SEQUENCE)?;
        let hash = OcspHash::of_oid(algorithm.read(tag::OID)?.content);
        if hash.is_some() {
            let parameters = algorithm.optional(tag::NULL)?;
            if parameters.is_some_and(|null| !null.content.is_empty()) {
                return Err(DerError::Value("a NULL, which is not empty,"));
            }
            algorithm.end()?;
        }
        let name_hash = fields.read(tag::OCTET_STRING)?.content;
        let key_hash = fields.read(tag::OCTET_STRING)?.content;
        let serial = fields.integer()?;
        if serial.first().is_some_and(|first| *first >= 0x80) {
            return Err(DerError::Value("a serial number, which is negative,"));
        }
        let serial = unsigned(serial);
        fields.end()?;
        Ok(Self {
            hash,
            serial,
            name_hash,
            key_hash,
            whole: element.whole,
        })
    }

    /// The DER of it, which an answer repeats.
    #[must_use]
    pub fn der(&self) -> &'a [u8] {
        self.whole
    }
}

/// The hashes by which requests name one CA.
#[derive(Debug, Clone)]
pub struct CaHashes {
    sha1: NamedBy,
    sha256: NamedBy,
}

#[derive(Debug, Clone)]
struct NamedBy {
    name: Box<[u8]>,
    key: Box<[u8]>,
}

impl NamedBy {
    fn of(ca: &Certificate, hash: OcspHash) -> Self {
        let digest = |bytes| digest::digest(hash.algorithm(), bytes).as_ref().into();
        Self {
            name: digest(ca.subject_der()),
            key: digest(ca.key_bits()),
        }
    }
}

impl CaHashes {
    /// The hashes of the CA's name and of its key.
    #[must_use]
    pub fn of(ca: &Certificate) -> Self {
        Self {
            sha1: NamedBy::of(ca, OcspHash::Sha1),
            sha256: NamedBy::of(ca, OcspHash::Sha256),
        }
    }

    fn by(&self, hash: OcspHash) -> &NamedBy {
        match hash {
            OcspHash::Sha1 => &self.sha1,
            OcspHash::Sha256 => &self.sha256,
        }
    }

    /// Whether a request asks for a certificate of this CA.
    #[must_use]
    pub fn name(&self, id: &CertId<'_>) -> bool {
        id.hash.is_some_and(|hash| {
            let by = self.by(hash);
            *by.name == *id.name_hash && *by.key == *id.key_hash
        })
    }

    /// The CertID of a certificate of this CA, DER, as most clients encode it: parameters NULL.
    #[must_use]
    pub fn cert_id(&self, hash: OcspHash, serial: &[u8]) -> Vec<u8> {
        let by = self.by(hash);
        let mut der = Writer::default();
        der.sequence(|der| {
            der.sequence(|der| {
                der.element(tag::OID, hash.oid());
                der.element(tag::NULL, &[]);
            });
            der.element(tag::OCTET_STRING, &by.name);
            der.element(tag::OCTET_STRING, &by.key);
            der.unsigned(serial);
        });
        der.finish()
    }

    /// KeyHash of ResponderID: SHA-1 of the CA's key, whatever the request used.
    pub(super) fn responder(ca: &Certificate) -> [u8; 20] {
        crate::cert::sha1(ca.key_bits())
    }
}
