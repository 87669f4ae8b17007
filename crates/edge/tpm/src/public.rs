//! Public areas of objects (`TPMT_PUBLIC`, part 2, 12.2.4): templates of keys to make, and keys
//! that sign, read.

use pki::tpm::{Reader, TooShort, push_sized};
use pki::{KeyAlgorithm, PublicKey};

/// Algorithms and curves (part 2, 6.3 and 6.4).
pub(crate) mod id {
    pub(crate) const RSA: u16 = 0x0001;
    pub(crate) const AES: u16 = 0x0006;
    pub(crate) const SHA256: u16 = 0x000b;
    pub(crate) const SHA384: u16 = 0x000c;
    pub(crate) const SHA512: u16 = 0x000d;
    pub(crate) const NULL: u16 = 0x0010;
    pub(crate) const RSASSA: u16 = 0x0014;
    pub(crate) const RSAES: u16 = 0x0015;
    pub(crate) const RSAPSS: u16 = 0x0016;
    pub(crate) const ECDSA: u16 = 0x0018;
    pub(crate) const ECC: u16 = 0x0023;
    pub(crate) const CFB: u16 = 0x0043;
    pub(crate) const P256: u16 = 0x0003;
}

/// Attributes of an object (part 2, 8.3).
mod attribute {
    pub(super) const FIXED_TPM: u32 = 1 << 1;
    pub(super) const FIXED_PARENT: u32 = 1 << 4;
    pub(super) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(super) const USER_WITH_AUTH: u32 = 1 << 6;
    pub(super) const ADMIN_WITH_POLICY: u32 = 1 << 7;
    pub(super) const NO_DICTIONARY_ATTACK: u32 = 1 << 10;
    pub(super) const RESTRICTED: u32 = 1 << 16;
    pub(super) const DECRYPT: u32 = 1 << 17;
    pub(super) const SIGN: u32 = 1 << 18;
    /// Made in this TPM, unable to leave it.
    pub(super) const BOUND: u32 = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN;
}

/// `PolicyA` of the EK Credential Profile of the Trusted Computing Group, 2.1: `TPM2_PolicySecret`
/// with the endorsement hierarchy.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
const RSA_BITS: u16 = 2048;
const RSA_BYTES: usize = 256;

fn push(area: &mut Vec<u8>, fields: &[u16]) {
    for field in fields {
        area.extend_from_slice(&field.to_be_bytes());
    }
}

/// Kind, algorithm of the name, attributes, policy.
fn begin(kind: u16, attributes: u32, policy: &[u8]) -> Vec<u8> {
    let mut area = Vec::with_capacity(512);
    push(&mut area, &[kind, id::SHA256]);
    area.extend_from_slice(&attributes.to_be_bytes());
    push_sized(&mut area, policy);
    area
}

fn rsa_2048(area: &mut Vec<u8>, unique: &[u8]) {
    push(area, &[RSA_BITS]);
    // The usual exponent.
    area.extend_from_slice(&0_u32.to_be_bytes());
    push_sized(area, unique);
}

/// An RSA-2048 key that other keys are wrapped for.
fn storage_template(attributes: u32, policy: &[u8]) -> Vec<u8> {
    let restricted = attribute::BOUND | attribute::RESTRICTED | attribute::DECRYPT;
    let mut area = begin(id::RSA, restricted | attributes, policy);
    push(&mut area, &[id::AES, 128, id::CFB, id::NULL]);
    rsa_2048(&mut area, &[0; RSA_BYTES]);
    area
}

/// Template L-1 of the EK Credential Profile: RSA-2048.
pub(crate) fn endorsement_template() -> Vec<u8> {
    storage_template(attribute::ADMIN_WITH_POLICY, &ENDORSEMENT_POLICY)
}

/// The storage root key of the TCG's provisioning guidance: RSA-2048, without
/// an authorization value.
pub(crate) fn storage_root_template() -> Vec<u8> {
    storage_template(
        attribute::USER_WITH_AUTH | attribute::NO_DICTIONARY_ATTACK,
        b"",
    )
}

/// A P-256 key that signs anything.
pub(crate) fn p256_template() -> Vec<u8> {
    let attributes = attribute::BOUND
        | attribute::USER_WITH_AUTH
        | attribute::NO_DICTIONARY_ATTACK
        | attribute::SIGN;
    let mut area = begin(id::ECC, attributes, b"");
    push(&mut area, &[id::NULL, id::NULL, id::P256, id::NULL]);
    push_sized(&mut area, b"");
    push_sized(&mut area, b"");
    area
}

