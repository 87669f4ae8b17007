//! `/certificateAuthorities` of Azure's 2021-11-01-preview, and `/muster/v1/dps/issuers`: what
//! issues certificates to devices that register.
//!
//! Azure's authorities are accounts at other companies. Ours are CAs whose key the server holds;
//! what Azure has no member for is named as its other documents name it.

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::lenient::{BodyError, Fields};

mod description;
mod profile;
mod roll;

pub use description::{IssuerDescription, IssuerList};
pub use profile::{DeviceKeyType, IssuerProfile, IssuerSettings, ProfileKind};
pub use roll::{AuthorityUse, FinishRequest, RollDescription};

/// `certificateAuthorityType` of a CA whose key the server holds.
pub const MUSTER_CA_TYPE: &str = "musterCertificateAuthority";
/// `certificateAuthorityType` of a CA that the service itself has, in Azure's preview.
const MANAGED_CA_TYPE: &str = "privatePreviewManagedCertificateAuthority";
/// `x-ms-item-type` of a list of issuers.
pub const ISSUER_ITEM: &str = "certificateAuthority";

/// Longest PEM text of an imported chain, and of its key, bytes.
const MAX_PEM: usize = 64 * 1024;
/// The default of `validityDays`, in days.
const USUAL_DAYS: u16 = 90;
/// The default of `authorityValidityDays`, in days.
const USUAL_CA_DAYS: u16 = 3650;
const MOST_DAYS: i64 = 3650;
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
}

/// The body of a PUT of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerRequest {
    /// `profile`, `validityDays` and `keyTypes`: what the issuer issues.
    pub profile: IssuerProfile,
    /// `default`, `serverKeyGeneration` and `noCrl`: how it does so.
    pub settings: IssuerSettings,
    /// `certificate` and `privateKey`, or neither.
    pub source: IssuerSource,
}

impl IssuerRequest {
    /// Reads the body, and wipes the private key out of it.
    pub fn parse(mut body: Value) -> Result<Self, BodyError> {
        let key = take_key(&mut body)?;
        let fields = Fields::of_body(&body)?;
        require_own(&fields)?;
        let source = source(&fields, key)?;
        let profile = IssuerProfile {
            kind: profile_kind(&fields)?,
            validity_days: days(&fields, "validityDays", USUAL_DAYS, MOST_DAYS)?,
            key_types: key_types(&fields)?,
        };
        let settings = IssuerSettings {
            is_default: fields.boolean("default")?.unwrap_or_default(),
            server_key_generation: fields.boolean("serverKeyGeneration")?.unwrap_or_default(),
            no_crl: fields.boolean("noCrl")?.unwrap_or_default(),
        };
        Ok(Self {
            profile,
            settings,
            source,
        })
    }

    /// The body that a client sends.
    #[must_use]
    pub fn body(
        source: &IssuerSource,
        validity_days: Option<u16>,
        key_types: &[DeviceKeyType],
    ) -> Value {
        let mut body = Map::new();
        match source {
            IssuerSource::Made { common_name, days } => {
                if let Some(name) = common_name {
                    body.insert("commonName".into(), json!(name));
                }
                body.insert("authorityValidityDays".into(), json!(days));
            }
            IssuerSource::Imported { chain, key } => {
                body.insert("certificate".into(), json!(chain));
                body.insert("privateKey".into(), json!(key.as_str()));
            }
        }
        if let Some(days) = validity_days {
            body.insert("validityDays".into(), json!(days));
        }
        if !key_types.is_empty() {
            body.insert("keyTypes".into(), json!(key_types));
        }
        body.insert("certificateAuthorityType".into(), json!(MUSTER_CA_TYPE));
        Value::Object(body)
    }
}

/// Reads `commonName` and `authorityValidityDays`, or `certificate` beside the key.
fn source(fields: &Fields<'_>, key: Option<Zeroizing<String>>) -> Result<IssuerSource, BodyError> {
    let chain = fields.text("certificate")?.filter(|text| !text.is_empty());
    Ok(match (chain, key) {
        (None, None) => IssuerSource::Made {
            common_name: fields.text("commonName")?.map(str::to_owned),
            days: days(fields, "authorityValidityDays", USUAL_CA_DAYS, MOST_CA_DAYS)?,
        },
        (Some(chain), Some(_)) if chain.len() > MAX_PEM => {
            let problem = format!("is longer than {MAX_PEM} bytes");
            return Err(fields.error("certificate", problem));
        }
        (Some(chain), Some(key)) => IssuerSource::Imported {
            chain: chain.to_owned(),
            key,
        },
        (Some(_), None) => return Err(fields.error("privateKey", "is missing")),
        (None, Some(_)) => return Err(fields.error("certificate", "is missing")),
    })
}

impl IssuerSource {
    /// Reads the body that has an issuer rolled to another CA, and wipes the private key out of it.
    pub fn parse(mut body: Value) -> Result<Self, BodyError> {
        let key = take_key(&mut body)?;
        source(&Fields::of_body(&body)?, key)
    }
}

