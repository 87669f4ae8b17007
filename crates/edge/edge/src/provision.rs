//! From a credential to an assignment: one attempt.

pub mod assignment;

use device::{ProvisionError, Provisioning, Trust, TrustError};
use ids::Timestamp;

use crate::config::{Config, Credential, Examined, Severity};
use crate::provision::assignment::{Assigned, Basis, Home};

/// Why an attempt to register gave no assignment.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A file of the configuration is missing or wrong.
    #[error("the device's credential cannot be used: {0}")]
    Credential(String),
    /// A root of `trust_bundle_cert` cannot be one.
    #[error("trust_bundle_cert cannot be used")]
    Trust(#[from] TrustError),
    /// The service.
    #[error("the registration of {registration_id} at {endpoint} failed")]
    Service {
        /// As whom.
        registration_id: String,
        /// Where.
        endpoint: String,
        /// What happened.
        source: ProvisionError,
    },
}

/// Everything that a conversation with the cloud needs: read from the files at that time.
#[derive(Debug, Clone)]
pub struct Means {
    /// What the device proves itself with.
    pub credential: Credential,
    /// Whom it believes.
    pub trust: Trust,
    /// What it registers for.
    pub basis: Basis,
    payload: Option<serde_json::Value>,
}

impl Means {
    /// From what the files of a configuration hold.
    ///
    /// # Errors
    /// When something is wrong with them; says all of it.
    pub fn new(config: &Config, examined: Examined) -> Result<Self, RegisterError> {
        let errors = examined
            .faults
            .iter()
            .filter(|fault| fault.severity == Severity::Error);
        let errors: Vec<String> = errors.map(|fault| fault.message.clone()).collect();
        let credential = examined.credential.filter(|_| errors.is_empty());
        let credential = credential.ok_or_else(|| RegisterError::Credential(errors.join("; ")))?;
        let basis = Basis::new(config, &credential.registration_id, &credential.key_digest);
        let trust = Trust::native_and(&examined.roots)?;
        Ok(Self {
            credential,
            trust,
            basis,
            payload: examined.payload,
        })
    }
}

/// Registers once.
///
/// # Errors
/// Says whether the service was not reached, not trusted, refused, or failed to assign.
pub async fn register(
    config: &Config,
    means: &Means,
    now: Timestamp,
) -> Result<Assigned, RegisterError> {
    let how = Provisioning {
        endpoint: means.basis.endpoint.clone(),
        id_scope: means.basis.id_scope.clone(),
        registration_id: means.basis.registration_id.clone(),
        payload: means.payload.clone(),
        credential: device::Credential::Certificate(means.credential.identity.clone()),
        trust: means.trust.clone(),
        within: config.cloud_timeout,
    };
    let assignment = device::provision(&how)
        .await
        .map_err(|source| RegisterError::Service {
            registration_id: how.registration_id.to_string(),
            endpoint: how.endpoint.to_string(),
            source,
        })?;
    let home = Home {
        hub: assignment.hub,
        device_id: assignment.device,
    };
    Ok(Assigned {
        home,
        basis: means.basis.clone(),
        since: now,
    })
}

impl RegisterError {
    /// How long the service wants the device to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Service { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
