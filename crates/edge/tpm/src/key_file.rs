//! Keys wrapped by a TPM, in files: the ASN.1 key format for TPM 2.0 keys, `TSS2 PRIVATE KEY`, which
//! OpenSSL's TPM providers and tpm2-tools read too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::tpm::{Reader as Fields, TooShort, push_sized};

use crate::primary::STORAGE_ROOT_KEY;
use crate::public::name_of;

const BEGIN: &str = "-----BEGIN TSS2 PRIVATE KEY-----";
const END: &str = "-----END TSS2 PRIVATE KEY-----";
/// 2.23.133.10.1.3, a key that `TPM2_Load` loads.
const LOADABLE: [u8; 6] = [0x67, 0x81, 0x05, 0x0a, 0x01, 0x03];
/// The longest file that is read, bytes.
const MAX_FILE: usize = 16 * 1024;

mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OID: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const EMPTY_AUTH: u8 = 0xa0;
}

/// A key below the storage root key of a TPM, which alone can load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// `TPMT_PUBLIC`
    pub(crate) public: Vec<u8>,
    pub(crate) private: Vec<u8>,
}

/// Why a file is not a key of a TPM that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("it has no block {BEGIN}")]
    NoBlock,
    #[error("it has more than {MAX_FILE} bytes")]
    TooLong,
    #[error("its block is not Base64")]
    Base64,
    #[error("it is not a key of a TPM in ASN.1: {0}")]
    Malformed(&'static str),
    #[error("the key needs a password or a policy; make one without: iotedge tpm create-key")]
    Protected,
    #[error("the key is below {0:#010x}; keys below the storage root key 0x81000001 are supported")]
    Parent(u32),
}

impl From<TooShort> for KeyFileError {
    fn from(_: TooShort) -> Self {
        Self::Malformed("it ends too early")
    }
}

/// Whether a text holds a key that a TPM wrapped.
#[must_use]
pub fn is_key_file(text: &str) -> bool {
    text.contains(BEGIN)
}

impl WrappedKey {
    /// The file of the key, PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut content = element(tag::OID, &LOADABLE);
        content.extend(element(tag::EMPTY_AUTH, &element(tag::BOOLEAN, &[0xff])));
        // The highest bit of the handle is set, and the number is positive.
        let parent = [&[0][..], &STORAGE_ROOT_KEY.to_be_bytes()].concat();
        content.extend(element(tag::INTEGER, &parent));
        for part in [&self.public, &self.private] {
            let mut sized = Vec::new();
            push_sized(&mut sized, part);
            content.extend(element(tag::OCTET_STRING, &sized));
        }
        let encoded = STANDARD.encode(element(tag::SEQUENCE, &content));
        let mut text = format!("{BEGIN}\n");
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text + END + "\n"
    }

    /// Reads a file of a key.
    pub fn from_pem(text: &str) -> Result<Self, KeyFileError> {
        if text.len() > MAX_FILE {
            return Err(KeyFileError::TooLong);
        }
        let (_, rest) = text.split_once(BEGIN).ok_or(KeyFileError::NoBlock)?;
        let (block, _) = rest.split_once(END).ok_or(KeyFileError::NoBlock)?;
        let block: String = block.split_whitespace().collect();
        let der = STANDARD.decode(block).map_err(|_| KeyFileError::Base64)?;
        let mut reader = Elements(&der);
        let mut content = Elements(reader.expect(tag::SEQUENCE, "it is no sequence")?);
        if !reader.0.is_empty() {
            return Err(KeyFileError::Malformed("something follows it"));
        }
        if content.expect(tag::OID, "it has no type")? != LOADABLE {
            return Err(KeyFileError::Malformed("it is not a loadable key"));
        }
        content.require_no_password()?;
        let parent = content.expect(tag::INTEGER, "it has no parent")?;
        match number(parent)? {
            STORAGE_ROOT_KEY => {}
            other => return Err(KeyFileError::Parent(other)),
        }
        let mut part = |what| {
            let sized = content.expect(tag::OCTET_STRING, what)?;
            let mut fields = Fields::new(sized);
            let part = fields.sized()?.to_vec();
            match fields.is_empty() {
                true => Ok(part),
                false => Err(KeyFileError::Malformed("something follows its key")),
            }
        };
        Ok(Self {
            public: part("it has no public area")?,
            private: part("it has no private area")?,
        })
    }

    /// The name by which a TPM calls the key.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        name_of(&self.public)
    }
}

