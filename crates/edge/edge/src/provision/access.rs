//! What the device needs to register and to connect, read from the configuration and its files.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use device::{Identity, KeySigner, TokenSource, TpmFault, TpmKey, TpmSigner, Trust, TrustError};
use ids::Timestamp;
use serde_json::Value;
use wire::sas::SharedAccessKey;

use super::assignment::KeptAssignment;
use super::basis::{Basis, Method, Origin};
use super::guarded_clock::GuardedClock;
use super::machine::Offer;
use crate::config::{Attestation, Config, Credential, Examined, Severity, Source};
use crate::desired::agent_options::AgentOptions;
use crate::device_tpm::DeviceTpm;

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the device's credential cannot be used: {0}")]
    Credential(String),
    #[error("trust_bundle_cert cannot be used")]
    Trust(#[from] TrustError),
    #[error("the TPM cannot prove the device")]
    Tpm(#[from] TpmFault),
}

/// What the device proves itself with.
#[derive(Debug, Clone)]
pub enum DeviceCredential {
    X509(Identity),
    /// A symmetric key in memory.
    Key(SharedAccessKey),
    Tpm {
        tpm: Arc<DeviceTpm>,
        /// SHA-256 of the endorsement key, hexadecimal: which TPM it is.
        endorsement_digest: String,
    },
}

/// How long a token for the provisioning service is valid that a TPM signs.
const REGISTRATION_TOKEN: Duration = Duration::from_secs(3600);

impl DeviceCredential {
    fn basis(&self, origin: Origin) -> Basis {
        let (method, key_digest, certificate_digest) = match self {
            Self::X509(identity) => (
                Method::X509,
                hex_digest(identity.leaf().spki_der()),
                Some(hex_digest(identity.leaf().der())),
            ),
            // What it signs tells keys apart, and says nothing about the key.
            Self::Key(key) => (
                Method::SymmetricKey,
                hex_digest(&key.sign(b"which key this is")),
                None,
            ),
            Self::Tpm {
                endorsement_digest, ..
            } => (Method::Tpm, endorsement_digest.clone(), None),
        };
        Basis {
            origin,
            method,
            key_digest,
            certificate_digest,
        }
    }

    /// Asks the TPM who it is. That blocks.
    fn by_tpm(config: &Config) -> Result<Self, TpmFault> {
        let tpm = DeviceTpm::new(config.tpm_settings());
        let keys = device::Tpm::public_keys(&tpm)?;
        Ok(Self::Tpm {
            tpm: Arc::new(tpm),
            endorsement_digest: hex_digest(&keys.endorsement),
        })
    }
}

/// What the device needs to register and to connect, as it was read.
#[derive(Debug, Clone)]
pub struct CloudAccess {
    pub origin: Origin,
    /// The newest first.
    pub credentials: Vec<DeviceCredential>,
    /// The roots of server certificates.
    pub trust: Trust,
    /// The time that the device goes by.
    pub clock: Arc<GuardedClock>,
    pub payload: Option<Value>,
    /// The longest time of one registration.
    pub cloud_timeout: Duration,
    /// What the variables of the agent ask for.
    pub options: AgentOptions,
}

impl CloudAccess {
    /// # Errors
    /// When a file is missing or wrong. The error names all faults.
    pub fn new(
        config: &Config,
        examined: Examined,
        clock: &Arc<GuardedClock>,
    ) -> Result<Self, AccessError> {
        let errors = examined
            .faults
            .iter()
            .filter(|fault| fault.severity == Severity::Error);
        let errors: Vec<String> = errors.map(|fault| fault.message.clone()).collect();
        if !errors.is_empty() {
            return Err(AccessError::Credential(errors.join("; ")));
        }
        let origin = origin(&config.source, examined.credential.as_ref())?;
        let credential = match (examined.credential, examined.symmetric_key) {
            (Some(x509), _) => DeviceCredential::X509(x509.identity),
            (None, Some(key)) => DeviceCredential::Key(key),
            (None, None) if config.attests_by_tpm() => DeviceCredential::by_tpm(config)?,
            (None, None) => return Err(AccessError::Credential("there is none".to_owned())),
        };
        Ok(Self {
            origin,
            credentials: vec![credential],
            trust: Trust::native_and(&examined.roots)?.by_clock(clock.clone()),
            clock: clock.clone(),
            payload: examined.payload,
            cloud_timeout: config.cloud_timeout,
            options: AgentOptions::default(),
        })
    }

    /// The same with the variables of the agent, which may name proxies.
    #[must_use]
    pub fn with_options(self, options: AgentOptions) -> Self {
        Self {
            trust: self.trust.through(options.proxies.clone()),
            options,
            ..self
        }
    }

    /// What the device can prove itself with, for the machine.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        let offer = |credential: &DeviceCredential| {
            let basis = credential.basis(self.origin.clone());
            let opens = basis
                .certificate_digest
                .as_ref()
                .unwrap_or(&basis.key_digest);
            Offer {
                hub_credential: Some(opens.clone()),
                basis,
            }
        };
        self.credentials.iter().map(offer).collect()
    }

    /// What opens the hub of an assignment as the device itself. `None` when there is no such
    /// credential.
    #[must_use]
    pub fn for_hub(
        &self,
        credential: usize,
        assignment: &KeptAssignment,
    ) -> Option<device::Credential> {
        let signer: Arc<dyn KeySigner> = match self.credentials.get(credential)? {
            DeviceCredential::X509(identity) => {
                return Some(device::Credential::Certificate(identity.clone()));
            }
            DeviceCredential::Key(key) => Arc::new(key.clone()),
            DeviceCredential::Tpm { tpm, .. } => Arc::new(TpmSigner {
                tpm: tpm.clone(),
                key: tpm_key(assignment),
            }),
        };
        let location = &assignment.location;
        Some(device::Credential::Tokens(TokenSource::for_hub(
            &location.hub,
            &location.device_id,
            signer,
            self.now(),
        )))
    }

    /// The time that tokens are made by.
    pub(super) fn now(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clock.clone();
        Arc::new(move || clock.read().time)
    }

    /// What opens the provisioning service. `None` without a service, or without such a credential.
    pub(super) fn for_registration(
        &self,
        credential: usize,
        now: Timestamp,
    ) -> Option<device::Attestation> {
        let Origin::Dps {
            id_scope,
            registration_id,
            ..
        } = &self.origin
        else {
            return None;
        };
        Some(match self.credentials.get(credential)? {
            DeviceCredential::X509(identity) => {
                device::Credential::Certificate(identity.clone()).into()
            }
            DeviceCredential::Key(key) => {
                let signer = Arc::new(key.clone());
                let (scope, id) = (id_scope, registration_id);
                let tokens = TokenSource::for_registration(scope, id, signer, self.now());
                device::Credential::Tokens(tokens).into()
            }
            DeviceCredential::Tpm { tpm, .. } => device::Attestation::Tpm {
                tpm: tpm.clone(),
                token_expiry: now.plus(REGISTRATION_TOKEN),
            },
        })
    }

    /// What the credential at an index makes an assignment from.
    pub(super) fn basis(&self, credential: usize) -> Option<Basis> {
        Some(self.credentials.get(credential)?.basis(self.origin.clone()))
    }
}

/// The key that the TPM took over for the hub of an assignment. Without one, the TPM says that it
/// is lost.
fn tpm_key(assignment: &KeptAssignment) -> TpmKey {
    let bytes = assignment
        .tpm_key
        .as_ref()
        .map(|key| key.as_bytes().to_vec());
    TpmKey::new(bytes.unwrap_or_default())
}

fn origin(source: &Source, credential: Option<&Credential>) -> Result<Origin, AccessError> {
    let dps = match source {
        Source::Manual(manual) => {
            return Ok(Origin::Manual {
                hub: manual.hub.clone(),
                device_id: manual.device_id.clone(),
            });
        }
        Source::Dps(dps) => dps,
    };
    let registration_id = match &dps.attestation {
        Attestation::X509 { .. } => credential.and_then(|x509| x509.registration_id.clone()),
        Attestation::SymmetricKey {
            registration_id, ..
        }
        | Attestation::Tpm { registration_id } => Some(registration_id.clone()),
    };
    let missing = || AccessError::Credential("it has no registration id".to_owned());
    Ok(Origin::Dps {
        endpoint: dps.endpoint.clone(),
        id_scope: dps.id_scope.clone(),
        registration_id: registration_id.ok_or_else(missing)?,
    })
}

fn hex_digest(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
