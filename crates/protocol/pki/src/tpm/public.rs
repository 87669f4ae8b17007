//! Public areas of the two keys that a device shows (`TPM2B_PUBLIC`, part
//! 2, 12.2.5), read strictly.

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};

use super::read::{Reader, TooShort};

/// The longest public area that is read. One of RSA-4096 has not much more than half of it.
pub const MAX_PUBLIC_BYTES: usize = 1024;

/// Identifiers of algorithms and curves (part 2, 6.3 and 6.4).
pub(super) mod id {
    pub(in crate::tpm) const RSA: u16 = 0x0001;
    pub(in crate::tpm) const HMAC: u16 = 0x0005;
    pub(in crate::tpm) const AES: u16 = 0x0006;
    pub(in crate::tpm) const KEYED_HASH: u16 = 0x0008;
    pub(in crate::tpm) const SHA256: u16 = 0x000b;
    pub(in crate::tpm) const NULL: u16 = 0x0010;
    pub(in crate::tpm) const ECC: u16 = 0x0023;
    pub(in crate::tpm) const CFB: u16 = 0x0043;
    pub(in crate::tpm) const P256: u16 = 0x0003;
}

/// Attributes of an object (part 2, 8.3).
pub(super) mod attribute {
    pub(in crate::tpm) const FIXED_TPM: u32 = 1 << 1;
    pub(in crate::tpm) const FIXED_PARENT: u32 = 1 << 4;
    pub(in crate::tpm) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(in crate::tpm) const USER_WITH_AUTH: u32 = 1 << 6;
    pub(in crate::tpm) const NO_DICTIONARY_ATTACK: u32 = 1 << 10;
    pub(in crate::tpm) const RESTRICTED: u32 = 1 << 16;
    pub(in crate::tpm) const DECRYPT: u32 = 1 << 17;
    pub(in crate::tpm) const SIGN: u32 = 1 << 18;
}

/// What both keys must be: made inside the TPM, unable to leave it, and good for nothing but
/// unwrapping what was wrapped for them. Without any of these, software that pretends to be a TPM
/// could hold the private half.
const REQUIRED: [(u32, &str); 5] = [
    (attribute::FIXED_TPM, "fixedTPM"),
    (attribute::FIXED_PARENT, "fixedParent"),
    (attribute::SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"),
    (attribute::RESTRICTED, "restricted"),
    (attribute::DECRYPT, "decrypt"),
];

/// Why bytes are not a key of a TPM that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TpmKeyError {
    /// Longer than any such key.
    #[error("it has {0} bytes; the public area of a TPM key has at most {MAX_PUBLIC_BYTES}")]
    TooLong(usize),
    /// The bytes are not a `TPM2B_PUBLIC`.
    #[error(
        "it is not a TPM2B_PUBLIC structure ({0}); give what `tpm2_createek -u FILE` or \
         `tpm2_readpublic -o FILE` writes, without conversion"
    )]
    Malformed(&'static str),
    /// A well-formed key of a kind that nothing can be wrapped for here.
    #[error(
        "{0}; RSA-2048 to RSA-4096 and ECC P-256 keys with SHA-256 names and AES-128-CFB are \
         supported"
    )]
    Unsupported(String),
    /// A key that could be outside of a TPM.
    #[error(
        "its attribute {0} is not set, so it need not be inside the TPM; show the endorsement key \
         and the storage root key"
    )]
    NotFixed(&'static str),
    /// A key that signs.
    #[error(
        "it is a signing key (attribute sign); an endorsement or storage root key decrypts only"
    )]
    Signs,
    /// The numbers are no key.
    #[error("its numbers are no valid public key")]
    Invalid,
}

impl From<TooShort> for TpmKeyError {
    fn from(_: TooShort) -> Self {
        Self::Malformed("it ends too early")
    }
}

/// The public half of the key that a TPM was born with.
#[derive(Clone)]
pub struct EndorsementKey(Parent);

/// The public half of the key under which a TPM keeps others.
#[derive(Clone)]
pub struct StorageRootKey(Parent);

