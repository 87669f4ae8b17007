//! Signatures of texts that are no certificates, as JSON Web Signatures have them (RFC 7515,
//! RFC 7518, RFC 8037). A key has exactly one algorithm.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use ids::Thumbprint;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use crate::cert::{SubjectKey, algorithm_of_key, pem_blocks};
use crate::{Certificate, KeyAlgorithm, KeyError, PrivateKey, RsaWeakness};

/// The algorithm of a key's signatures, by its name in the header `alg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsAlgorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256, RSA of 2048 to 8192 bits.
    Ps256,
    /// Ed25519.
    EdDsa,
}

impl JwsAlgorithm {
    /// The name of RFC 7518 or RFC 8037.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::EdDsa => &signature::ED25519,
        }
    }

    fn of_key(key: KeyAlgorithm) -> Option<Self> {
        match key {
            KeyAlgorithm::P256 => Some(Self::Es256),
            KeyAlgorithm::P384 => Some(Self::Es384),
            KeyAlgorithm::P521 => Some(Self::Es512),
            KeyAlgorithm::Ed25519 => Some(Self::EdDsa),
            KeyAlgorithm::Rsa => Some(Self::Ps256),
            KeyAlgorithm::MlDsa(_) => None,
        }
    }
}

/// Why bytes are not the public key of a signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyingKeyError {
    /// Neither a certificate, a public key, nor a private key.
    #[error(
        "there is no certificate and no public key in it (no -----BEGIN CERTIFICATE----- and no \
         -----BEGIN PUBLIC KEY----- block)"
    )]
    None,
    /// More than one key where one is wanted.
    #[error("it holds {0} keys, one is wanted")]
    Several(usize),
    /// The bytes are not a SubjectPublicKeyInfo and nothing else.
    #[error("the public key cannot be read")]
    Unreadable,
    /// Its kind does not sign.
    #[error("it is not an RSA key of 2048 to 8192 bits, nor a P-256, P-384, P-521 or Ed25519 key")]
    Unsupported,
    /// An RSA key that others can compute the private half of, or forge signatures of.
    #[error("its RSA key is weak: {0}")]
    Weak(RsaWeakness),
    /// A certificate beside it cannot be read.
    #[error("it cannot be read: {0}")]
    Pem(String),
}

/// The public key of a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    spki: Vec<u8>,
    bits: Vec<u8>,
    algorithm: JwsAlgorithm,
}

impl VerifyingKey {
    /// Reads a DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
    ///
    /// # Errors
    /// When the bytes are not one, or its kind does not sign.
    pub fn from_spki(der: &[u8]) -> Result<Self, VerifyingKeyError> {
        let (rest, spki) =
            SubjectPublicKeyInfo::from_der(der).map_err(|_| VerifyingKeyError::Unreadable)?;
        if !rest.is_empty() {
            return Err(VerifyingKeyError::Unreadable);
        }
        let algorithm = algorithm_of_key(der);
        let key = SubjectKey {
            algorithm: &algorithm,
            bits: spki.subject_public_key.data.as_ref(),
        };
        let kind = key.kind().filter(|_| key.is_supported());
        let kind = kind.ok_or(VerifyingKeyError::Unsupported)?;
        if let Some(weakness) = key.rsa_weakness() {
            return Err(VerifyingKeyError::Weak(weakness));
        }
        Ok(Self {
            spki: der.to_vec(),
            bits: key.bits.to_vec(),
            algorithm: JwsAlgorithm::of_key(kind).ok_or(VerifyingKeyError::Unsupported)?,
        })
    }

    /// Every key of a PEM text: of certificates and of `PUBLIC KEY` blocks.
    ///
    /// # Errors
    /// When the text has no key, or one of them cannot be read.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, VerifyingKeyError> {
        let unreadable = |error: crate::PemError| VerifyingKeyError::Pem(error.to_string());
        let mut keys = Vec::new();
        for block in pem_blocks(text).map_err(unreadable)? {
            match block.label {
                "PUBLIC KEY" => keys.push(Self::from_spki(&block.der().map_err(unreadable)?)?),
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    let der = block.der().map_err(unreadable)?;
                    let certificate = Certificate::from_der(&der)
                        .map_err(|error| VerifyingKeyError::Pem(error.to_string()))?;
                    keys.push(Self::from_spki(certificate.spki_der())?);
                }
                _ => {}
            }
        }
        match keys.is_empty() {
            true => Err(VerifyingKeyError::None),
            false => Ok(keys),
        }
    }

    /// The one key of a PEM text.
    ///
    /// # Errors
    /// When the text has no key or several, or the key cannot be read.
    pub fn from_pem(text: &str) -> Result<Self, VerifyingKeyError> {
        let mut keys = Self::all_from_pem(text)?;
        match (keys.len(), keys.pop()) {
            (1, Some(key)) => Ok(key),
            (count, _) => Err(VerifyingKeyError::Several(count)),
        }
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SubjectPublicKeyInfo: how people compare keys.
    #[must_use]
    pub fn fingerprint(&self) -> Thumbprint {
        crate::sha256(&self.spki)
    }

    /// The algorithm of its signatures.
    #[must_use]
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// Whether the holder of the private key signed `message`. Signatures of ECDSA are `r` and
    /// `s` in fixed length.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm.verification(), &self.bits)
            .verify(message, signature)
            .is_ok()
    }
}