/// Moves the key out of the document, so that nothing that prints the document prints the key.
fn take_key(body: &mut Value) -> Result<Option<Zeroizing<String>>, BodyError> {
    const MEMBER: &str = "privateKey";
    let Some(map) = body.as_object_mut() else {
        return Ok(None);
    };
    let names = map.keys().filter(|name| name.eq_ignore_ascii_case(MEMBER));
    let names: Vec<String> = names.cloned().collect();
    let mut key = None;
    for name in names {
        match map.remove(&name) {
            Some(Value::String(text)) if text.len() <= MAX_PEM => key = Some(Zeroizing::new(text)),
            Some(Value::Null) | None => {}
            Some(_) => {
                let problem = format!("a PEM text of at most {MAX_PEM} bytes was expected");
                return Err(BodyError::new(MEMBER, problem));
            }
        }
    }
    Ok(key.filter(|text| !text.is_empty()))
}

fn require_own(fields: &Fields<'_>) -> Result<(), BodyError> {
    const MEMBER: &str = "certificateAuthorityType";
    match fields.text(MEMBER)? {
        None | Some("") => Ok(()),
        Some(kind)
            if [MUSTER_CA_TYPE, MANAGED_CA_TYPE]
                .iter()
                .any(|own| own.eq_ignore_ascii_case(kind)) =>
        {
            Ok(())
        }
        Some(kind) => {
            let start: String = kind.chars().take(64).collect();
            let problem = format!(
                "{start:?} is not offered; the server issues by CAs of its own, {MUSTER_CA_TYPE}"
            );
            Err(fields.error(MEMBER, problem))
        }
    }
}

fn days(fields: &Fields<'_>, name: &str, usual: u16, most: i64) -> Result<u16, BodyError> {
    let Some(days) = fields.whole(name)? else {
        return Ok(usual);
    };
    let fits = (1..=most).contains(&days);
    match u16::try_from(days).ok().filter(|_| fits) {
        Some(days) => Ok(days),
        None => Err(fields.error(name, format!("{days} is not between 1 and {most}"))),
    }
}

fn profile_kind(fields: &Fields<'_>) -> Result<ProfileKind, BodyError> {
    const MEMBER: &str = "profile";
    let Some(name) = fields.text(MEMBER)?.filter(|text| !text.is_empty()) else {
        return Ok(ProfileKind::default());
    };
    ProfileKind::named(name).ok_or_else(|| {
        let start: String = name.chars().take(64).collect();
        let all = ProfileKind::ALL.map(ProfileKind::name).join(", ");
        fields.error(MEMBER, format!("{start:?} is not one of {all}"))
    })
}

fn key_types(fields: &Fields<'_>) -> Result<Vec<DeviceKeyType>, BodyError> {
    const MEMBER: &str = "keyTypes";
    let names = fields.texts(MEMBER)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(DeviceKeyType::ALL.to_vec());
    }
    let known = |name: &String| {
        let mut all = DeviceKeyType::ALL.into_iter();
        let found = all.find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let start: String = name.chars().take(64).collect();
            fields.error(MEMBER, format!("{start:?} is not one of P-256, P-384, RSA"))
        })
    };
    let mut kinds: Vec<DeviceKeyType> = Vec::new();
    for name in names.iter().take(2 * DeviceKeyType::ALL.len()) {
        let kind = known(name)?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: Value) -> String {
        let read = IssuerRequest::parse(body);
        read.err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_a_client_sends_is_what_is_read() {
        let made = IssuerSource::Made {
            common_name: Some("Devices".to_owned()),
            days: 100,
        };
        let imported = IssuerSource::Imported {
            chain: "CHAIN".to_owned(),
            key: Zeroizing::new("KEY".to_owned()),
        };
        for source in [made, imported] {
            let body = IssuerRequest::body(&source, Some(30), &[DeviceKeyType::P384]);
            let read = IssuerRequest::parse(body).unwrap();
            assert!(read.source == source);
            assert_eq!(read.profile.validity_days, 30);
            assert_eq!(read.profile.key_types, [DeviceKeyType::P384]);
        }
        let bare = IssuerRequest::parse(json!({})).unwrap();
        assert_eq!(bare.profile.key_types, DeviceKeyType::ALL);
        assert_eq!(bare.profile.validity_days, USUAL_DAYS);
    }

    #[test]
    fn faults_name_their_place_and_never_the_key() {
        for (body, wanted) in [
            (json!({"certificate": "C"}), "'privateKey': is missing"),
            (json!({"PrivateKey": "SECRET"}), "'certificate': is missing"),
            (
                json!({"privateKey": ["SECRET"]}),
                "'privateKey': a PEM text",
            ),
            (
                json!({"validityDays": 0}),
                "'validityDays': 0 is not between",
            ),
            (json!({"keyTypes": ["DSA"]}), "'keyTypes': \"DSA\""),
            (
                json!({"certificateAuthorityType": "digiCertCertificateAuthority", "apiKey": "x"}),
                "'certificateAuthorityType'",
            ),
        ] {
            let found = problem(body.clone());
            assert!(found.starts_with(wanted), "{found}");
            assert!(!found.contains("SECRET"));
        }
    }
}
