//! `/certificateAuthorities` of Azure's 2021-11-01-preview, and `/muster/v1/dps/issuers`: what
//! issues certificates to devices that register.
//!
//! Azure's authorities are accounts at other companies. Ours are CAs whose key the server holds;
//! what Azure has no member for is named as its other documents name it.

use ids::ProfileKind;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::issued_certificate::length_of_time;
use crate::lenient::{BodyError, Fields};

mod description;
mod profile;
mod roll;
mod source;
mod update;
mod user;

pub use description::{IssuerDescription, IssuerKeyStorage, IssuerList};
pub use profile::{DeviceKeyType, IssuerProfile, IssuerSettings, Lifetime, PinnedCertificates};
pub use roll::{AuthorityUse, FinishRequest, RollDescription};
use source::Secrets;
pub use source::{IssuerSource, TokenKeyMembers};
pub use update::IssuerUpdate;
pub use user::{IssuerUserDescription, IssuerUserRequest};

/// `certificateAuthorityType` of a CA whose key the server holds.
pub const MUSTER_CA_TYPE: &str = "musterCertificateAuthority";
/// `certificateAuthorityType` of a CA that the service itself has, in Azure's preview.
const MANAGED_CA_TYPE: &str = "privatePreviewManagedCertificateAuthority";
/// `x-ms-item-type` of a list of issuers.
pub const ISSUER_ITEM: &str = "certificateAuthority";
/// `x-ms-item-type` of a list of users of an issuer.
pub const ISSUER_USER_ITEM: &str = "issuerUser";

const MOST_DAYS: i64 = 3650;

/// The body of a PUT of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerRequest {
    /// `profile`, `validityDays` and `keyTypes`: what the issuer issues.
    pub profile: IssuerProfile,
    /// `default`, `serverKeyGeneration`, `noCrl` and `pinnedCertificates`: how it does so.
    pub settings: IssuerSettings,
    /// `certificate` and `privateKey`, `pkcs11Uri` and what belongs to it, or neither.
    pub source: IssuerSource,
}

impl IssuerRequest {
    /// Reads the body, and takes the private key or the PIN out of it.
    pub fn parse(mut body: Value) -> Result<Self, BodyError> {
        let secrets = Secrets::take(&mut body)?;
        let fields = Fields::of_body(&body)?;
        require_own(&fields)?;
        let source = IssuerSource::read(&fields, secrets)?;
        let profile = IssuerProfile {
            kind: profile_kind(&fields)?,
            lifetime: lifetime(&fields)?,
            key_types: key_types(&fields)?,
        };
        let settings = IssuerSettings {
            is_default: fields.boolean("default")?.unwrap_or_default(),
            server_key_generation: fields.boolean("serverKeyGeneration")?.unwrap_or_default(),
            no_crl: fields.boolean("noCrl")?.unwrap_or_default(),
            pinned_certificates: pinned_certificates(&fields)?.unwrap_or_default(),
            experimental: fields.boolean("experimental")?.unwrap_or_default(),
        };
        let mut experiments = profile
            .key_types
            .iter()
            .filter(|kind| kind.is_experimental());
        if let (Some(kind), false) = (experiments.next(), settings.experimental) {
            let problem = format!(
                "{} is an experiment: it takes 'experimental': true",
                kind.name()
            );
            return Err(fields.error("keyTypes", problem));
        }
        Ok(Self {
            profile,
            settings,
            source,
        })
    }

    /// The body that a client sends.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut body = Map::new();
        self.source.write(&mut body);
        for part in [json!(self.profile), json!(self.settings)] {
            if let Value::Object(members) = part {
                body.extend(members);
            }
        }
        body.insert("certificateAuthorityType".into(), json!(MUSTER_CA_TYPE));
        Value::Object(body)
    }
}

