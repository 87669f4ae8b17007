//! Another certificate for a device that is connected to its hub.

use std::sync::Arc;

use ids::{DeviceId, HubName, RegistrationId};
use registry::StorageError;
use registry::revocation::ProvenPath;

use crate::issued::{IssuedCertificate, IssuedRecord};

/// A certificate that opens the hub for its device.
#[derive(Debug, Clone)]
pub struct IssuedToDevice {
    pub record: IssuedRecord,
    /// `None` when it is not kept.
    pub der: Option<Vec<u8>>,
}

/// A certificate for a connected device that was signed and is to be written.
#[derive(Debug, Clone)]
pub struct Renewal {
    pub registration_id: RegistrationId,
    pub hub: HubName,
    pub device: DeviceId,
    /// The certificate that the device is connected with. It stays good.
    pub presented: ProvenPath,
    pub issued: Arc<IssuedCertificate>,
}

/// Why a signed certificate was not written. The device does not get it.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// Its hub knows it by other certificates, or no longer, since it asked.
    #[error("the device's credentials have changed since it asked")]
    CredentialsChanged,
    #[error(transparent)]
    NotEntered(#[from] crate::issued::EnterError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RenewalError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
