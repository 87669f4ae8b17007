use ids::IssuerName;
use serde::{Deserialize, Serialize};

use super::PinnedCertificates;
use crate::certificate_info::CertificateInfo;

/// How far an issuer has come with another CA: `/muster/v1/dps/issuers/{name}/roll`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RollDescription {
    /// The name of the issuer.
    pub issuer_name: IssuerName,
    /// Whether it goes over from one CA to another now.
    pub rolling: bool,
    /// The CAs that are admitted, the one that issues first.
    pub authorities: Vec<AuthorityUse>,
    /// Whether the certificates follow that individual enrollments pin.
    pub pinned_certificates: PinnedCertificates,
    /// Individual enrollments whose device was issued another certificate, which is pinned as
    /// secondary, and has not proved it yet.
    pub awaited_successors: u64,
}

/// What a CA of an issuer is needed for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityUse {
    /// Whether it signs what is issued now.
    pub issuing: bool,
    /// Its certificate in words.
    pub certificate_info: CertificateInfo,
    /// Its certificates that are neither expired nor held nor revoked.
    pub valid_certificates: u64,
    /// Registered devices that use one of these.
    pub registered_devices: u64,
    /// Individual enrollments that pin one of its certificates as primary.
    pub pinned_enrollments: u64,
}

/// The body of `POST …/roll/finish`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishRequest {
    /// Also while devices use the old CA, which are refused then.
    #[serde(default)]
    pub force: bool,
}