/// Moves a secret out of the document, so that nothing that prints the document prints it.
fn secret(
    body: &mut Value,
    member: &str,
    most: usize,
) -> Result<Option<Zeroizing<String>>, BodyError> {
    let Some(map) = body.as_object_mut() else {
        return Ok(None);
    };
    let names = map.keys().filter(|name| name.eq_ignore_ascii_case(member));
    let names: Vec<String> = names.cloned().collect();
    let mut key = None;
    for name in names {
        match map.remove(&name) {
            Some(Value::String(text)) if text.len() <= most => key = Some(Zeroizing::new(text)),
            Some(Value::Null) | None => {}
            Some(_) => {
                let problem = format!("a text of at most {most} bytes was expected");
                return Err(BodyError::new(member, problem));
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

fn lifetime(fields: &Fields<'_>) -> Result<Lifetime, BodyError> {
    const TEXT: &str = "validity";
    const DAYS: &str = "validityDays";
    const MINUTES: &str = "validityMinutes";
    let given = [TEXT, DAYS, MINUTES].map(|name| fields.get(name).filter(|v| !v.is_null()));
    if given.iter().flatten().count() > 1 {
        let problem = format!("is given beside another of {TEXT}, {DAYS} and {MINUTES}");
        return Err(fields.error(if given[0].is_some() { TEXT } else { DAYS }, problem));
    }
    let bounds = |name| fields.error(name, "is not between a minute and 3650 days");
    if let Some(text) = fields.text(TEXT)? {
        let length = length_of_time(TEXT, text)?;
        return Lifetime::of(length).ok_or_else(|| bounds(TEXT));
    }
    if let Some(minutes) = fields.whole(MINUTES)? {
        let minutes = u64::try_from(minutes).map_err(|_| bounds(MINUTES))?;
        let length = Duration::from_secs(minutes.saturating_mul(60));
        return Lifetime::of(length).ok_or_else(|| bounds(MINUTES));
    }
    match given[1] {
        Some(_) => Ok(Lifetime::Days {
            days: days(fields, DAYS, 1, MOST_DAYS)?,
        }),
        None => Ok(IssuerProfile::default().lifetime),
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

fn pinned_certificates(fields: &Fields<'_>) -> Result<Option<PinnedCertificates>, BodyError> {
    const MEMBER: &str = "pinnedCertificates";
    let Some(name) = fields.text(MEMBER)? else {
        return Ok(None);
    };
    let mut all = PinnedCertificates::ALL.into_iter();
    let found = all.find(|one| one.name().eq_ignore_ascii_case(name));
    found.map(Some).ok_or_else(|| {
        let start: String = name.chars().take(64).collect();
        let all = PinnedCertificates::ALL
            .map(PinnedCertificates::name)
            .join(", ");
        fields.error(MEMBER, format!("{start:?} is not one of {all}"))
    })
}

fn key_types(fields: &Fields<'_>) -> Result<Vec<DeviceKeyType>, BodyError> {
    const MEMBER: &str = "keyTypes";
    let names = fields.texts(MEMBER)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(DeviceKeyType::USUAL.to_vec());
    }
    let known = |name: &String| {
        let mut all = DeviceKeyType::ALL.into_iter();
        let found = all.find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let start: String = name.chars().take(64).collect();
            let all = DeviceKeyType::ALL.map(DeviceKeyType::name).join(", ");
            fields.error(MEMBER, format!("{start:?} is not one of {all}"))
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
        let token = |chain: Option<&str>| IssuerSource::Token {
            key: TokenKeyMembers {
                uri: "pkcs11:token=a;object=b".to_owned(),
                library: "/usr/lib/x.so".to_owned(),
                pin: Zeroizing::new("1234".to_owned()),
            },
            chain: chain.map(str::to_owned),
            common_name: None,
            days: 3650,
        };
        for source in [made, imported, token(None), token(Some("CHAIN"))] {
            for minutes in [1, 10, 30 * 1440, 30 * 1440 + 1] {
                let request = IssuerRequest {
                    profile: IssuerProfile {
                        kind: ProfileKind::EdgeCa,
                        lifetime: Lifetime::of(Duration::from_secs(60 * minutes)).unwrap(),
                        key_types: vec![DeviceKeyType::P384],
                    },
                    settings: IssuerSettings {
                        is_default: true,
                        server_key_generation: true,
                        no_crl: true,
                        pinned_certificates: PinnedCertificates::Follow,
                        experimental: true,
                    },
                    source: source.clone(),
                };
                let read = IssuerRequest::parse(request.to_body()).unwrap();
                assert!(read == request);
                assert_eq!(read.profile.lifetime.length().as_secs(), 60 * minutes);
            }
        }
        let bare = IssuerRequest::parse(json!({})).unwrap();
        assert_eq!(bare.profile.key_types, DeviceKeyType::USUAL);
        assert_eq!(bare.profile.lifetime, Lifetime::Days { days: 90 });
        let short = IssuerRequest::parse(json!({"validity": "10m"})).unwrap();
        assert_eq!(short.profile.lifetime, Lifetime::Minutes { minutes: 10 });
    }

    #[test]
    fn faults_name_their_place_and_never_the_key() {
        for (body, wanted) in [
            (json!({"certificate": "C"}), "'privateKey': is missing"),
            (json!({"PrivateKey": "SECRET"}), "'certificate': is missing"),
            (json!({"privateKey": ["SECRET"]}), "'privateKey': a text"),
            (
                json!({"pkcs11Uri": "u", "pkcs11Library": "l", "pkcs11Pin": 7}),
                "'pkcs11Pin': a text",
            ),
            (
                json!({"pkcs11Uri": "u", "pkcs11Pin": "SECRET"}),
                "'pkcs11Library': 1 to 1024 bytes",
            ),
            (
                json!({"pkcs11Uri": "u", "pkcs11Library": "l"}),
                "'pkcs11Pin': is missing",
            ),
            (json!({"pkcs11Pin": "SECRET"}), "'pkcs11Uri': is missing"),
            (
                json!({"validityDays": 0}),
                "'validityDays': 0 is not between",
            ),
            (
                json!({"validityDays": 1, "validity": "10m"}),
                "'validity': is given beside another",
            ),
            (
                json!({"validity": "3651d"}),
                "'validity': is not between a minute",
            ),
            (json!({"validity": "soon"}), "'validity': \"soon\""),
            (json!({"keyTypes": ["DSA"]}), "'keyTypes': \"DSA\""),
            (
                json!({"pinnedCertificates": "change"}),
                "'pinnedCertificates': \"change\" is not one of keep, follow",
            ),
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
