//! Attestation to a provisioning service: the service wraps a key so that only this TPM can load
//! it, and the TPM signs tokens with it.

use pki::tpm::{Reader, TooShort, push_sized};

use crate::command::Authorized;
use crate::commands::Duplicate;
use crate::connection::Connection;
use crate::primary::public_of;
use crate::public::name_of;
use crate::{Public, PublicFault, Tpm, TpmError};

/// The longest blob that is read, bytes. Those with RSA-4096 keys have half of it.
const MAX_BLOB: usize = 4096;
/// Bytes of an HMAC-SHA256.
const TAG: usize = 32;

/// The public halves of the keys that say which TPM this is, each a `TPM2B_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    pub endorsement: Vec<u8>,
    pub storage_root: Vec<u8>,
}

/// Why the bytes of a service are not a key for a TPM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobFault {
    #[error("it has {0} bytes, more than {MAX_BLOB}")]
    TooLong(usize),
    #[error("it ends too early")]
    TooShort,
    #[error("something follows it")]
    Trailing,
}

impl From<TooShort> for BlobFault {
    fn from(_: TooShort) -> Self {
        Self::TooShort
    }
}

/// The parts of what a service sends.
struct Blob<'a> {
    credential: &'a [u8],
    credential_secret: &'a [u8],
    private: &'a [u8],
    seed: &'a [u8],
    public: &'a [u8],
}

impl<'a> Blob<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, BlobFault> {
        if bytes.len() > MAX_BLOB {
            return Err(BlobFault::TooLong(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        let blob = Self {
            credential: reader.sized()?,
            credential_secret: reader.sized()?,
            private: reader.sized()?,
            seed: reader.sized()?,
            public: reader.sized()?,
        };
        // Encrypted text that says what the key is for. Services may leave it out.
        if !reader.is_empty() {
            reader.sized()?;
        }
        match reader.is_empty() {
            true => Ok(blob),
            false => Err(BlobFault::Trailing),
        }
    }
}

/// A key of a provisioning service that this TPM has taken over. The private half is encrypted by
/// the TPM and is of use to no other, so that it may be in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedKey {
    public: Vec<u8>,
    private: Vec<u8>,
}

impl ImportedKey {
    /// `TPM2B_PUBLIC` and `TPM2B_PRIVATE`, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.public.len() + self.private.len() + 4);
        push_sized(&mut bytes, &self.public);
        push_sized(&mut bytes, &self.private);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlobFault> {
        let mut reader = Reader::new(bytes);
        let key = Self {
            public: reader.sized()?.to_vec(),
            private: reader.sized()?.to_vec(),
        };
        match reader.is_empty() {
            true => Ok(key),
            false => Err(BlobFault::Trailing),
        }
    }
}

impl Tpm {
    /// The public halves of endorsement key and storage root key.
    pub fn public_keys(&self) -> Result<PublicKeys, TpmError> {
        let mut connection = self.connect()?;
        let endorsement = self.endorsement(&mut connection)?;
        let endorsement = public_of(&mut connection, endorsement)?;
        let storage_root = self.storage_root(&mut connection)?;
        Ok(PublicKeys {
            endorsement,
            storage_root: public_of(&mut connection, storage_root)?,
        })
    }

    /// Takes over the key that a service wrapped for this TPM: `registrationState.tpm` or
    /// the challenge of a register request. What is kept at [`Self::auth_key_handle`] stays.
    pub fn import(&self, blob: &[u8]) -> Result<ImportedKey, TpmError> {
        let blob = Blob::parse(blob)?;
        let mut connection = self.connect()?;
        let storage_root = self.storage_root(&mut connection)?;
        let inner_key = self.activate(&mut connection, storage_root, &blob)?;
        let duplicate = Duplicate {
            inner_key: &inner_key,
            public: blob.public,
            private: blob.private,
            seed: blob.seed,
        };
        let private = connection.import(storage_root, &duplicate)?;
        Ok(ImportedKey {
            public: blob.public.to_vec(),
            private,
        })
    }