impl EndorsementKey {
    /// Parses the bytes of a `TPM2B_PUBLIC`.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmKeyError> {
        Parent::parse(bytes).map(Self)
    }

    /// The `TPM2B_PUBLIC`, as it was read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(super) fn parent(&self) -> &Parent {
        &self.0
    }
}

impl StorageRootKey {
    /// Parses the bytes of a `TPM2B_PUBLIC`.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmKeyError> {
        Parent::parse(bytes).map(Self)
    }

    /// The `TPM2B_PUBLIC`, as it was read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(super) fn parent(&self) -> &Parent {
        &self.0
    }
}

/// Takes the same time wherever they differ.
impl PartialEq for EndorsementKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0.bytes, &other.0.bytes).is_ok()
    }
}

impl Eq for EndorsementKey {}

/// Takes the same time wherever they differ.
impl PartialEq for StorageRootKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0.bytes, &other.0.bytes).is_ok()
    }
}

impl Eq for StorageRootKey {}

impl std::fmt::Debug for EndorsementKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndorsementKey({})", self.0.kind())
    }
}

impl std::fmt::Debug for StorageRootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StorageRootKey({})", self.0.kind())
    }
}

/// A key that other objects can be wrapped for.
#[derive(Clone)]
pub(super) struct Parent {
    bytes: Vec<u8>,
    name: Vec<u8>,
    key: PublicKey,
}

/// The asymmetric part of a public area.
#[derive(Clone)]
pub(super) enum PublicKey {
    Rsa(PublicEncryptingKey),
    P256(Point),
}

/// A point of the curve P-256.
#[derive(Clone)]
pub(super) struct Point {
    pub(super) x: [u8; 32],
    pub(super) y: [u8; 32],
}

impl Parent {
    fn parse(bytes: &[u8]) -> Result<Self, TpmKeyError> {
        if bytes.len() > MAX_PUBLIC_BYTES {
            return Err(TpmKeyError::TooLong(bytes.len()));
        }
        let mut outer = Reader::new(bytes);
        let area = outer.sized()?;
        if !outer.is_empty() {
            return Err(TpmKeyError::Malformed("something follows it"));
        }
        let mut reader = Reader::new(area);
        let kind = reader.u16()?;
        read_name_algorithm(&mut reader)?;
        read_attributes(&mut reader)?;
        // The policy says who may use the key; that is between the device and its TPM.
        if reader.sized()?.len() > 64 {
            return Err(TpmKeyError::Malformed("its policy is longer than a digest"));
        }
        let key = match kind {
            id::RSA => read_rsa(&mut reader)?,
            id::ECC => read_ecc(&mut reader)?,
            other => {
                return Err(TpmKeyError::Unsupported(format!(
                    "its type is {other:#06x}, neither RSA nor ECC"
                )));
            }
        };
        if !reader.is_empty() {
            return Err(TpmKeyError::Malformed("something follows its key"));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            name: name_of(area),
            key,
        })
    }

    /// The name of the object: how a TPM calls it in what is bound to it.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }

    fn kind(&self) -> String {
        match &self.key {
            PublicKey::Rsa(key) => format!("RSA-{}", key.key_size_bits()),
            PublicKey::P256(_) => "P-256".to_owned(),
        }
    }
}

impl Point {
    /// The uncompressed form of SEC 1.
    pub(super) fn uncompressed(&self) -> [u8; 65] {
        let mut out = [4; 65];
        out[1..33].copy_from_slice(&self.x);
        out[33..].copy_from_slice(&self.y);
        out
    }
}

/// The name of an object: the algorithm, and the digest of its public area (`TPMT_PUBLIC`).
pub(super) fn name_of(area: &[u8]) -> Vec<u8> {
    let mut name = id::SHA256.to_be_bytes().to_vec();
    name.extend_from_slice(digest(&SHA256, area).as_ref());
    name
}

fn read_name_algorithm(reader: &mut Reader<'_>) -> Result<(), TpmKeyError> {
    match reader.u16()? {
        id::SHA256 => Ok(()),
        other => Err(TpmKeyError::Unsupported(format!(
            "its name algorithm is {other:#06x}"
        ))),
    }
}