fn number(bytes: &[u8]) -> Result<u32, KeyFileError> {
    let digits = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    if digits.len() > 4 {
        return Err(KeyFileError::Malformed("its parent is no handle"));
    }
    Ok(digits
        .iter()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

/// An element of DER with a length below 64 KiB.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match u16::try_from(content.len()).map(u16::to_be_bytes) {
        Ok([0, short @ ..=0x7f]) => element.push(short),
        Ok([0, long]) => element.extend([0x81, long]),
        Ok([high, low]) => element.extend([0x82, high, low]),
        // The parts are those of a TPM2B.
        Err(_) => {}
    }
    element.extend_from_slice(content);
    element
}

/// Elements of DER, one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn next_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn expect(&mut self, tag: u8, problem: &'static str) -> Result<&'a [u8], KeyFileError> {
        if self.next_tag() != Some(tag) {
            return Err(KeyFileError::Malformed(problem));
        }
        let mut fields = Fields::new(self.0);
        fields.take(1)?;
        let length = match fields.take(1)?[0] {
            short @ ..=0x7f => usize::from(short),
            0x81 => usize::from(fields.take(1)?[0]),
            0x82 => usize::from(fields.u16()?),
            _ => return Err(KeyFileError::Malformed("a length is too long")),
        };
        let content = fields.take(length)?;
        self.0 = fields.rest();
        Ok(content)
    }

    /// Reads what stands between type and parent.
    fn require_no_password(&mut self) -> Result<(), KeyFileError> {
        // Without the member, a password is asked for.
        if self.next_tag() != Some(tag::EMPTY_AUTH) {
            return Err(KeyFileError::Protected);
        }
        let mut inner = Elements(self.expect(tag::EMPTY_AUTH, "")?);
        if inner.expect(tag::BOOLEAN, "its emptyAuth is no boolean")? == [0] {
            return Err(KeyFileError::Protected);
        }
        match self.next_tag() {
            Some(tag::INTEGER) => Ok(()),
            _ => Err(KeyFileError::Protected),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
    }

    #[test]
    fn other_parents_and_passwords_are_refused_by_name() {
        let start = element(tag::OID, &LOADABLE);
        let unprotected = element(tag::EMPTY_AUTH, &element(tag::BOOLEAN, &[0xff]));
        let owner = element(tag::INTEGER, &[0x40, 0, 0, 1]);
        let whole = |parts: &[&[u8]]| pem(&element(tag::SEQUENCE, &parts.concat()));
        let parent = whole(&[&start, &unprotected, &owner]);
        assert_eq!(
            WrappedKey::from_pem(&parent),
            Err(KeyFileError::Parent(0x4000_0001))
        );
        let protected = whole(&[&start, &owner]);
        assert_eq!(
            WrappedKey::from_pem(&protected),
            Err(KeyFileError::Protected)
        );
        assert_eq!(WrappedKey::from_pem("x"), Err(KeyFileError::NoBlock));
        let cut = pem(&[0x30, 0x82, 1]);
        assert!(matches!(
            WrappedKey::from_pem(&cut),
            Err(KeyFileError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn keys_are_read_as_they_were_written(
            public in prop::collection::vec(any::<u8>(), 0..600),
            private in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let key = WrappedKey { public, private };
            let text = format!("# a comment\n{}", key.to_pem());
            prop_assert!(is_key_file(&text));
            prop_assert_eq!(WrappedKey::from_pem(&text), Ok(key));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = WrappedKey::from_pem(&pem(&element(tag::SEQUENCE, &bytes)));
            let _ = WrappedKey::from_pem(&pem(&bytes));
        }
    }
}
