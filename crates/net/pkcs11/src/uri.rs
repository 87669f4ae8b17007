//! PKCS#11 URIs (RFC 7512), as far as they name one private key.

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

/// Names a token and a private key in it: `pkcs11:token=LABEL;object=LABEL`. Of RFC 7512 the path
/// attributes `token`, `serial`, `slot-id`, `object`, `id` and `type=private` are known. A PIN is
/// not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUri {
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) slot: Option<u64>,
    pub(super) object: Option<String>,
    pub(super) id: Option<Vec<u8>>,
}

/// Where a URI says that the PIN is.
pub enum PinSource {
    /// `pin-value`.
    Value(Zeroizing<String>),
    /// `pin-source`, a file.
    File(std::path::PathBuf),
}

impl TokenUri {
    /// Splits off what a URI says about the PIN.
    pub fn with_pin(text: &str) -> Result<(Self, Option<PinSource>), TokenError> {
        let (path, query) = match text.split_once('?') {
            None => (text, ""),
            Some((path, query)) => (path, query),
        };
        let uri = path.parse()?;
        let mut source = None;
        for attribute in query.split('&').filter(|text| !text.is_empty()) {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
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
        Ok((uri, source))
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
            "type" if value == "private" => false,
            "type" => return fault(format!("type {value:?} does not sign; private does")),
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

impl FromStr for TokenUri {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_BYTES {
            return fault(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let Some(path) = text.strip_prefix("pkcs11:") else {
            return fault("it does not begin with pkcs11:".to_owned());
        };
        if path.contains('?') {
            return fault("a PIN is given apart from it".to_owned());
        }
        let mut uri = Self {
            token: None,
            serial: None,
            slot: None,
            object: None,
            id: None,
        };
        for attribute in path.split(';').filter(|text| !text.is_empty()) {
            match attribute.split_once('=') {
                Some((name, value)) => uri.set(name, value)?,
                None => return fault(format!("{attribute:?} has no value")),
            }
        }
        if uri.object.is_none() && uri.id.is_none() {
            return fault("it names no key: add object=LABEL or id=%01".to_owned());
        }
        if uri.token.is_none() && uri.serial.is_none() && uri.slot.is_none() {
            return fault("it names no token: add token=LABEL".to_owned());
        }
        Ok(uri)
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some(format!("{name}={}", utf8_percent_encode(value, ESCAPED)))
        };
        let id = self.id.as_ref().map(|id| {
            let bytes: String = id.iter().map(|byte| format!("%{byte:02X}")).collect();
            format!("id={bytes}")
        });
        let slot = self.slot.map(|slot| format!("slot-id={slot}"));
        let parts = [
            text("token", &self.token),
            text("serial", &self.serial),
            slot,
            text("object", &self.object),
            id,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "pkcs11:{};type=private", parts.join(";"))
    }
}

#[cfg(test)]
mod tests;
