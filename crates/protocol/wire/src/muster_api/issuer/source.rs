use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{days, secret};
use crate::lenient::{BodyError, Fields};

/// Longest PEM text of an imported chain, and of its key, bytes.
const MAX_PEM: usize = 64 * 1024;
/// Longest URI, path of a library, and PIN, bytes.
const MAX_TOKEN_TEXT: usize = 1024;
/// The default of `authorityValidityDays`, in days.
const USUAL_CA_DAYS: u16 = 3650;
const MOST_CA_DAYS: i64 = 10 * 3650;

/// The source of an issuer's key.
#[derive(Clone, PartialEq, Eq)]
pub enum IssuerSource {
    /// Generated here, with a certificate that it signs itself.
    Made {
        /// Common name of the CA; the issuer's name when absent.
        common_name: Option<String>,
        /// The validity of the CA's certificate, 1 to 36500 days.
        days: u16,
    },
    /// The request carries the chain and its key.
    Imported {
        /// The CA's certificate and those above it, PEM.
        chain: String,
        /// Its private key, PEM, not encrypted.
        key: Zeroizing<String>,
    },
    /// The key is in a PKCS#11 token of the server's machine.
    Token {
        /// `pkcs11Uri`, `pkcs11Library` and `pkcs11Pin`.
        key: TokenKeyMembers,
        /// The certificate of the key and those above it, PEM. Without it, the key signs its own.
        chain: Option<String>,
        /// Common name of a certificate that the key signs itself.
        common_name: Option<String>,
        /// The validity of that certificate, 1 to 36500 days.
        days: u16,
    },
}

/// What opens a key in a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKeyMembers {
    /// The key, a PKCS#11 URI (RFC 7512) without a PIN.
    pub uri: String,
    /// The file of the PKCS#11 library, which the server must allow.
    pub library: String,
    /// The PIN of the token's user.
    pub pin: Zeroizing<String>,
}

/// The secret members of a body, moved out of it, so that nothing that prints the body prints them.
pub(super) struct Secrets {
    key: Option<Zeroizing<String>>,
    pin: Option<Zeroizing<String>>,
}

impl Secrets {
    pub(super) fn take(body: &mut Value) -> Result<Self, BodyError> {
        Ok(Self {
            key: secret(body, "privateKey", MAX_PEM)?,
            pin: secret(body, "pkcs11Pin", MAX_TOKEN_TEXT)?,
        })
    }
}

impl IssuerSource {
    /// Reads the body that has an issuer rolled to another CA, and takes its secrets out of it.
    pub fn parse(mut body: Value) -> Result<Self, BodyError> {
        let secrets = Secrets::take(&mut body)?;
        Self::read(&Fields::of_body(&body)?, secrets)
    }

    /// The body that a client sends to roll an issuer.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut body = Map::new();
        self.write(&mut body);
        Value::Object(body)
    }

    pub(super) fn read(fields: &Fields<'_>, secrets: Secrets) -> Result<Self, BodyError> {
        let chain = fields.text("certificate")?.filter(|text| !text.is_empty());
        if chain.is_some_and(|chain| chain.len() > MAX_PEM) {
            let problem = format!("is longer than {MAX_PEM} bytes");
            return Err(fields.error("certificate", problem));
        }
        let chain = chain.map(str::to_owned);
        let common_name = fields.text("commonName")?.map(str::to_owned);
        let made = || days(fields, "authorityValidityDays", USUAL_CA_DAYS, MOST_CA_DAYS);
        if let Some(uri) = fields.text("pkcs11Uri")?.filter(|text| !text.is_empty()) {
            if secrets.key.is_some() {
                return Err(fields.error("privateKey", "the key is in the token"));
            }
            return Ok(Self::Token {
                key: token(fields, uri, secrets.pin)?,
                chain,
                common_name,
                days: made()?,
            });
        }
        if secrets.pin.is_some() || fields.text("pkcs11Library")?.is_some() {
            return Err(fields.error("pkcs11Uri", "is missing"));
        }
        match (chain, secrets.key) {
            (None, None) => Ok(Self::Made {
                common_name,
                days: made()?,
            }),
            (Some(chain), Some(key)) => Ok(Self::Imported { chain, key }),
            (Some(_), None) => Err(fields.error("privateKey", "is missing")),
            (None, Some(_)) => Err(fields.error("certificate", "is missing")),
        }
    }

    pub(super) fn write(&self, body: &mut Map<String, Value>) {
        match self {
            Self::Made { common_name, days } => write_made(body, common_name.as_ref(), *days),
            Self::Imported { chain, key } => {
                body.insert("certificate".into(), json!(chain));
                body.insert("privateKey".into(), json!(key.as_str()));
            }
            Self::Token {
                key,
                chain,
                common_name,
                days,
            } => {
                body.insert("pkcs11Uri".into(), json!(key.uri));
                body.insert("pkcs11Library".into(), json!(key.library));
                body.insert("pkcs11Pin".into(), json!(key.pin.as_str()));
                match chain {
                    Some(chain) => drop(body.insert("certificate".into(), json!(chain))),
                    None => write_made(body, common_name.as_ref(), *days),
                }
            }
        }
    }
}

fn write_made(body: &mut Map<String, Value>, common_name: Option<&String>, days: u16) {
    if let Some(name) = common_name {
        body.insert("commonName".into(), json!(name));
    }
    body.insert("authorityValidityDays".into(), json!(days));
}

fn token(
    fields: &Fields<'_>,
    uri: &str,
    pin: Option<Zeroizing<String>>,
) -> Result<TokenKeyMembers, BodyError> {
    let library = fields.text("pkcs11Library")?.unwrap_or_default();
    let lengths = [("pkcs11Uri", uri), ("pkcs11Library", library)];
    for (member, text) in lengths {
        let has_controls = text.chars().any(char::is_control);
        if text.is_empty() || text.len() > MAX_TOKEN_TEXT || has_controls {
            let problem = format!("1 to {MAX_TOKEN_TEXT} bytes on one line were expected");
            return Err(fields.error(member, problem));
        }
    }
    let pin = pin.ok_or_else(|| fields.error("pkcs11Pin", "is missing"))?;
    if pin.chars().any(char::is_control) {
        return Err(fields.error("pkcs11Pin", "has control characters"));
    }
    Ok(TokenKeyMembers {
        uri: uri.to_owned(),
        library: library.to_owned(),
        pin,
    })
}