    fn activate(
        &self,
        connection: &mut Connection,
        storage_root: u32,
        blob: &Blob<'_>,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, TpmError> {
        let endorsement = self.endorsement(connection)?;
        let area = connection.read_public(endorsement)?;
        let public = Public::parse(&area).map_err(|source| TpmError::Public {
            handle: endorsement,
            source,
        })?;
        if public.is_used_with_value() {
            let by = (endorsement, Authorized::EMPTY);
            let (credential, secret) = (blob.credential, blob.credential_secret);
            return connection.activate_credential(storage_root, by, credential, secret);
        }
        let value = self.settings.endorsement.as_bytes();
        let session = connection.endorsement_session(value)?;
        let inner_key = connection.activate_credential(
            storage_root,
            (endorsement, Authorized::policy(session)?),
            blob.credential,
            blob.credential_secret,
        )?;
        connection.flush(session)?;
        Ok(inner_key)
    }

    /// Keeps a key at [`Self::auth_key_handle`], where the device daemons have it, in place of
    /// an earlier one.
    pub fn persist(&self, key: &ImportedKey) -> Result<(), TpmError> {
        let mut connection = self.connect()?;
        let handle = self.auth_key_handle();
        if is_at(&mut connection, handle, key)? {
            return Ok(());
        }
        let object = self.load(&mut connection, &key.private, &key.public)?;
        self.make_persistent(&mut connection, object, handle)
    }

    /// HMAC-SHA256 of `data` by an imported key.
    ///
    /// # Errors
    /// [`TpmError::OtherOwner`] when the TPM is no longer the one that imported the key.
    pub fn sign(&self, key: &ImportedKey, data: &[u8]) -> Result<[u8; TAG], TpmError> {
        let mut connection = self.connect()?;
        let handle = self.auth_key_handle();
        let object = match is_at(&mut connection, handle, key)? {
            true => handle,
            false => self.load(&mut connection, &key.private, &key.public)?,
        };
        tag(&mut connection, object, data)
    }

    /// HMAC-SHA256 of `data` by the key at [`Self::auth_key_handle`].
    ///
    /// # Errors
    /// [`TpmError::KeyGone`] when nothing is there.
    pub fn sign_with_persistent(&self, data: &[u8]) -> Result<[u8; TAG], TpmError> {
        let mut connection = self.connect()?;
        let handle = self.auth_key_handle();
        if !connection.exists(handle)? {
            return Err(TpmError::KeyGone(handle));
        }
        tag(&mut connection, handle, data)
    }
}

/// Whether the object at `handle` is `key`: the name of an object is that of its private half too.
fn is_at(connection: &mut Connection, handle: u32, key: &ImportedKey) -> Result<bool, TpmError> {
    if !connection.exists(handle)? {
        return Ok(false);
    }
    Ok(name_of(&connection.read_public(handle)?) == name_of(&key.public))
}

fn tag(connection: &mut Connection, object: u32, data: &[u8]) -> Result<[u8; TAG], TpmError> {
    let tag = connection.hmac(object, data)?;
    tag.try_into().map_err(|_| TpmError::Public {
        handle: object,
        source: PublicFault::Numbers,
    })
}

#[cfg(test)]
mod tests {
    use pki::tpm::{EndorsementKey, HmacKey, StorageRootKey};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_our_service_seals_has_five_parts_and_a_text() {
        let tpm = software_tpm::SoftwareTpm::new();
        let endorsement = EndorsementKey::parse(&tpm.endorsement_key()).unwrap();
        let storage_root = StorageRootKey::parse(&tpm.storage_root_key()).unwrap();
        let sealed = HmacKey::new([7; 32]).seal(&endorsement, &storage_root, "text");
        let sealed = sealed.unwrap();
        let bytes = sealed.as_bytes();
        let blob = Blob::parse(bytes).unwrap();
        assert_eq!((blob.credential_secret.len(), blob.seed.len()), (256, 256));
        // Without the text.
        assert!(Blob::parse(&bytes[..bytes.len() - 6]).is_ok());
        for cut in [0, 1, 300, bytes.len() - 1] {
            assert_eq!(
                Blob::parse(&bytes[..cut]).err(),
                Some(BlobFault::TooShort),
                "{cut}"
            );
        }
        let long = [bytes, &[0]].concat();
        assert_eq!(Blob::parse(&long).err(), Some(BlobFault::Trailing));
    }

    proptest! {
        #[test]
        fn kept_keys_are_read_as_they_were(public: Vec<u8>, private: Vec<u8>) {
            let key = ImportedKey { public, private };
            prop_assert_eq!(ImportedKey::from_bytes(&key.to_bytes()), Ok(key));
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
            let _ = Blob::parse(&bytes);
            let _ = ImportedKey::from_bytes(&bytes);
        }
    }
}
