//! Certificates that are issued on or for the device: `identity_cert`, `edge_ca`,
//! `cert_issuance`.

use std::collections::BTreeMap;
use std::time::Duration;

use ids::HubHost;

use super::fault::LineNumber;
use super::location::{FileReference, KeyLocation};
use super::secret::Secret;

/// The certificate id of the device's identity.
pub const DEVICE_ID: &str = "device-id";
/// The certificate id of the Edge CA.
pub const EDGE_CA: &str = "aziot-edged-ca";
/// The certificate id of the local CA.
pub const LOCAL_CA: &str = "local-ca";

/// How a certificate is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    pub method: IssuanceMethod,
    /// Without it, the common name follows from what the certificate is for: the registration
    /// id, the device id, or `aziot-edge CA DEVICE`.
    pub subject: Option<Subject>,
    /// What the certificate asks for, or gets from a CA on the device. An EST server decides
    /// itself.
    pub lifetime: Option<Duration>,
    /// `None`: it is not renewed.
    pub auto_renew: Option<AutoRenew>,
    pub line: LineNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuanceMethod {
    Est(Box<EstSettings>),
    /// By the CA of `[cert_issuance.local_ca]`.
    LocalCa,
    SelfSigned,
    /// By the provisioning service: a request goes with the registration, later ones to the hub.
    /// The device registers with this bootstrap certificate.
    Dps(Box<EstClient>),
}

/// An EST server, and how the device proves itself to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstSettings {
    pub url: EstUrl,
    pub auth: EstAuth,
    /// PEM roots of the server's certificate. Without any, those of the operating system and of
    /// `trust_bundle_cert`.
    pub trusted: Vec<FileReference>,
}

/// The base URL of an EST server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstUrl {
    /// Whether it is `https`.
    pub is_https: bool,
    pub host: HubHost,
    /// The path with a slash in front and none at the end: `/.well-known/est`.
    pub path: String,
    pub line: LineNumber,
}

/// How the device proves itself to an EST server. Each part may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EstAuth {
    pub basic: Option<EstUser>,
    pub client: Option<EstClient>,
}

/// A user of HTTP basic authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstUser {
    pub username: String,
    pub password: Secret,
}

/// A client certificate for an EST server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstClient {
    pub kind: EstClientKind,
    pub certificate: FileReference,
    pub key: KeyLocation,
    /// The id of certificate and key, as Azure names it: `est-id` or `est-bootstrap-id`; with a
    /// dash and a certificate's id behind it if that certificate's section names them.
    pub id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EstClientKind {
    /// `identity_cert`: used as it is.
    Identity,
    /// `bootstrap_identity_cert`: exchanged once for an EST identity.
    Bootstrap,
}

/// The subject of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    CommonName(String),
    /// `subject`: attribute types as OpenSSL abbreviates them, in upper case, with their values.
    /// `CN` is among them or follows from what the certificate is for.
    Name(BTreeMap<String, String>),
}

/// `auto_renew`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoRenew {
    pub rotate_key: bool,
    /// When the first attempt is.
    pub threshold: RenewalTime,
    /// The time between attempts.
    pub retry: RenewalTime,
}

impl Default for AutoRenew {
    /// As in Azure's runtime.
    fn default() -> Self {
        Self {
            rotate_key: true,
            threshold: RenewalTime::Percent(80),
            retry: RenewalTime::Percent(4),
        }
    }
}

/// A time in the life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewalTime {
    /// A share of the lifetime, 1 to 99.
    Percent(u8),
    /// As a threshold, so long before the end.
    Time(Duration),
}

/// `[cert_issuance]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertIssuance {
    pub est: Option<EstDefaults>,
    pub local_ca: Option<LocalCa>,
}

/// `[cert_issuance.est]`: what holds where a certificate's own section says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EstDefaults {
    pub trusted: Vec<FileReference>,
    pub auth: EstAuth,
    /// By certificate id; `default` for all others.
    pub urls: BTreeMap<String, EstUrl>,
}

/// `[cert_issuance.local_ca]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalCa {
    Files {
        certificate: FileReference,
        key: KeyLocation,
    },
    Issued(Issuance),
}

/// `[edge_ca]`: the CA of the modules' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdgeCa {
    Files {
        certificate: FileReference,
        key: KeyLocation,
    },
    Issued(Issuance),
}

/// The lifetime of an Edge CA that the device makes when nothing is said.
pub const QUICK_START_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

impl Default for EdgeCa {
    fn default() -> Self {
        Self::Issued(Issuance {
            method: IssuanceMethod::SelfSigned,
            subject: None,
            lifetime: Some(QUICK_START_LIFETIME),
            auto_renew: Some(AutoRenew::default()),
            line: LineNumber(1),
        })
    }
}
