use std::time::Duration;

use ids::ProfileKind;
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A kind of key that certificates are issued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKeyType {
    /// An elliptic curve key on P-256.
    #[serde(rename = "P-256")]
    P256,
    /// An elliptic curve key on P-384.
    #[serde(rename = "P-384")]
    P384,
    /// RSA of 2048 to 8192 bits.
    #[serde(rename = "RSA")]
    Rsa,
    /// ML-DSA-44, an experiment as are the other two.
    #[serde(rename = "ML-DSA-44")]
    MlDsa44,
    /// ML-DSA-65.
    #[serde(rename = "ML-DSA-65")]
    MlDsa65,
    /// ML-DSA-87.
    #[serde(rename = "ML-DSA-87")]
    MlDsa87,
}

impl DeviceKeyType {
    /// The default.
    pub const USUAL: [Self; 3] = [Self::P256, Self::P384, Self::Rsa];

    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::P256,
        Self::P384,
        Self::Rsa,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// Whether only an issuer that is an experiment certifies such keys.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        !Self::USUAL.contains(&self)
    }

    /// The name of the kind in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }
}

/// The certificates that an issuer issues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerProfile {
    /// What its certificates are for.
    #[serde(rename = "profile", default)]
    pub kind: ProfileKind,
    /// How long a certificate lives, at most as long as its issuer.
    #[serde(flatten)]
    pub lifetime: Lifetime,
    /// The kinds of key that certificates are issued for.
    pub key_types: Vec<DeviceKeyType>,
}

impl Default for IssuerProfile {
    fn default() -> Self {
        Self {
            kind: ProfileKind::default(),
            lifetime: Lifetime::Days { days: 90 },
            key_types: DeviceKeyType::USUAL.to_vec(),
        }
    }
}

/// How long certificates live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lifetime {
    /// `validityDays`: 1 to 3650 days.
    Days {
        /// The number of days.
        #[serde(rename = "validityDays")]
        days: u16,
    },
    /// `validityMinutes`: a time that is no number of days.
    Minutes {
        /// The number of minutes, less than 3650 days.
        #[serde(rename = "validityMinutes")]
        minutes: u32,
    },
}

impl Lifetime {
    const MOST: Duration = DAY.saturating_mul(3650);

    /// A length of time from a minute to 3650 days; seconds are dropped. `None` beyond.
    #[must_use]
    pub fn of(length: Duration) -> Option<Self> {
        let minutes = u32::try_from(length.as_secs() / MINUTE.as_secs()).ok()?;
        let (days, rest) = (minutes / 1440, minutes % 1440);
        match (u16::try_from(days).ok()?, rest) {
            _ if length < MINUTE || length > Self::MOST => None,
            (days, 0) => Some(Self::Days { days }),
            _ => Some(Self::Minutes { minutes }),
        }
    }

    /// The length of time.
    #[must_use]
    pub fn length(self) -> Duration {
        match self {
            Self::Days { days } => DAY * days.into(),
            Self::Minutes { minutes } => MINUTE * minutes,
        }
    }
}

/// How an issuer works, apart from what it issues.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerSettings {
    /// Whether it answers EST paths that name no issuer. One issuer of a service at most.
    #[serde(rename = "default")]
    pub is_default: bool,
    /// Whether EST's `serverkeygen` is answered.
    pub server_key_generation: bool,
    /// Whether it makes no CRL: its CA certificate lacks cRLSign.
    pub no_crl: bool,
    /// What becomes of the certificates that individual enrollments of the issuer pin.
    pub pinned_certificates: PinnedCertificates,
    /// Whether its CA and the devices may have keys of which few programs know anything.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub experimental: bool,
}

/// What becomes of the certificate that an individual enrollment pins when its device, which proved
/// that certificate, is issued another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PinnedCertificates {
    /// It stays: an operator enrolls another one.
    #[default]
    Keep,
    /// The new one is pinned beside it, and alone once the device has proved it.
    Follow,
}

impl PinnedCertificates {
    /// All of them, the default first.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Follow];

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Follow => "follow",
        }
    }
}
