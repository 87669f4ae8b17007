//! How devices prove themselves, as it is stored and shown.

use ids::CertificateName;
use serde::{Deserialize, Serialize};

use crate::binary::Base64Bytes;
use crate::certificate_info::CertificateInfo;
use crate::service_api::identity::KeyText;

/// A certificate in a record: described, without the certificate itself, as Azure shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateWithInfo {
    /// The eight members that clients require.
    pub info: CertificateInfo,
}

/// Primary and secondary certificate of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePair {
    /// The one in daily use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<CertificateWithInfo>,
    /// The one to roll over to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<CertificateWithInfo>,
}

/// CA certificates of the service by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaReferences {
    /// The one in daily use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<CertificateName>,
    /// The one to roll over to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<CertificateName>,
}

/// The certificates of an enrollment, by what they are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum X509Attestation {
    /// The device's own (individual enrollments).
    ClientCertificates(CertificatePair),
    /// The certificates of an issuing CA (groups).
    SigningCertificates(CertificatePair),
    /// Those of a CA that was uploaded to the service.
    CaReferences(CaReferences),
}

/// The keys of a symmetric-key attestation: the device's own, or those that a group's
/// devices derive theirs from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeys {
    /// The key in daily use.
    pub primary_key: KeyText,
    /// The key to roll over to.
    pub secondary_key: KeyText,
}

/// A device's TPM, by its public keys: base64 of `TPM2B_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmAttestation {
    /// Burnt in by the maker; unique.
    pub endorsement_key: Base64Bytes,
    /// Made when the device took ownership. When it is absent, the one that the
    /// device sends is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<Base64Bytes>,
}

/// How devices prove themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Attestation {
    /// With an X.509 certificate.
    X509 {
        /// Certificates, or names of CA certificates.
        x509: Box<X509Attestation>,
    },
    /// By a key that signs tokens.
    SymmetricKey {
        /// The keys; absent where they are not shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        symmetric_key: Option<SymmetricKeys>,
    },
    /// With the endorsement key of a TPM.
    Tpm {
        /// The public keys of the TPM.
        tpm: TpmAttestation,
    },
}

impl Attestation {
    /// What a read shows: keys are answered only by the attestation mechanism, which takes
    /// the right to write.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        match self {
            Self::SymmetricKey { .. } => Self::SymmetricKey {
                symmetric_key: None,
            },
            other @ (Self::X509 { .. } | Self::Tpm { .. }) => other,
        }
    }
}
