use ids::{Thumbprint, ThumbprintSha1};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::KeyText;
use crate::lenient::{BodyError, Fields};

/// One certificate thumbprint as registered: 40 hexadecimal digits for SHA-1, 64 for SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateThumbprint {
    /// A SHA-1 thumbprint, 20 bytes.
    Sha1(ThumbprintSha1),
    /// A SHA-256 thumbprint, 32 bytes.
    Sha256(Thumbprint),
}

impl CertificateThumbprint {
    /// Parses 40 or 64 hexadecimal digits in any case.
    ///
    /// # Errors
    /// When the text has neither 40 nor 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, ids::IdError> {
        match ThumbprintSha1::parse(text) {
            Ok(sha1) => Ok(Self::Sha1(sha1)),
            Err(_) => Thumbprint::parse(text).map(Self::Sha256),
        }
    }
}

impl std::fmt::Display for CertificateThumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sha1(sha1) => sha1.fmt(f),
            Self::Sha256(sha256) => sha256.fmt(f),
        }
    }
}

/// How an identity proves itself to the hub.
///
/// Serialised with both `symmetricKey` and `x509Thumbprint` objects whatever the kind, because `az
/// iot` indexes into them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Tokens signed with one of two shared keys.
    Sas {
        /// The key in daily use.
        primary: KeyText,
        /// The key to roll over to.
        secondary: KeyText,
    },
    /// A certificate with one of the registered thumbprints.
    SelfSigned {
        /// The thumbprint in daily use.
        primary: Option<CertificateThumbprint>,
        /// The thumbprint to roll over to.
        secondary: Option<CertificateThumbprint>,
    },
    /// A certificate of a CA that the hub trusts, whose common name is the device id.
    CertificateAuthority,
    /// Nothing registered yet: `$edgeAgent` and `$edgeHub` until the device uploads their keys.
    None,
}

impl Authentication {
    /// The `type` in JSON, such as `sas`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Sas { .. } => "sas",
            Self::SelfSigned { .. } => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    /// Reads what [`Serialize`] wrote, with every key present: the stored form.
    ///
    /// # Errors
    /// When the value is not such a document.
    pub fn parse_complete(value: &Value) -> Result<Self, BodyError> {
        let complete = |key: Option<KeyText>| {
            key.ok_or_else(|| BodyError::new("symmetricKey", "a key is missing"))
        };
        Ok(
            match AuthenticationRequest::parse(&Fields::of_body(value)?)? {
                AuthenticationRequest::Sas { primary, secondary } => Self::Sas {
                    primary: complete(primary)?,
                    secondary: complete(secondary)?,
                },
                AuthenticationRequest::SelfSigned { primary, secondary } => {
                    Self::SelfSigned { primary, secondary }
                }
                AuthenticationRequest::CertificateAuthority => Self::CertificateAuthority,
                AuthenticationRequest::None => Self::None,
            },
        )
    }

    /// The JSON form; keys become `null` when `with_keys` is false (callers with
    /// the RegistryRead right only).
    #[must_use]
    pub fn to_json(&self, with_keys: bool) -> Value {
        let (mut keys, mut thumbprints) = ((None, None), (None, None));
        match self {
            Self::Sas { primary, secondary } if with_keys => {
                keys = (Some(primary.reveal()), Some(secondary.reveal()));
            }
            Self::SelfSigned { primary, secondary } => {
                thumbprints = (
                    primary.map(|t| t.to_string()),
                    secondary.map(|t| t.to_string()),
                );
            }
            _ => {}
        }
        json!({
            "symmetricKey": {"primaryKey": keys.0, "secondaryKey": keys.1},
            "x509Thumbprint": {"primaryThumbprint": thumbprints.0,
                "secondaryThumbprint": thumbprints.1},
            "type": self.type_name(),
        })
    }
}

impl Serialize for Authentication {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json(true).serialize(serializer)
    }
}

/// An `authentication` member as sent: absent, `null` and empty keys mean that
/// the hub generates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationRequest {
    /// `sas`: a symmetric key that signs tokens.
    Sas {
        /// `symmetricKey.primaryKey`; generated when it is absent.
        primary: Option<KeyText>,
        /// `symmetricKey.secondaryKey`; generated when it is absent.
        secondary: Option<KeyText>,
    },
    /// `selfSigned` (or `x509`, as device daemons spell it), with at least one thumbprint.
    SelfSigned {
        /// `x509Thumbprint.primaryThumbprint`, in hexadecimal digits.
        primary: Option<CertificateThumbprint>,
        /// `x509Thumbprint.secondaryThumbprint`, in hexadecimal digits.
        secondary: Option<CertificateThumbprint>,
    },
    /// `certificateAuthority`: a certificate under a registered CA.
    CertificateAuthority,
    /// `none`: the identity cannot prove itself.
    None,
}

impl AuthenticationRequest {
    /// Reads an `authentication` object. Without a `type`, a thumbprint means `selfSigned`
    /// and anything else `sas`.
    ///
    /// # Errors
    /// On an unknown type, a key that is not base64 of 16 to 64 bytes, or a thumbprint that is not
    /// 40 or 64 hexadecimal digits.
    pub fn parse(fields: &Fields<'_>) -> Result<Self, BodyError> {
        let [first, second] = thumbprints(fields)?;
        let kind = fields.text("type")?.map(str::to_ascii_lowercase);
        let kind = kind.as_deref().filter(|kind| !kind.is_empty());
        let inferred = if first.is_some() || second.is_some() {
            "selfsigned"
        } else {
            "sas"
        };
        match kind.unwrap_or(inferred) {
            "sas" => {
                let [primary, secondary] = keys(fields)?;
                Ok(Self::Sas { primary, secondary })
            }
            "selfsigned" | "x509" if first.is_none() && second.is_none() => Err(fields.error(
                "x509Thumbprint",
                "a selfSigned identity needs primaryThumbprint or secondaryThumbprint",
            )),
            "selfsigned" | "x509" => Ok(Self::SelfSigned {
                primary: first,
                secondary: second,
            }),
            "certificateauthority" => Ok(Self::CertificateAuthority),
            "none" => Ok(Self::None),
            other => Err(fields.error(
                "type",
                format!("{other:?} is not one of sas, selfSigned, certificateAuthority, none"),
            )),
        }
    }
}

fn keys(fields: &Fields<'_>) -> Result<[Option<KeyText>; 2], BodyError> {
    let Some(pair) = fields.object("symmetricKey")? else {
        return Ok([None, None]);
    };
    let read = |name| match pair.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => KeyText::parse(text)
            .map(Some)
            .map_err(|problem| pair.error(name, problem)),
    };
    Ok([read("primaryKey")?, read("secondaryKey")?])
}

fn thumbprints(fields: &Fields<'_>) -> Result<[Option<CertificateThumbprint>; 2], BodyError> {
    let Some(pair) = fields.object("x509Thumbprint")? else {
        return Ok([None, None]);
    };
    let read = |name| match pair.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => CertificateThumbprint::parse(text).map(Some).map_err(|_| {
            pair.error(
                name,
                "40 (SHA-1) or 64 (SHA-256) hexadecimal digits were expected",
            )
        }),
    };
    Ok([read("primaryThumbprint")?, read("secondaryThumbprint")?])
}
