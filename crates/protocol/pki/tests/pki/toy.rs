//! Hierarchies that no sane CA would make, from rcgen directly.

use std::sync::LazyLock;

use ids::Timestamp;
use pki::{
    Certificate, ChainError, IssuerCache, KeyType, PresentedChain, PrivateKey, SeenIssuers,
    SignatureScheme, Signer, VerifiedChain, verify_chain,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};

/// 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
pub const DAY: i64 = 86_400;

/// Some keys, made once: making them is not what is tested.
static KEYS: LazyLock<Vec<PrivateKey>> = LazyLock::new(|| {
    (0..8)
        .map(|_| PrivateKey::generate(KeyType::Ec).unwrap())
        .collect()
});

pub fn key(index: usize) -> PrivateKey {
    KEYS[index % KEYS.len()].clone()
}

/// A key as rcgen wants it.
pub struct RcgenKey<'a>(pub &'a PrivateKey);

impl RcgenKey<'_> {
    fn signer(&self) -> &Signer {
        self.0.as_ref()
    }
}

impl PublicKeyData for RcgenKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.signer().public_key().bits()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.signer().public_key().algorithm()
    }
}

impl SigningKey for RcgenKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let scheme = SignatureScheme::for_issuing(self.signer().public_key().kind());
        Ok(self.signer().sign(scheme, message).unwrap())
    }
}

/// A certificate with the means to issue.
pub struct Toy {
    pub certificate: Certificate,
    pub key: PrivateKey,
    params: CertificateParams,
}

pub fn days(count: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.unix_seconds() + count * DAY)
}

pub fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = days(-10).to_offset_date_time();
    params.not_after = days(10).to_offset_date_time();
    params.use_authority_key_identifier_extension = true;
    params
}

pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub fn leaf_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl Toy {
    pub fn signed(params: CertificateParams, key: PrivateKey, issuer: Option<&Self>) -> Self {
        let mut params = params;
        params.serial_number.get_or_insert(SerialNumber::from(7));
        let der = match issuer {
            None => params.self_signed(&RcgenKey(&key)).unwrap(),
            Some(by) => params.signed_by(&RcgenKey(&key), &by.issuer()).unwrap(),
        };
        let certificate = Certificate::from_der(der.der()).unwrap();
        Self {
            certificate,
            key,
            params,
        }
    }

    pub fn root(name: &str) -> Self {
        Self::signed(ca_params(name), key(0), None)
    }

    pub fn ca(&self, name: &str, index: usize) -> Self {
        Self::signed(ca_params(name), key(index), Some(self))
    }

    /// The same CA, as it signs with another key.
    pub fn with_key(&self, key: PrivateKey) -> Self {
        Self {
            key,
            ..self.again()
        }
    }

    pub fn again(&self) -> Self {
        Self {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            params: self.params.clone(),
        }
    }

    /// What signs in its name.
    pub fn issuer(&self) -> rcgen::Issuer<'_, RcgenKey<'_>> {
        rcgen::Issuer::from_params(&self.params, RcgenKey(&self.key))
    }

    /// The same CA, as those that it issues call it.
    pub fn called(&self, name: DistinguishedName) -> Self {
        let mut params = self.params.clone();
        params.distinguished_name = name;
        Self {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            params,
        }
    }

    pub fn leaf(&self, name: &str) -> Self {
        Self::signed(leaf_params(name), key(7), Some(self))
    }
}

pub fn chain(certificates: &[&Toy]) -> PresentedChain {
    let der: Vec<Vec<u8>> = certificates
        .iter()
        .map(|toy| toy.certificate.der().to_vec())
        .collect();
    PresentedChain::new(&der, &SeenIssuers::default()).unwrap()
}

pub(crate) fn verify(presented: &[&Toy], trust_anchor: &Toy) -> Result<VerifiedChain, ChainError> {
    let presented = chain(presented);
    let cache = IssuerCache::default();
    let first = verify_chain(&presented, &trust_anchor.certificate, NOW, &cache);
    let again = verify_chain(&presented, &trust_anchor.certificate, NOW, &cache);
    assert_eq!(
        first.is_ok(),
        again.is_ok(),
        "the cache says otherwise: {first:?} {again:?}"
    );
    assert_eq!(first.as_ref().err(), again.as_ref().err());
    first
}

pub(crate) fn code(result: Result<VerifiedChain, ChainError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "ok")
}