/// An RSA-2048 key for the private operation as such. TPMs pad PSS with a salt that
/// TLS does not accept, so that the padding is made outside.
pub(crate) fn rsa_template() -> Vec<u8> {
    let attributes = attribute::BOUND
        | attribute::USER_WITH_AUTH
        | attribute::NO_DICTIONARY_ATTACK
        | attribute::SIGN
        | attribute::DECRYPT;
    let mut area = begin(id::RSA, attributes, b"");
    push(&mut area, &[id::NULL, id::NULL]);
    rsa_2048(&mut area, b"");
    area
}

/// Why a public area is not one of a key that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicFault {
    #[error("its public area ends too early")]
    TooShort,
    #[error("something follows its public area")]
    Trailing,
    #[error("its kind is {0:#06x}; RSA and ECC P-256 keys are supported")]
    Kind(u16),
    #[error("its curve is {0:#06x}; P-256 is supported")]
    Curve(u16),
    #[error("its scheme is {0:#06x}, which does not sign certificates or handshakes")]
    Scheme(u16),
    #[error("its numbers are no valid public key")]
    Numbers,
    #[error("it does not sign (attribute sign)")]
    DoesNotSign,
    #[error("it signs only what the TPM itself made (attribute restricted)")]
    Restricted,
    #[error("it needs a policy session (attribute userWithAuth is not set)")]
    NeedsPolicy,
}

impl From<TooShort> for PublicFault {
    fn from(_: TooShort) -> Self {
        Self::TooShort
    }
}

/// The public area of an RSA or P-256 key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    attributes: u32,
    key: PublicKey,
    /// Bytes of an RSA modulus.
    modulus_size: usize,
    /// The scheme that the key is limited to; `None` when each signature chooses.
    scheme: Option<u16>,
}

impl Public {
    /// Parses a `TPMT_PUBLIC`.
    pub fn parse(area: &[u8]) -> Result<Self, PublicFault> {
        let mut reader = Reader::new(area);
        let kind = reader.u16()?;
        reader.u16()?;
        let attributes = reader.u32()?;
        reader.sized()?;
        if reader.u16()? != id::NULL {
            // Bits and mode of the cipher of its children.
            reader.u32()?;
        }
        let scheme = read_scheme(&mut reader)?;
        let (key, modulus_size) = match kind {
            id::RSA => read_rsa(&mut reader)?,
            id::ECC => (read_p256(&mut reader)?, 0),
            other => return Err(PublicFault::Kind(other)),
        };
        if !reader.is_empty() {
            return Err(PublicFault::Trailing);
        }
        Ok(Self {
            attributes,
            key,
            modulus_size,
            scheme,
        })
    }

    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Bytes of an RSA modulus: a signature has as many.
    pub(crate) fn modulus_size(&self) -> usize {
        self.modulus_size
    }

    /// Requires that the key signs what it is given.
    pub(crate) fn signing(self) -> Result<Self, PublicFault> {
        match self.attributes {
            one if one & attribute::SIGN == 0 => Err(PublicFault::DoesNotSign),
            one if one & attribute::RESTRICTED != 0 => Err(PublicFault::Restricted),
            one if one & attribute::USER_WITH_AUTH == 0 => Err(PublicFault::NeedsPolicy),
            _ => Ok(self),
        }
    }

    /// Whether the key was made in its TPM and cannot leave it.
    pub(crate) fn is_bound(&self) -> bool {
        self.attributes & attribute::BOUND == attribute::BOUND
    }

    /// Whether the TPM gives the private operation without padding of its own.
    pub(crate) fn is_raw(&self) -> bool {
        self.attributes & attribute::DECRYPT != 0 && self.scheme.is_none()
    }

    /// Whether an authorization value is enough to use the key.
    pub(crate) fn is_used_with_value(&self) -> bool {
        self.attributes & attribute::USER_WITH_AUTH != 0
    }
}

