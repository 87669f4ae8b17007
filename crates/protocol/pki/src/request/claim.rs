use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{MAX_REQUEST_BYTES, ProvenRequest, RequestError, RequestKey, RequestedNames};
use super::{from_pem, kind_of};
use crate::cert::{SubjectKey, algorithm_of_key, canonical_name, common_name, reason};
use crate::{Certificate, PrivateKey, ServerName};

/// 1.2.840.113549.1.9.16.2.37 and .54: DecryptKeyIdentifier and AsymmetricDecryptKeyIdentifier
/// (RFC 7030 4.4.1).
const DECRYPT_KEY_ATTRIBUTES: [&[u8]; 2] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 37],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 54],
];

/// What a request says. That its sender has the key is not proven: a refusal may name it, and a
/// request for a key that the server makes needs no more.
#[derive(Debug, Clone)]
pub struct RequestClaim {
    common_name: Option<String>,
    subject: Box<[u8]>,
    names: RequestedNames,
    kind: Option<RequestKey>,
    wants_encrypted_key: bool,
}

impl RequestClaim {
    /// Reads a request, DER or PEM, and verifies no signature.
    pub fn read(request: &[u8]) -> Result<Self, RequestError> {
        match request.first() {
            // A SEQUENCE.
            Some(0x30) => Self::read_der(request),
            _ => Self::read_der(&from_pem(request)?),
        }
    }

    fn read_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLarge);
        }
        let (_, request) = X509CertificationRequest::from_der(der)
            .map_err(|error| RequestError::NotARequest(reason(&error)))?;
        let info = &request.certification_request_info;
        let mut attributes = info.iter_attributes();
        let wants_encrypted_key = attributes.any(|attribute| {
            let oid = attribute.oid.as_bytes();
            DECRYPT_KEY_ATTRIBUTES.contains(&oid)
        });
        Ok(Self {
            common_name: common_name(&info.subject),
            subject: canonical_name(info.subject.as_raw()),
            names: RequestedNames::read(&request),
            kind: public_key(&info.subject_pki).map(|(kind, _)| kind),
            wants_encrypted_key,
        })
    }

    /// The last common name of the subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The DNS names and IP addresses of the requested subjectAltName.
    pub fn server_names(&self) -> Result<&[ServerName], RequestError> {
        self.names.get()
    }

    /// The kind of its key; `None` for one that is never certified.
    #[must_use]
    pub fn kind(&self) -> Option<RequestKey> {
        self.kind
    }

    /// Whether it wants the private key that the server makes encrypted for it.
    #[must_use]
    pub fn wants_encrypted_key(&self) -> bool {
        self.wants_encrypted_key
    }

    /// Whether its subject is that of a certificate, as names are compared (RFC 5280 7.1).
    #[must_use]
    pub fn has_subject_of(&self, certificate: &Certificate) -> bool {
        *self.subject == *certificate.subject_key()
    }

    /// The same request for a key that is at hand. The key in the request counts for nothing.
    ///
    /// # Errors
    /// When the key is of a kind that is never certified.
    pub fn with_key(self, key: &PrivateKey) -> Result<ProvenRequest, RequestError> {
        let spki = key.spki_der();
        let read = SubjectPublicKeyInfo::from_der(&spki).ok();
        let read = read.and_then(|(_, spki)| public_key(&spki));
        let (kind, key_bits) = read.ok_or(RequestError::Key)?;
        Ok(ProvenRequest {
            common_name: self.common_name,
            names: self.names,
            kind,
            key_bits,
        })
    }
}

/// The kind and the bits of a key; `None` for one that is never certified.
fn public_key(spki: &SubjectPublicKeyInfo<'_>) -> Option<(RequestKey, Box<[u8]>)> {
    let algorithm = algorithm_of_key(spki.raw);
    let key = SubjectKey {
        algorithm: &algorithm,
        bits: spki.subject_public_key.data.as_ref(),
    };
    Some((kind_of(key)?, key.bits.into()))
}
