//! Opens keys where they are, and keeps them open.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use pkcs11::{PinSource, TokenKeyReference, TokenUri};
use pki::{KeyAlgorithm, Signer};
use zeroize::Zeroizing;

use super::{Keys, OpenPair};
use crate::files::{self, Stamp};
use crate::secrets::Secret;
use crate::{KeyError, KeyId, Source, key_file};

/// The longest PIN file, bytes.
const MAX_PIN: usize = 1024;
/// Base64 whose padding may be missing, as Azure's configuration allows.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keys that are open.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<KeyId, OpenKey>>);

#[derive(Clone)]
struct OpenKey {
    /// The file that it was read from, as it was then.
    file: Option<(PathBuf, Stamp)>,
    what: What,
}

#[derive(Clone)]
enum What {
    Pair(OpenPair),
    Secret(Secret),
}

impl Opened {
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, OpenKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, id: &KeyId) {
        self.lock().remove(id);
    }

    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    /// A key whose file has not changed since.
    fn get(&self, id: &KeyId) -> Option<What> {
        let open = self.lock().get(id).cloned()?;
        match &open.file {
            Some((path, then)) if files::stamp(path).ok() != Some(*then) => {
                self.forget(id);
                None
            }
            _ => Some(open.what),
        }
    }
}

/// Where a key is found.
enum Found {
    File(PathBuf),
    Inline(Zeroizing<Vec<u8>>),
    Token(Box<TokenKeyReference>),
    Tpm(u32),
}

impl Keys {
    pub(super) fn open_pair(&self, id: &KeyId) -> Result<OpenPair, KeyError> {
        match self.opened.get(id) {
            Some(What::Pair(pair)) => return Ok(pair),
            Some(What::Secret(_)) => return Err(not_a(id, "a key pair")),
            None => {}
        }
        let (place, stamp) = self.place(id)?;
        let signer = match &place {
            Found::File(path) => {
                let bytes = files::read(path).map_err(|error| files::problem(path, &error))?;
                self.signer_of_file(path, &bytes)?
            }
            Found::Inline(_) => return Err(not_a(id, "a key pair")),
            Found::Token(reference) => self.libraries.new_signer((**reference).clone())?,
            Found::Tpm(handle) => self.settings().tpm.persistent(*handle)?,
        };
        let text = match &place {
            Found::Token(reference) => self.in_words(reference, &signer)?,
            _ => place.to_string(),
        };
        let pair = OpenPair {
            signer,
            place: text,
        };
        self.keep(id, stamp, What::Pair(pair.clone()));
        Ok(pair)
    }

    pub(crate) fn open_secret(&self, id: &KeyId) -> Result<Secret, KeyError> {
        match self.opened.get(id) {
            Some(What::Secret(secret)) => return Ok(secret),
            Some(What::Pair(_)) => return Err(not_a(id, "a symmetric key")),
            None => {}
        }
        let (place, stamp) = self.place(id)?;
        let text = place.to_string();
        let secret = match place {
            Found::File(path) => {
                let bytes = files::read(&path).map_err(|error| files::problem(&path, &error))?;
                key_file::refuse_text(&bytes, &path.display().to_string())?;
                Secret::in_memory(bytes, id, text)?
            }
            Found::Inline(bytes) => Secret::in_memory(bytes, id, text)?,
            Found::Token(reference) => Secret::in_token(self.libraries.secret(*reference)?)?,
            Found::Tpm(_) => return Err(not_a(id, "a symmetric key")),
        };
        self.keep(id, stamp, What::Secret(secret.clone()));
        Ok(secret)
    }

    /// Where a key in a token is, for people: library, slot, token, key and mechanism.
    fn in_words(&self, reference: &TokenKeyReference, signer: &Signer) -> Result<String, KeyError> {
        let at = self.libraries.locate(reference)?;
        let mechanism = match signer.public_key().kind() {
            KeyAlgorithm::Rsa => "CKM_RSA_PKCS_PSS or CKM_RSA_PKCS",
            _ => "CKM_ECDSA",
        };
        Ok(format!("{at}, {}, signs by {mechanism}", at.uri))
    }

