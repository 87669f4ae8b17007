//! Where keys and certificates are: files, tokens, the TPM, or made by the device itself.

use std::path::PathBuf;

use wire::sas::SharedAccessKey;

use super::fault::LineNumber;
use super::secret::Secret;

/// A file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReference {
    pub path: PathBuf,
    pub line: LineNumber,
    /// The key that names it, without its section.
    pub key: String,
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// PEM.
    File(FileReference),
    Pkcs11(TokenReference),
    /// `tpm:0x81010001`: a persistent object of the TPM of `[tpm]`.
    Tpm(TpmReference),
    /// The device makes the key and keeps it, under a key id: in the slot of
    /// `pkcs11_base_slot` if there is one, else in a file.
    Held,
}

/// A key in a PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReference {
    /// The URI as it was written. Its syntax has been checked; it may hold a PIN.
    pub uri: Secret,
    pub line: LineNumber,
    /// The key that names it, without its section.
    pub key: String,
}

/// A persistent object of a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmReference {
    /// 0x81000000 to 0x81ffffff.
    pub handle: u32,
    pub line: LineNumber,
    /// The key that names it, without its section.
    pub key: String,
}

/// Where a symmetric key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SymmetricKey {
    /// `value`, base64.
    Inline(InlineKey),
    /// `uri = "file:///…"`: the bytes of the key themselves.
    File(FileReference),
    Pkcs11(TokenReference),
}

/// A symmetric key that stands in the configuration.
#[derive(Debug, Clone)]
pub struct InlineKey {
    pub key: SharedAccessKey,
    pub line: LineNumber,
}

impl PartialEq for InlineKey {
    fn eq(&self, other: &Self) -> bool {
        *self.key.to_base64() == *other.key.to_base64()
    }
}

impl Eq for InlineKey {}
