//! `[provisioning]`: how the device gets its identity.

use ids::{DeviceId, HubHost, IdScope, RegistrationId};

use super::fault::LineNumber;
use super::issuance::Issuance;
use super::location::{FileReference, KeyLocation, SymmetricKey};

/// `[provisioning]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Manual(Manual),
    Dps(Dps),
}

impl Source {
    /// The X.509 identity of the device, if it has one.
    #[must_use]
    pub fn x509(&self) -> Option<&X509Identity> {
        match self {
            Self::Manual(Manual {
                credential: ManualCredential::X509(identity),
                ..
            })
            | Self::Dps(Dps {
                attestation: Attestation::X509 { identity, .. },
                ..
            }) => Some(identity),
            Self::Manual(_) | Self::Dps(_) => None,
        }
    }

    /// The symmetric key of the device, if it has one.
    #[must_use]
    pub fn symmetric_key(&self) -> Option<&SymmetricKey> {
        match self {
            Self::Manual(Manual {
                credential: ManualCredential::SharedKey(key),
                ..
            })
            | Self::Dps(Dps {
                attestation: Attestation::SymmetricKey { key, .. },
                ..
            }) => Some(key),
            Self::Manual(_) | Self::Dps(_) => None,
        }
    }

    /// `payload.uri`.
    #[must_use]
    pub fn payload(&self) -> Option<&FileReference> {
        match self {
            Self::Manual(_) => None,
            Self::Dps(dps) => dps.payload.as_ref(),
        }
    }
}

/// `source = "manual"`: hub and device id are known, no provisioning service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manual {
    pub hub: HubHost,
    pub device_id: DeviceId,
    pub credential: ManualCredential,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManualCredential {
    SharedKey(SymmetricKey),
    X509(X509Identity),
}

/// `source = "dps"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dps {
    pub endpoint: HubHost,
    pub id_scope: IdScope,
    /// `payload.uri`: JSON, read at each registration.
    pub payload: Option<FileReference>,
    pub attestation: Attestation,
}

/// `[provisioning.attestation]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    SymmetricKey {
        registration_id: RegistrationId,
        key: SymmetricKey,
    },
    X509 {
        /// Without it, the common name of the certificate is used. It is never absent when the
        /// certificate is issued on the device.
        registration_id: Option<NamedRegistration>,
        identity: X509Identity,
    },
    Tpm {
        registration_id: RegistrationId,
    },
}

/// `registration_id`, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegistration {
    pub id: RegistrationId,
    pub line: LineNumber,
}

/// `identity_cert` and `identity_pk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Identity {
    pub certificate: IdentityCertificate,
    pub key: KeyLocation,
}

/// `identity_cert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityCertificate {
    /// PEM, the leaf first.
    File(FileReference),
    Issued(Issuance),
}
