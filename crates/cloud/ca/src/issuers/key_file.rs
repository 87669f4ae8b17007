//! The file of an issuer: its key, plain or sealed, or where the key is, then its chain.

use std::path::{Path, PathBuf};

use pkcs11::{TokenKeyReference, TokenUri};
use pki::{Certificate, KeyError, PrivateKey};
use zeroize::Zeroizing;

use super::IssuerError;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const SEALED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
/// The label of a PIN that a passphrase opens.
const SEALED_PIN: &str = "ENCRYPTED PIN";
const LIBRARY: &str = "PKCS#11 library: ";
const URI: &str = "PKCS#11 URI: ";
const PIN: &str = "PIN: ";

/// The key of an issuer as its file has it.
pub(super) enum StoredKey {
    Here(PrivateKey),
    Token(TokenKeyReference),
}

/// Where an issuing key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStorage {
    /// In a file that only the owner of the data directory may read.
    File,
    /// In such a file, encrypted under the passphrase of the server.
    SealedFile,
    /// In a PKCS#11 token, under this URI.
    Token {
        /// The URI without a PIN.
        uri: String,
        /// The library that reaches the token.
        library: PathBuf,
        /// Whether the PIN is encrypted.
        is_sealed: bool,
    },
}

impl StoredKey {
    pub(super) fn to_text(
        &self,
        chain: &[Certificate],
        passphrase: Option<&String>,
    ) -> Result<Zeroizing<String>, IssuerError> {
        let passphrase = passphrase.map(String::as_bytes);
        let key = match (self, passphrase) {
            (Self::Here(key), None) => key.to_pem(),
            (Self::Here(key), Some(passphrase)) => key.to_encrypted_pem(passphrase)?,
            (Self::Token(token), passphrase) => reference(token, passphrase)?,
        };
        let certificates: String = chain.iter().map(Certificate::to_pem).collect();
        // With its full capacity from the start, because a growing text leaves copies of the key in
        // memory.
        let mut text = Zeroizing::new(String::with_capacity(key.len() + certificates.len()));
        text.push_str(&key);
        text.push_str(&certificates);
        Ok(text)
    }
}

fn reference(
    token: &TokenKeyReference,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>, IssuerError> {
    let (library, uri) = (token.library.display(), &token.uri);
    let head = format!("{LIBRARY}{library}\n{URI}{uri}\n");
    let pin = token.pin.as_deref().map_or("", String::as_str);
    let pin = match passphrase {
        None => Zeroizing::new(format!("{PIN}{pin}\n")),
        Some(passphrase) => pki::seal(SEALED_PIN, pin.as_bytes(), passphrase)?,
    };
    let mut text = Zeroizing::new(String::with_capacity(head.len() + pin.len()));
    text.push_str(&head);
    text.push_str(&pin);
    Ok(text)
}

pub(super) fn read(
    text: &str,
    passphrase: Option<&String>,
) -> Result<(StoredKey, Vec<Certificate>), IssuerError> {
    let begin = text.find(CERTIFICATE).unwrap_or(text.len());
    let (head, chain) = text.split_at(begin);
    let chain = Certificate::parse_pem_bundle(chain)?;
    let passphrase = passphrase.map(String::as_bytes);
    let Some(library) = line(head, LIBRARY) else {
        let key = PrivateKey::from_pem(head, passphrase)?;
        return Ok((StoredKey::Here(key), chain));
    };
    let uri = line(head, URI).ok_or(IssuerError::Damaged("it names no key"))?;
    let pin = match line(head, PIN) {
        Some(pin) => Zeroizing::new(pin.to_owned()),
        None => sealed_pin(head, passphrase)?,
    };
    let reference = TokenKeyReference {
        library: Path::new(library).to_owned(),
        uri: uri.parse::<TokenUri>()?,
        pin: Some(pin),
    };
    Ok((StoredKey::Token(reference), chain))
}

fn sealed_pin(head: &str, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, IssuerError> {
    let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
    let opened = pki::unseal(SEALED_PIN, head, passphrase)?;
    let opened = opened.ok_or(IssuerError::Damaged("it has no PIN"))?;
    let text = std::str::from_utf8(&opened).map_err(|_| IssuerError::Damaged("its PIN"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Where the key of a file is.
pub(super) fn storage(text: &str) -> KeyStorage {
    match (line(text, LIBRARY), line(text, URI)) {
        (Some(library), Some(uri)) => KeyStorage::Token {
            uri: uri.to_owned(),
            library: library.into(),
            is_sealed: line(text, PIN).is_none(),
        },
        _ if text.contains(SEALED_KEY) => KeyStorage::SealedFile,
        _ => KeyStorage::File,
    }
}

fn line<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(begin))
}