impl PrivateKey {
    /// The public key of its signatures.
    ///
    /// # Errors
    /// When its kind has no algorithm here.
    pub fn verifying_key(&self) -> Result<VerifyingKey, VerifyingKeyError> {
        VerifyingKey::from_spki(&self.spki_der())
    }

    /// Signs `message` with the algorithm of the key.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign_jws(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError::Failed("used to sign");
        let algorithm = self.verifying_key().map_err(|_| failed())?.algorithm();
        let pkcs8 = self.pkcs8_der();
        let der = pkcs8.secret_pkcs8_der();
        let random = SystemRandom::new();
        let ecdsa = |signing: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(signing, der).ok()?;
            Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
        };
        let signature = match algorithm {
            JwsAlgorithm::Es256 => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            JwsAlgorithm::Es384 => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            JwsAlgorithm::Es512 => ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            JwsAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .ok()
                .map(|pair| pair.sign(message).as_ref().to_vec()),
            JwsAlgorithm::Ps256 => RsaKeyPair::from_pkcs8(der).ok().and_then(|pair| {
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PSS_SHA256, &random, message, &mut signed)
                    .ok()?;
                Some(signed)
            }),
        };
        signature.ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::KeyType;

    /// RFC 7515 A.3: a key, a signing input and a signature that another implementation made.
    #[test]
    fn the_example_of_the_standard_verifies() {
        let raw = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let mut spki = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ];
        spki.extend(raw("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
        spki.extend(raw("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
        let key = VerifyingKey::from_spki(&spki).unwrap();
        assert_eq!(key.algorithm().name(), "ES256");
        let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
                       6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = raw(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        );
        assert!(key.has_signed(message.as_bytes(), &signature));
        let mut other = signature.clone();
        other[3] ^= 1;
        assert!(!key.has_signed(message.as_bytes(), &other));
        assert!(!key.has_signed(&message.as_bytes()[1..], &signature));
    }

    #[test]
    fn keys_of_every_kind_sign_and_are_found_in_pem() {
        for kind in [KeyType::Ec, KeyType::Rsa2048] {
            let private = PrivateKey::generate(kind).unwrap();
            let public = private.verifying_key().unwrap();
            let signature = private.sign_jws(b"text").unwrap();
            assert!(public.has_signed(b"text", &signature));
            assert!(!public.has_signed(b"texT", &signature));
            let pem = crate::cert::encode_pem("PUBLIC KEY", public.spki_der());
            assert_eq!(VerifyingKey::from_pem(&pem).unwrap(), public);
            let twice = format!("{pem}{pem}");
            assert_eq!(
                VerifyingKey::from_pem(&twice),
                Err(VerifyingKeyError::Several(2))
            );
            assert_eq!(
                VerifyingKey::from_pem(&private.to_pem()),
                Err(VerifyingKeyError::None)
            );
        }
        assert_eq!(
            VerifyingKey::from_spki(b"none"),
            Err(VerifyingKeyError::Unreadable)
        );
    }

    #[test]
    fn short_and_weak_rsa_keys_are_refused() {
        let read = |bytes: usize, exponent: &[u8]| {
            // Divisible by three.
            let modulus = vec![0xff; bytes];
            let key = crate::PublicKey::rsa(&modulus, exponent);
            VerifyingKey::from_spki(&key.spki_der()).map(|key| key.algorithm())
        };
        let weak = |weakness| Err(VerifyingKeyError::Weak(weakness));
        assert_eq!(read(256, &[1]), weak(RsaWeakness::Exponent));
        assert_eq!(read(256, &[3]), weak(RsaWeakness::SmallFactor));
        assert_eq!(read(128, &[3]), Err(VerifyingKeyError::Unsupported));
        assert_eq!(read(1025, &[3]), Err(VerifyingKeyError::Unsupported));
    }
}
