//! `TPM2_Duplicate` in software (part 1, 23.3): an HMAC key, wrapped twice. The inner layer opens
//! with a symmetric key that travels as a credential, the outer one with a seed for the new parent.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::kdf::{Label, kdf_a};
use super::public::{attribute, id, name_of};
use super::{cipher, credential, push_sized, sized};

/// An HMAC key as an object that any TPM can import: public area, and
/// the sensitive one unencrypted.
pub(super) struct KeyObject {
    public: Vec<u8>,
    /// The sensitive area, a `TPM2B_SENSITIVE`; wiped when dropped.
    sensitive: Zeroizing<Vec<u8>>,
}

impl KeyObject {
    /// Makes the object for `key`; its seed only blinds the public area.
    pub(super) fn new(key: &[u8]) -> Result<Self, Unspecified> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed)?;
        let unique = digest(&SHA256, &Zeroizing::new([seed.as_slice(), key].concat()));
        Ok(Self {
            public: public_area(unique.as_ref()),
            sensitive: sensitive_area(&seed[..], key),
        })
    }

    /// The public area, a `TPMT_PUBLIC`.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The content of the `TPM2B_PRIVATE`: `inner` is the symmetric key, `seed` is
    /// shared with the parent.
    pub(super) fn wrap(&self, inner: &[u8], seed: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let name = name_of(&self.public);
        let integrity = digest(
            &SHA256,
            &Zeroizing::new([self.sensitive.as_slice(), &name].concat()),
        );
        let mut wrapped = Zeroizing::new(sized(integrity.as_ref()));
        wrapped.extend_from_slice(&self.sensitive);
        cipher::encrypt(inner, &mut wrapped)?;
        let outer = kdf_a(seed, Label::Storage, [&name, b""], cipher::KEY_LENGTH);
        cipher::encrypt(&outer, &mut wrapped)?;
        Ok(credential::authenticate(seed, &wrapped, &name))
    }
}

/// Signs whatever it is given, needs no authorization, belongs to no TPM yet.
fn public_area(unique: &[u8]) -> Vec<u8> {
    let attributes = attribute::USER_WITH_AUTH | attribute::NO_DICTIONARY_ATTACK | attribute::SIGN;
    let mut area = Vec::with_capacity(48);
    for field in [id::KEYED_HASH, id::SHA256] {
        area.extend_from_slice(&field.to_be_bytes());
    }
    area.extend_from_slice(&attributes.to_be_bytes());
    // No policy.
    push_sized(&mut area, b"");
    for field in [id::HMAC, id::SHA256] {
        area.extend_from_slice(&field.to_be_bytes());
    }
    push_sized(&mut area, unique);
    area
}

fn sensitive_area(seed: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    // Room for all of it from the start: growing would leave copies of the key behind.
    let mut area = Zeroizing::new(Vec::with_capacity(128));
    area.extend_from_slice(&id::KEYED_HASH.to_be_bytes());
    // No authorization value.
    push_sized(&mut area, b"");
    push_sized(&mut area, seed);
    push_sized(&mut area, key);
    Zeroizing::new(sized(&area))
}
