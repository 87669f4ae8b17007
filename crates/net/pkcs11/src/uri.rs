//! PKCS#11 URIs (RFC 7512), as far as they name one token or one key.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use super::TokenError;

/// The longest URI, bytes.
const MAX_BYTES: usize = 1024;
/// What is not written as it is in an attribute.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b';')
    .add(b'?')
    .add(b'/')
    .add(b'#')
    .add(b'&')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Names a token: `pkcs11:token=LABEL`. Of RFC 7512 the path attributes `token`, `serial` and
/// `slot-id` are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotUri {
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) slot: Option<u64>,
}

/// Names a token and a key in it: `pkcs11:token=LABEL;object=LABEL`. Beside the attributes of
/// [`SlotUri`] those of RFC 7512 that are known are `object`, `id`, `type=private` and
/// `type=secret-key`. A PIN is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUri {
    pub(super) slot: SlotUri,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) class: KeyClass,
}

/// The kinds of keys that a URI can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyClass {
    Private,
    Secret,
}

/// Where a URI says that the PIN is.
pub enum PinSource {
    /// `pin-value`.
    Value(Zeroizing<String>),
    /// `pin-source`, a file.
    File(std::path::PathBuf),
}

impl SlotUri {
    /// Splits off what a URI says about the PIN.
    pub fn with_pin(text: &str) -> Result<(Self, Option<PinSource>), TokenError> {
        let (path, source) = split_pin(text)?;
        Ok((path.parse()?, source))
    }

    /// The key with a label and an id (`CKA_LABEL`, `CKA_ID`) in this token.
    pub(super) fn key(&self, label: &str, id: &[u8], class: KeyClass) -> TokenUri {
        TokenUri {
            slot: self.clone(),
            object: Some(label.to_owned()),
            id: Some(id.to_vec()),
            class,
        }
    }
}

impl TokenUri {
    /// Splits off what a URI says about the PIN.
    pub fn with_pin(text: &str) -> Result<(Self, Option<PinSource>), TokenError> {
        let (path, source) = split_pin(text)?;
        Ok((path.parse()?, source))
    }

    /// The token that the key is in, as this URI names it.
    #[must_use]
    pub fn slot(&self) -> &SlotUri {
        &self.slot
    }

    /// The secret key (`CKO_SECRET_KEY`) under this name.
    pub(super) fn of_secret(&self) -> Self {
        Self {
            class: KeyClass::Secret,
            ..self.clone()
        }
    }
}

/// The part of a URI that names something, and where it says that the PIN is.
fn split_pin(text: &str) -> Result<(&str, Option<PinSource>), TokenError> {
    let (path, query) = match text.split_once('?') {
        None => (text, ""),
        Some((path, query)) => (path, query),
    };
    let mut source = None;
    for attribute in query.split('&').filter(|text| !text.is_empty()) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        if name.starts_with("x-") {
            continue;
        }
        if source.is_some() {
            return fault("it says twice where the PIN is".to_owned());
        }
        source = Some(match name {
            "pin-value" => PinSource::Value(Zeroizing::new(decoded(name, value)?)),
            "pin-source" => {
                let value = decoded(name, value)?;
                let file = value.strip_prefix("file:").unwrap_or(&value);
                PinSource::File(file.strip_prefix("//").unwrap_or(file).into())
            }
            _ => {
                return fault(format!(
                    "the query attribute {name:?} is not known; pin-source and pin-value are"
                ));
            }
        });
    }
    Ok((path, source))
}

/// The path attributes of a URI.
#[derive(Default)]
struct Attributes {
    token: Option<String>,
    serial: Option<String>,
    slot: Option<u64>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    class: Option<KeyClass>,
}

impl Attributes {
    fn read(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_BYTES {
            return fault(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let Some(path) = text.strip_prefix("pkcs11:") else {
            return fault("it does not begin with pkcs11:".to_owned());
        };
        if path.contains('?') {
            return fault("a PIN is given apart from it".to_owned());
        }
        let mut read = Self::default();
        for attribute in path.split(';').filter(|text| !text.is_empty()) {
            match attribute.split_once('=') {
                Some((name, value)) => read.set(name, value)?,
                None => return fault(format!("{attribute:?} has no value")),
            }
        }
        Ok(read)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), TokenError> {
        let repeated = match name {
            "token" => self.token.replace(decoded(name, value)?).is_some(),
            "serial" => self.serial.replace(decoded(name, value)?).is_some(),
            "object" => self.object.replace(decoded(name, value)?).is_some(),
            "id" => {
                let bytes: Vec<u8> = percent_decode_str(value).collect();
                self.id.replace(bytes).is_some()
            }
            "slot-id" => match value.parse() {
                Ok(slot) => self.slot.replace(slot).is_some(),
                Err(_) => return fault(format!("slot-id {value:?} is not a number")),
            },
            "type" => match value {
                "private" => self.class.replace(KeyClass::Private).is_some(),
                "secret-key" => self.class.replace(KeyClass::Secret).is_some(),
                _ => return fault(format!("type {value:?} does not sign; private does")),
            },
            // Of a vendor; who does not know it may ignore it.
            name if name.starts_with("x-") => false,
            _ => {
                return fault(format!(
                    "the attribute {name:?} is not known; token, serial, slot-id, object, id and \
                     type are"
                ));
            }
        };
        match repeated {
            true => fault(format!("it has {name} twice")),
            false => Ok(()),
        }
    }

    fn slot(&mut self) -> Result<SlotUri, TokenError> {
        let slot = SlotUri {
            token: self.token.take(),
            serial: self.serial.take(),
            slot: self.slot.take(),
        };
        if slot.token.is_none() && slot.serial.is_none() && slot.slot.is_none() {
            return fault("it names no token: add token=LABEL".to_owned());
        }
        Ok(slot)
    }
}

fn fault<T>(problem: String) -> Result<T, TokenError> {
    Err(TokenError::Uri(problem))
}

fn decoded(name: &str, value: &str) -> Result<String, TokenError> {
    let text = percent_decode_str(value).decode_utf8();
    match text {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => fault(format!("{name} is not UTF-8")),
    }
}

impl FromStr for SlotUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut read = Attributes::read(text)?;
        if read.object.is_some() || read.id.is_some() || read.class.is_some() {
            return fault("it names a key, where a token is meant".to_owned());
        }
        read.slot()
    }
}

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut read = Attributes::read(text)?;
        if read.object.is_none() && read.id.is_none() {
            return fault("it names no key: add object=LABEL or id=%01".to_owned());
        }
        Ok(Self {
            slot: read.slot()?,
            object: read.object,
            id: read.id,
            class: read.class.unwrap_or(KeyClass::Private),
        })
    }
}

impl fmt::Display for SlotUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.slot.map(|slot| format!("slot-id={slot}"));
        let parts = [
            text("token", self.token.as_deref()),
            text("serial", self.serial.as_deref()),
            slot,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "pkcs11:{}", parts.join(";"))
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.fmt(f)?;
        if let Some(object) = text("object", self.object.as_deref()) {
            write!(f, ";{object}")?;
        }
        if let Some(id) = &self.id {
            f.write_str(";id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        f.write_str(match self.class {
            KeyClass::Private => ";type=private",
            KeyClass::Secret => ";type=secret-key",
        })
    }
}

fn text(name: &str, value: Option<&str>) -> Option<String> {
    let value = utf8_percent_encode(value?, ESCAPED);
    Some(format!("{name}={value}"))
}

#[cfg(test)]
mod tests;
