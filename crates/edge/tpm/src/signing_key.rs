//! Keys of X.509 certificates, made in the TPM and used there.

use std::fmt;

use aws_lc_rs::digest::Digest;
use pki::tpm::TooShort;
use pki::{KeyAlgorithm, PublicKey, RsaHash, SignError, SignatureScheme, Signer, TokenKey};

use crate::connection::Connection;
use crate::public::{id, p256_template, padded_pair, rsa_template};
use crate::{Public, Tpm, TpmError, WrappedKey, rsa_padding};

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewKey {
    #[default]
    P256,
    Rsa2048,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// At the handle of a persistent object.
    Persistent(u32),
    /// In a file. The TPM loads it for each signature.
    Wrapped(WrappedKey),
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistent(handle) => write!(f, "{handle:#010x}"),
            Self::Wrapped(_) => f.write_str("a file"),
        }
    }
}

/// A key in a TPM that signs requests, certificates and handshakes.
#[derive(Clone)]
pub struct SigningKey {
    tpm: Tpm,
    place: KeyPlace,
    public: Public,
}

impl Tpm {
    /// Makes a key below the storage root key. It is not kept in the TPM.
    pub fn create_key(&self, kind: NewKey) -> Result<WrappedKey, TpmError> {
        let template = match kind {
            NewKey::P256 => p256_template(),
            NewKey::Rsa2048 => rsa_template(),
        };
        let mut connection = self.connect()?;
        let parent = self.storage_root(&mut connection)?;
        let made = connection.create(parent, &template)?;
        Ok(WrappedKey {
            public: made.public,
            private: made.private,
        })
    }

    /// Keeps a key at a handle of the owner, 0x81000000 to 0x817fffff, in place of an earlier one.
    pub fn persist_key(&self, key: &WrappedKey, handle: u32) -> Result<(), TpmError> {
        let mut connection = self.connect()?;
        let object = self.load(&mut connection, &key.private, &key.public)?;
        self.make_persistent(&mut connection, object, handle)
    }

    /// Whether an object is at a handle.
    pub fn has_key(&self, handle: u32) -> Result<bool, TpmError> {
        self.connect()?.exists(handle)
    }

    /// A key that signs. The TPM is asked for the public half of a persistent one, and whether it
    /// can load one from a file.
    pub fn signing_key(&self, place: KeyPlace) -> Result<SigningKey, TpmError> {
        let mut connection = self.connect()?;
        let (handle, area) = match &place {
            KeyPlace::Persistent(handle) if connection.exists(*handle)? => {
                (*handle, connection.read_public(*handle)?)
            }
            KeyPlace::Persistent(handle) => return Err(TpmError::NoKey(*handle)),
            KeyPlace::Wrapped(key) => {
                let loaded = self.load(&mut connection, &key.private, &key.public)?;
                (loaded, key.public.clone())
            }
        };
        let public = Public::parse(&area).and_then(Public::signing);
        Ok(SigningKey {
            tpm: self.clone(),
            place,
            public: public.map_err(|source| TpmError::Public { handle, source })?,
        })
    }
}

impl SigningKey {
    /// The key as it signs requests, certificates and handshakes.
    #[must_use]
    pub fn into_signer(self) -> Signer {
        Signer::in_token(std::sync::Arc::new(self))
    }

    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.public.key()
    }

    /// Whether the key was made in this TPM and cannot leave it.
    #[must_use]
    pub fn is_bound_to_tpm(&self) -> bool {
        self.public.is_bound()
    }

    /// Signs a digest.
    ///
    /// # Errors
    /// Also when the TPM does not sign with `scheme`.
    pub fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut connection = self.tpm.connect()?;
        let object = match &self.place {
            KeyPlace::Persistent(handle) => *handle,
            KeyPlace::Wrapped(key) => self.tpm.load(&mut connection, &key.private, &key.public)?,
        };
        match (self.public.key().kind(), scheme) {
            (KeyAlgorithm::P256, SignatureScheme::EcdsaP256Sha256) => {
                ecdsa(&mut connection, object, digest)
            }
            (KeyAlgorithm::Rsa, SignatureScheme::RsaPkcs1(_) | SignatureScheme::RsaPss(_))
                if self.public.is_raw() =>
            {
                let block = self.padded(scheme, digest)?;
                connection.rsa_private(object, &block)
            }
            (KeyAlgorithm::Rsa, SignatureScheme::RsaPkcs1(hash)) => {
                padded_by_tpm(&mut connection, object, (id::RSASSA, hash), digest)
            }
            (KeyAlgorithm::Rsa, SignatureScheme::RsaPss(hash)) => {
                let signed = padded_by_tpm(&mut connection, object, (id::RSAPSS, hash), digest)?;
                self.require_salt_of_tls(hash, digest, &signed)?;
                Ok(signed)
            }
            _ => Err(TpmError::Scheme(scheme)),
        }
    }

    fn padded(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, TpmError> {
        let size = self.public.modulus_size();
        let block = match scheme {
            SignatureScheme::RsaPkcs1(hash) => rsa_padding::pkcs1(hash, digest, size),
            SignatureScheme::RsaPss(hash) => {
                rsa_padding::pss(hash, digest, &rsa_padding::salt(hash)?, size)
            }
            _ => None,
        };
        block.ok_or(TpmError::Scheme(scheme))
    }

    /// A TPM may pad with the longest salt that fits.
    fn require_salt_of_tls(
        &self,
        hash: RsaHash,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), TpmError> {
        use aws_lc_rs::signature as verify;
        let algorithm = match hash {
            RsaHash::Sha256 => &verify::RSA_PSS_2048_8192_SHA256,
            RsaHash::Sha384 => &verify::RSA_PSS_2048_8192_SHA384,
            RsaHash::Sha512 => &verify::RSA_PSS_2048_8192_SHA512,
        };
        let key = verify::UnparsedPublicKey::new(algorithm, self.public.key().bits());
        let digest = Digest::import_less_safe(digest, rsa_padding::algorithm(hash))?;
        let verified = key.verify_digest(&digest, signature);
        verified.map_err(|_| TpmError::PssSalt)
    }
}

fn ecdsa(connection: &mut Connection, object: u32, digest: &[u8]) -> Result<Vec<u8>, TpmError> {
    let algorithms = (id::ECDSA, id::SHA256);
    let signed = connection.sign(object, algorithms, digest, |reader| {
        // Longer numbers than those of the curve are no signature.
        padded_pair(reader.sized()?, reader.sized()?).ok_or(TooShort)
    })?;
    Ok(pki::ecdsa_signature_der(&signed))
}

fn padded_by_tpm(
    connection: &mut Connection,
    object: u32,
    (padding, hash): (u16, RsaHash),
    digest: &[u8],
) -> Result<Vec<u8>, TpmError> {
    let algorithm = match hash {
        RsaHash::Sha256 => id::SHA256,
        RsaHash::Sha384 => id::SHA384,
        RsaHash::Sha512 => id::SHA512,
    };
    connection.sign(object, (padding, algorithm), digest, |reader| {
        reader.sized().map(<[u8]>::to_vec)
    })
}

impl TokenKey for SigningKey {
    fn public_key(&self) -> &PublicKey {
        self.public.key()
    }

    fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, SignError> {
        Self::sign_digest(self, scheme, digest).map_err(SignError::new)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TPM {}, key {}", self.tpm.settings.tcti, self.place)
    }
}
