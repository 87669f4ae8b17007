use serde::{Deserialize, Serialize};

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
}

impl DeviceKeyType {
    /// In the order of the default.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Rsa];

    /// The name of the kind in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
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
    /// 1 to 3650; a certificate never lives longer than its issuer.
    pub validity_days: u16,
    /// The kinds of key that certificates are issued for.
    pub key_types: Vec<DeviceKeyType>,
}

/// What the certificates of an issuer are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// Identities of devices towards DPS and hub.
    #[default]
    EdgeIdentity,
    /// CAs of edge devices.
    EdgeCa,
    /// TLS servers on edge devices.
    EdgeServer,
    /// Devices behind an edge device.
    Device,
    /// Proofs of possession for uploaded CA certificates.
    Verification,
}

impl ProfileKind {
    /// In the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::EdgeIdentity,
        Self::EdgeCa,
        Self::EdgeServer,
        Self::Device,
        Self::Verification,
    ];

    /// The name in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdgeIdentity => "edge-identity",
            Self::EdgeCa => "edge-ca",
            Self::EdgeServer => "edge-server",
            Self::Device => "device",
            Self::Verification => "verification",
        }
    }

    /// The kind of a name, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name().eq_ignore_ascii_case(name))
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
}