fn read_attributes(reader: &mut Reader<'_>) -> Result<(), TpmKeyError> {
    let attributes = reader.u32()?;
    if let Some((_, name)) = REQUIRED.iter().find(|(bit, _)| attributes & bit == 0) {
        return Err(TpmKeyError::NotFixed(name));
    }
    if attributes & attribute::SIGN != 0 {
        return Err(TpmKeyError::Signs);
    }
    Ok(())
}

/// What children of the key are encrypted with, and how the key itself is used: as
/// every storage key does.
fn read_storage_parameters(reader: &mut Reader<'_>) -> Result<(), TpmKeyError> {
    let symmetric = [reader.u16()?, reader.u16()?, reader.u16()?];
    if symmetric != [id::AES, 128, id::CFB] {
        return Err(TpmKeyError::Unsupported(format!(
            "it protects its children with {:#06x} of {} bits in mode {:#06x}",
            symmetric[0], symmetric[1], symmetric[2]
        )));
    }
    match reader.u16()? {
        id::NULL => Ok(()),
        other => Err(TpmKeyError::Unsupported(format!(
            "its scheme is {other:#06x}, a storage key has none"
        ))),
    }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<PublicKey, TpmKeyError> {
    read_storage_parameters(reader)?;
    let bits = reader.u16()?;
    if !(2048..=4096).contains(&bits) || bits % 1024 != 0 {
        return Err(TpmKeyError::Unsupported(format!(
            "it is an RSA key of {bits} bits"
        )));
    }
    // Zero stands for the usual exponent.
    let exponent = reader.u32()?;
    if !matches!(exponent, 0 | 65537) {
        return Err(TpmKeyError::Unsupported(format!(
            "its RSA exponent is {exponent}"
        )));
    }
    let modulus = reader.sized()?;
    if modulus.len() != usize::from(bits / 8) {
        return Err(TpmKeyError::Malformed(
            "its modulus is not as long as it says",
        ));
    }
    // The library does not look.
    if modulus.last().is_none_or(|byte| byte % 2 == 0) {
        return Err(TpmKeyError::Invalid);
    }
    let components = PublicKeyComponents {
        n: modulus,
        e: [1, 0, 1].as_slice(),
    };
    let key: PublicEncryptingKey = components.try_into().map_err(|_| TpmKeyError::Invalid)?;
    let usable = key.key_size_bits() == usize::from(bits);
    OaepPublicEncryptingKey::new(key.clone()).map_err(|_| TpmKeyError::Invalid)?;
    usable
        .then_some(PublicKey::Rsa(key))
        .ok_or(TpmKeyError::Invalid)
}

fn read_ecc(reader: &mut Reader<'_>) -> Result<PublicKey, TpmKeyError> {
    read_storage_parameters(reader)?;
    let curve = reader.u16()?;
    if curve != id::P256 {
        return Err(TpmKeyError::Unsupported(format!(
            "its curve is {curve:#06x}"
        )));
    }
    if reader.u16()? != id::NULL {
        return Err(TpmKeyError::Unsupported(
            "it has a key derivation scheme of its own".to_owned(),
        ));
    }
    let point = Point {
        x: coordinate(reader.sized()?)?,
        y: coordinate(reader.sized()?)?,
    };
    let unparsed = UnparsedPublicKey::new(&ECDH_P256, point.uncompressed());
    ParsedPublicKey::try_from(unparsed).map_err(|_| TpmKeyError::Invalid)?;
    Ok(PublicKey::P256(point))
}

/// TPMs leave leading zeros out or keep them; both are in the field.
fn coordinate(bytes: &[u8]) -> Result<[u8; 32], TpmKeyError> {
    let mut out = [0; 32];
    let gap = out.len().checked_sub(bytes.len());
    let start = gap.ok_or(TpmKeyError::Malformed(
        "a coordinate is longer than the curve",
    ))?;
    out[start..].copy_from_slice(bytes);
    Ok(out)
}
