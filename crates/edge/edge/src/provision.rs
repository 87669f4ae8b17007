//! Registers the device with the provisioning service: one attempt.

pub mod assignment;

use device::{ProvisionError, Provisioning, Trust, TrustError};
use ids::Timestamp;

use crate::config::{Config, Credential, Examined, Severity, Source};
use crate::provision::assignment::{DeviceLocation, KeptAssignment, RegistrationParameters};

/// Why an attempt to register failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the device's credential cannot be used: {0}")]
    Credential(String),
    #[error("trust_bundle_cert cannot be used")]
    Trust(#[from] TrustError),
    #[error("the registration of {registration_id} at {endpoint} failed")]
    Service {
        registration_id: String,
        endpoint: String,
        source: ProvisionError,
    },
}

/// What the device needs to register and to connect, read from the files of the configuration.
#[derive(Debug, Clone)]
pub struct CloudAccess {
    pub credential: Credential,
    /// The roots of server certificates.
    pub trust: Trust,
    pub parameters: RegistrationParameters,
    payload: Option<serde_json::Value>,
}

impl CloudAccess {
    /// # Errors
    /// When a file is missing or wrong. The error names all faults.
    pub fn new(config: &Config, examined: Examined) -> Result<Self, RegisterError> {
        let errors = examined
            .faults
            .iter()
            .filter(|fault| fault.severity == Severity::Error);
        let errors: Vec<String> = errors.map(|fault| fault.message.clone()).collect();
        let credential = examined.credential.filter(|_| errors.is_empty());
        let credential = credential.ok_or_else(|| RegisterError::Credential(errors.join("; ")))?;
        let Source::Dps(dps) = &config.source else {
            let problem = "manual provisioning is not offered yet".to_owned();
            return Err(RegisterError::Credential(problem));
        };
        let Some(registration_id) = &credential.registration_id else {
            let problem = "the device has no registration id".to_owned();
            return Err(RegisterError::Credential(problem));
        };
        let parameters = RegistrationParameters::new(dps, registration_id, &credential.key_digest);
        let trust = Trust::native_and(&examined.roots)?;
        Ok(Self {
            credential,
            trust,
            parameters,
            payload: examined.payload,
        })
    }
}

/// Registers, without another attempt after a failure.
///
/// # Errors
/// When the service is not reached, is not trusted, refuses, or does not assign a hub.
pub async fn register(
    config: &Config,
    access: &CloudAccess,
    now: Timestamp,
) -> Result<KeptAssignment, RegisterError> {
    let how = Provisioning {
        endpoint: access.parameters.endpoint.clone(),
        id_scope: access.parameters.id_scope.clone(),
        registration_id: access.parameters.registration_id.clone(),
        payload: access.payload.clone(),
        attestation: device::Credential::Certificate(access.credential.identity.clone()).into(),
        trust: access.trust.clone(),
        request: None,
        within: config.cloud_timeout,
    };
    let assignment = device::provision(&how)
        .await
        .map_err(|source| RegisterError::Service {
            registration_id: how.registration_id.to_string(),
            endpoint: how.endpoint.to_string(),
            source,
        })?;
    let location = DeviceLocation {
        hub: assignment.hub,
        device_id: assignment.device,
    };
    Ok(KeptAssignment {
        location,
        parameters: access.parameters.clone(),
        since: now,
    })
}

impl RegisterError {
    /// The pause that the service asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Service { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
