//! The aws-lc keys behind [`PrivateKey`](super::PrivateKey).

use std::sync::Arc;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair,
    RsaEncoding, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::{KeyAlgorithm, KeyError, KeyType, MlDsa, RsaHash, SignatureScheme};

type Pkcs8 = Zeroizing<Vec<u8>>;

#[derive(Clone)]
pub(super) enum KeyPair {
    Ec(Arc<EcdsaKeyPair>, Curve),
    Ed25519(Arc<Ed25519KeyPair>),
    Rsa(Arc<RsaKeyPair>),
    MlDsa(Arc<PqdsaKeyPair>, MlDsa),
}

#[derive(Clone, Copy)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }
}

impl KeyPair {
    pub(super) fn generate(kind: KeyType) -> Result<(Self, Pkcs8), KeyError> {
        let failed = KeyError::Failed("generated");
        let ec = |curve: Curve| {
            let pair = EcdsaKeyPair::generate(curve.signing()).map_err(|_| failed.clone())?;
            Self::from_ec(pair, curve)
        };
        let size = match kind {
            KeyType::Ec => return ec(Curve::P256),
            KeyType::Ec384 => return ec(Curve::P384),
            KeyType::Rsa2048 => KeySize::Rsa2048,
            KeyType::Rsa3072 => KeySize::Rsa3072,
            KeyType::Rsa4096 => KeySize::Rsa4096,
            KeyType::MlDsa(level) => {
                let pair = PqdsaKeyPair::generate(level.signing()).map_err(|_| failed)?;
                return Self::from_ml_dsa(pair, level);
            }
        };
        Self::from_rsa(RsaKeyPair::generate(size).map_err(|_| failed)?)
    }

    /// Tries each kind in turn; a DER key says what it is, so that only one can succeed.
    pub(super) fn from_der(der: &[u8]) -> Result<(Self, Pkcs8), KeyError> {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve.signing(), der) {
                return Self::from_ec(pair, curve);
            }
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Self::from_rsa(pair);
        }
        for level in MlDsa::ALL {
            if let Ok(pair) = PqdsaKeyPair::from_pkcs8(level.signing(), der) {
                return Self::from_ml_dsa(pair, level);
            }
        }
        let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| {
            let kinds = "not RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519 or ML-DSA in \
                 PKCS#8, PKCS#1 or SEC1";
            KeyError::Unreadable(kinds.to_owned())
        })?;
        let pkcs8 = Zeroizing::new(der.to_vec());
        Ok((Self::Ed25519(Arc::new(ed25519)), pkcs8))
    }

    fn from_ec(pair: EcdsaKeyPair, curve: Curve) -> Result<(Self, Pkcs8), KeyError> {
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Failed("encoded"))?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::Ec(Arc::new(pair), curve), pkcs8))
    }

    fn from_rsa(pair: RsaKeyPair) -> Result<(Self, Pkcs8), KeyError> {
        let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Failed("encoded"))?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::Rsa(Arc::new(pair)), pkcs8))
    }

    /// Only a key whose seed is there can be encoded again; one that is read from its expanded form
    /// has none.
    fn from_ml_dsa(pair: PqdsaKeyPair, level: MlDsa) -> Result<(Self, Pkcs8), KeyError> {
        let document = pair.to_pkcs8v1().map_err(|_| KeyError::Failed("encoded"))?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::MlDsa(Arc::new(pair), level), pkcs8))
    }

    pub(super) fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Ec(_, Curve::P256) => KeyAlgorithm::P256,
            Self::Ec(_, Curve::P384) => KeyAlgorithm::P384,
            Self::Ec(_, Curve::P521) => KeyAlgorithm::P521,
            Self::Ed25519(_) => KeyAlgorithm::Ed25519,
            Self::Rsa(_) => KeyAlgorithm::Rsa,
            Self::MlDsa(_, level) => KeyAlgorithm::MlDsa(*level),
        }
    }

    /// The content of the BIT STRING of the SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> &[u8] {
        match self {
            Self::Ec(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::MlDsa(pair, _) => pair.public_key().as_ref(),
        }
    }

    /// Signs a message; `None` when the library fails or the scheme is not one of the key.
    pub(super) fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Option<Vec<u8>> {
        if !SignatureScheme::of_key(self.algorithm()).contains(&scheme) {
            return None;
        }
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair, _) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = rsa_encoding(scheme)?;
                pair.sign(encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::MlDsa(pair, level) => {
                let mut signature = vec![0; level.signing().signature_len()];
                let length = pair.sign(message, &mut signature).ok()?;
                (length == signature.len()).then_some(signature)
            }
        }
    }
}

impl KeyPair {
    /// Signs a digest; `None` as for [`sign`](Self::sign), for Ed25519 and ML-DSA, and when the digest is not
    /// as long as those of the scheme.
    pub(super) fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Option<Vec<u8>> {
        if !SignatureScheme::of_key(self.algorithm()).contains(&scheme) {
            return None;
        }
        let digest = Digest::import_less_safe(digest, scheme.hash()?).ok()?;
        match self {
            Self::Ec(pair, _) => Some(pair.sign_digest(&digest).ok()?.as_ref().to_vec()),
            Self::Ed25519(_) | Self::MlDsa(..) => None,
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = rsa_encoding(scheme)?;
                pair.sign_digest(encoding, &digest, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn rsa_encoding(scheme: SignatureScheme) -> Option<&'static dyn RsaEncoding> {
    match scheme {
        SignatureScheme::RsaPkcs1(RsaHash::Sha256) => Some(&signature::RSA_PKCS1_SHA256),
        SignatureScheme::RsaPkcs1(RsaHash::Sha384) => Some(&signature::RSA_PKCS1_SHA384),
        SignatureScheme::RsaPkcs1(RsaHash::Sha512) => Some(&signature::RSA_PKCS1_SHA512),
        SignatureScheme::RsaPss(RsaHash::Sha256) => Some(&signature::RSA_PSS_SHA256),
        SignatureScheme::RsaPss(RsaHash::Sha384) => Some(&signature::RSA_PSS_SHA384),
        SignatureScheme::RsaPss(RsaHash::Sha512) => Some(&signature::RSA_PSS_SHA512),
        _ => None,
    }
}