/// A scheme with its hash, or none.
fn read_scheme(reader: &mut Reader<'_>) -> Result<Option<u16>, PublicFault> {
    match reader.u16()? {
        id::NULL => Ok(None),
        id::RSAES => Ok(Some(id::RSAES)),
        scheme @ (id::RSASSA | id::RSAPSS | id::ECDSA) => {
            reader.u16()?;
            Ok(Some(scheme))
        }
        other => Err(PublicFault::Scheme(other)),
    }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<(PublicKey, usize), PublicFault> {
    let bits = reader.u16()?;
    let exponent = match reader.u32()? {
        0 => 65537,
        other => other,
    };
    let modulus = reader.sized()?;
    let is_odd = modulus.last().is_some_and(|byte| byte % 2 == 1);
    if modulus.len() != usize::from(bits / 8) || bits < RSA_BITS || !is_odd {
        return Err(PublicFault::Numbers);
    }
    let exponent = exponent.to_be_bytes();
    let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
    Ok((PublicKey::rsa(modulus, &exponent[zeros..]), modulus.len()))
}

fn read_p256(reader: &mut Reader<'_>) -> Result<PublicKey, PublicFault> {
    let curve = reader.u16()?;
    if curve != id::P256 {
        return Err(PublicFault::Curve(curve));
    }
    if reader.u16()? != id::NULL {
        // The hash of a key derivation.
        reader.u16()?;
    }
    let (x, y) = (reader.sized()?, reader.sized()?);
    let point = padded_pair(x, y).ok_or(PublicFault::Numbers)?;
    let bits = [&[4][..], &point].concat();
    Ok(PublicKey::from_bits(KeyAlgorithm::P256, &bits))
}

/// Two numbers of 32 bytes side by side. Some TPMs leave leading zeros out.
pub(crate) fn padded_pair(first: &[u8], second: &[u8]) -> Option<[u8; 64]> {
    let mut pair = [0; 64];
    for (number, end) in [(first, 32), (second, 64)] {
        let start = 32_usize.checked_sub(number.len())?;
        pair[end - 32 + start..end].copy_from_slice(number);
    }
    Some(pair)
}

/// The name of an object with SHA-256: how a TPM calls it in what is bound to it.
pub(crate) fn name_of(area: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, area);
    [&id::SHA256.to_be_bytes()[..], digest.as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn templates_are_those_of_the_trusted_computing_group() {
        let endorsement = endorsement_template();
        assert_eq!(endorsement.len(), 314);
        assert_eq!(endorsement[..10], [0, 1, 0, 0x0b, 0, 3, 0, 0xb2, 0, 32]);
        let storage_root = storage_root_template();
        assert_eq!(storage_root[..10], [0, 1, 0, 0x0b, 0, 3, 4, 0x72, 0, 0]);
        assert_eq!(storage_root[10..18], [0, 6, 0, 128, 0, 0x43, 0, 0x10]);
    }

    fn p256(attributes: u32, scheme: &[u8], x: &[u8]) -> Vec<u8> {
        let mut area = begin(id::ECC, attributes, b"");
        push(&mut area, &[id::NULL]);
        area.extend_from_slice(scheme);
        push(&mut area, &[id::P256, id::NULL]);
        push_sized(&mut area, x);
        push_sized(&mut area, &[7; 32]);
        area
    }

    const SIGNS: u32 = attribute::SIGN | attribute::USER_WITH_AUTH;

    #[test]
    fn a_coordinate_without_its_leading_zero_is_the_same_key() {
        let short = Public::parse(&p256(SIGNS, &[0, 0x10], &[9; 31])).unwrap();
        let long = [&[0][..], &[9; 31]].concat();
        let long = Public::parse(&p256(SIGNS, &[0, 0x18, 0, 0x0b], &long)).unwrap();
        assert_eq!(short.key(), long.key());
        assert_eq!((short.scheme, long.scheme), (None, Some(id::ECDSA)));
    }

    #[test]
    fn keys_that_do_not_sign_everything_are_refused() {
        for (attributes, fault) in [
            (attribute::USER_WITH_AUTH, PublicFault::DoesNotSign),
            (SIGNS | attribute::RESTRICTED, PublicFault::Restricted),
            (attribute::SIGN, PublicFault::NeedsPolicy),
        ] {
            let public = Public::parse(&p256(attributes, &[0, 0x10], &[9; 32])).unwrap();
            assert_eq!(public.signing(), Err(fault));
        }
        let long = Public::parse(&p256(SIGNS, &[0, 0x10], &[9; 33]));
        assert_eq!(long, Err(PublicFault::Numbers));
    }

    #[test]
    fn only_keys_made_in_a_tpm_that_cannot_leave_it_are_bound() {
        let bound = |attributes| {
            let public = Public::parse(&p256(SIGNS | attributes, &[0, 0x10], &[9; 32]));
            public.unwrap().is_bound()
        };
        assert!(bound(attribute::BOUND));
        for missing in [
            attribute::FIXED_TPM,
            attribute::FIXED_PARENT,
            attribute::SENSITIVE_DATA_ORIGIN,
        ] {
            assert!(!bound(attribute::BOUND & !missing), "{missing:#x}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Public::parse(&bytes);
        }
    }
}