    fn signer_of_file(&self, path: &Path, bytes: &[u8]) -> Result<Signer, KeyError> {
        match std::str::from_utf8(bytes) {
            Ok(text) if tpm::is_key_file(text) => self.settings().tpm.wrapped(text),
            _ => key_file::private_key(bytes)
                .map(Signer::from)
                .map_err(|problem| {
                    KeyError::unavailable(format!("the key file {}: {problem}", path.display()))
                }),
        }
    }

    fn keep(&self, id: &KeyId, file: Option<(PathBuf, Stamp)>, what: What) {
        self.opened
            .lock()
            .insert(id.clone(), OpenKey { file, what });
    }

    /// Where a key is: the configuration comes first, then what the role has made.
    fn place(&self, id: &KeyId) -> Result<(Found, Option<(PathBuf, Stamp)>), KeyError> {
        let stamped = |path: &Path| {
            files::stamp(path)
                .ok()
                .map(|stamp| (path.to_owned(), stamp))
        };
        if let Some(source) = self.settings().sources.remove(id) {
            return Ok(match source {
                Source::File(path) => {
                    let stamp = stamped(&path);
                    (Found::File(path), stamp)
                }
                Source::Inline(text) => {
                    let bytes = LENIENT.decode(text.reveal().as_bytes());
                    let bytes = bytes.map_err(|_| {
                        KeyError::invalid(format!("the value of the key {id} is not base64"))
                    })?;
                    (Found::Inline(Zeroizing::new(bytes)), None)
                }
                Source::Token { library, uri } => {
                    let (uri, source) = TokenUri::with_pin(uri.reveal())?;
                    let pin = pin(source)?;
                    let reference = TokenKeyReference { library, uri, pin };
                    (Found::Token(Box::new(reference)), None)
                }
                Source::Tpm(handle) => (Found::Tpm(handle), None),
            });
        }
        let path = self
            .folder
            .as_ref()
            .map(|folder| folder.join(id.file_name()));
        let path = path.ok_or_else(|| KeyError::NotFound(id.clone()))?;
        // A key whose file cannot be looked at is not gone.
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(KeyError::NotFound(id.clone())),
            Err(error) => return Err(files::problem(&path, &error)),
        }
        let stamp = stamped(&path);
        match self.reference_of(id) {
            Some(reference) => {
                let reference = self.with_pin(id, reference)?;
                Ok((Found::Token(Box::new(reference)), stamp))
            }
            None => Ok((Found::File(path), stamp)),
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Inline(_) => f.write_str("the configuration"),
            Self::Token(reference) => write!(f, "{reference:?}"),
            Self::Tpm(handle) => write!(f, "the TPM at 0x{handle:08x}"),
        }
    }
}

fn not_a(id: &KeyId, wanted: &str) -> KeyError {
    KeyError::invalid(format!("the key {id} is not {wanted}"))
}

/// The PIN of a URI.
pub(super) fn pin(source: Option<PinSource>) -> Result<Option<Zeroizing<String>>, KeyError> {
    let path = match source {
        None => return Ok(None),
        Some(PinSource::Value(pin)) => return Ok(Some(pin)),
        Some(PinSource::File(path)) => path,
    };
    let failed = |problem: &str| {
        let path = path.display();
        KeyError::unavailable(format!(
            "the PIN in the file {path} cannot be read: {problem}"
        ))
    };
    let text = fs::read(&path).map_err(|error| failed(&error.to_string()))?;
    let text = Zeroizing::new(text);
    if text.len() > MAX_PIN {
        return Err(failed("it is too long"));
    }
    let text = std::str::from_utf8(&text).map_err(|_| failed("it is not UTF-8"))?;
    let first = text.lines().next().unwrap_or_default();
    Ok(Some(Zeroizing::new(first.to_owned())))
}
