//! Registers the device with the provisioning service: one attempt.

use device::{ProvisionError, Provisioning};
use ids::Timestamp;

use super::access::CloudAccess;
use super::assignment::{DeviceLocation, KeptAssignment};
use super::basis::Origin;
use crate::certificates::{IdentitySource, ManagedError};

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the registration of {registration_id} at {endpoint} failed")]
    Service {
        registration_id: String,
        endpoint: String,
        source: ProvisionError,
    },
    /// The certificate that the service issued is of no use.
    #[error("the certificate that came with the registration cannot be kept")]
    Issued(#[source] Box<ManagedError>),
    /// The configuration changed between two steps.
    #[error("there is nothing to register with any more")]
    NothingToRegister,
}

/// Registers with one of the credentials, without another attempt after a failure.
///
/// # Errors
/// When the service is not reached, is not trusted, refuses, or does not assign a hub.
pub async fn register(
    access: &CloudAccess,
    credential: usize,
    identity: Option<&dyn IdentitySource>,
    now: Timestamp,
) -> Result<KeptAssignment, RegisterError> {
    let Origin::Dps {
        endpoint,
        id_scope,
        registration_id,
    } = &access.origin
    else {
        return Err(RegisterError::NothingToRegister);
    };
    let nothing = || RegisterError::NothingToRegister;
    let how = Provisioning {
        endpoint: endpoint.clone(),
        id_scope: id_scope.clone(),
        registration_id: registration_id.clone(),
        payload: access.payload.clone(),
        attestation: access
            .for_registration(credential, now)
            .ok_or_else(nothing)?,
        trust: access.trust.clone(),
        request: access.request.clone(),
        within: access.cloud_timeout,
    };
    let assigned = device::provision(&how).await;
    let assigned = assigned.map_err(|source| RegisterError::Service {
        registration_id: registration_id.to_string(),
        endpoint: endpoint.to_string(),
        source,
    })?;
    if let Some(identity) = identity.filter(|_| access.request.is_some()) {
        let kept = identity.registered(assigned.issued, now);
        kept.map_err(|error| RegisterError::Issued(Box::new(error)))?;
    }
    Ok(KeptAssignment {
        location: DeviceLocation {
            hub: assigned.hub,
            device_id: assigned.device,
        },
        basis: access.basis(credential).ok_or_else(nothing)?,
        since: now,
        tpm_key: assigned.tpm_key.map(|key| key.as_bytes().to_vec().into()),
    })
}
