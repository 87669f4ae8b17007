//! A signer as rustls wants it. Nothing else implements rustls' traits of keys.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{CertifiedKey, Signer as TlsSigner, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme as TlsScheme};

use super::{KeyAlgorithm, KeyMismatch, RsaHash, SignatureScheme, Signer};
use crate::Certificate;

impl Signer {
    /// A certificate with its issuers and this key, as TLS presents them.
    ///
    /// # Errors
    /// When the certificate carries another public key.
    pub fn certified(
        &self,
        leaf: &Certificate,
        issuers: &[Certificate],
    ) -> Result<CertifiedKey, KeyMismatch> {
        let leaf = self.matches(leaf)?;
        let chain = std::iter::once(leaf.certificate()).chain(issuers);
        let chain = chain.map(|one| one.certificate_der().clone()).collect();
        Ok(CertifiedKey::new(chain, Arc::new(TlsKey(self.clone()))))
    }
}

#[derive(Debug)]
struct TlsKey(Signer);

#[derive(Debug)]
struct Chosen {
    signer: Signer,
    scheme: SignatureScheme,
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[TlsScheme]) -> Option<Box<dyn TlsSigner>> {
        let ours = SignatureScheme::of_key(self.0.public_key().kind());
        let scheme = ours.iter().find(|one| offered.contains(&in_tls(**one)))?;
        Some(Box::new(Chosen {
            signer: self.0.clone(),
            scheme: *scheme,
        }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.0.public_key().spki_der().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.public_key().kind() {
            KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::P521 => {
                SignatureAlgorithm::ECDSA
            }
            KeyAlgorithm::Ed25519 => SignatureAlgorithm::ED25519,
            KeyAlgorithm::Rsa => SignatureAlgorithm::RSA,
            // It has no number in TLS 1.2, where it is not used.
            KeyAlgorithm::MlDsa(_) => SignatureAlgorithm::Unknown(0),
        }
    }
}

impl TlsSigner for Chosen {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.signer.sign(self.scheme, message);
        signed.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> TlsScheme {
        in_tls(self.scheme)
    }
}

fn in_tls(scheme: SignatureScheme) -> TlsScheme {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => TlsScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::EcdsaP384Sha384 => TlsScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::EcdsaP521Sha512 => TlsScheme::ECDSA_NISTP521_SHA512,
        SignatureScheme::Ed25519 => TlsScheme::ED25519,
        SignatureScheme::MlDsa(level) => level.in_tls(),
        SignatureScheme::RsaPkcs1(RsaHash::Sha256) => TlsScheme::RSA_PKCS1_SHA256,
        SignatureScheme::RsaPkcs1(RsaHash::Sha384) => TlsScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RsaPkcs1(RsaHash::Sha512) => TlsScheme::RSA_PKCS1_SHA512,
        SignatureScheme::RsaPss(RsaHash::Sha256) => TlsScheme::RSA_PSS_SHA256,
        SignatureScheme::RsaPss(RsaHash::Sha384) => TlsScheme::RSA_PSS_SHA384,
        SignatureScheme::RsaPss(RsaHash::Sha512) => TlsScheme::RSA_PSS_SHA512,
    }
}
