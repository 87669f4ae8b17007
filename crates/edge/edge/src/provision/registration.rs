//! Registers the device with the provisioning service: one attempt.

use device::{ProvisionError, Provisioning};

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
        attestation: access.for_registration(credential).ok_or_else(nothing)?,
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
    // The answer may have said what time it is.
    let now = access.clock.read().time;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use device::{Attestation, Clock, Trust};
    use ids::{HubHost, IdScope, RegistrationId};
    use tpm::TpmSettings;

    use super::super::access::DeviceCredential;
    use super::super::guarded_clock::GuardedClock;
    use super::*;
    use crate::clock;
    use crate::desired::agent_options::AgentOptions;
    use crate::device_tpm::DeviceTpm;

    #[test]
    fn the_token_of_a_tpm_expires_by_the_time_of_the_servers_and_not_by_a_wrong_clock() {
        let hour = Duration::from_secs(3600);
        let clock = Arc::new(GuardedClock::unkept());
        let access = CloudAccess {
            origin: Origin::Dps {
                endpoint: HubHost::parse("dps.example").unwrap(),
                id_scope: IdScope::parse("0ne1").unwrap(),
                registration_id: RegistrationId::parse("d1").unwrap(),
            },
            credentials: vec![DeviceCredential::Tpm {
                tpm: Arc::new(DeviceTpm::new(TpmSettings::default())),
                endorsement_digest: String::new(),
            }],
            trust: Trust::only(&[]).unwrap(),
            clock: clock.clone(),
            payload: None,
            cloud_timeout: hour,
            request: None,
            options: AgentOptions::default(),
        };
        // Heard after the credentials were read, as in the answer of the service.
        let right = clock::now().plus(1000 * hour);
        clock.hear(right);
        let Some(Attestation::Tpm { token_expiry, .. }) = access.for_registration(0) else {
            panic!("the TPM attests")
        };
        assert!(token_expiry >= right.plus(hour), "{token_expiry:?}");
        assert!(token_expiry < right.plus(2 * hour), "{token_expiry:?}");
    }
}
