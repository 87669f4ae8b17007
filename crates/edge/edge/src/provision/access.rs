//! What the device needs to register and to connect, read from the configuration and its files.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use device::{Identity, KeySigner, TokenSource, TpmFault, TpmKey, TpmSigner, Trust, TrustError};
use ids::{Thumbprint, Timestamp, error_chain};
use serde_json::Value;

use super::assignment::KeptAssignment;
use super::basis::{Basis, Method, Origin};
use super::guarded_clock::GuardedClock;
use super::machine::Offer;
use super::role_key::RoleKey;
use crate::certificates::{IdentitySource, IssuanceError};
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
    /// A symmetric key.
    Key(RoleKey),
    Tpm {
        tpm: Arc<DeviceTpm>,
        /// SHA-256 of the endorsement key, hexadecimal: which TPM it is.
        endorsement_digest: String,
    },
    /// A certificate that the provisioning service issues to a device that registers with another
    /// one.
    Issued {
        /// `None` when its files cannot be read.
        bootstrap: Option<Identity>,
        /// `None` before it is issued, and when another one has to be.
        for_hub: Option<Identity>,
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
            Self::Key(key) => (Method::SymmetricKey, hex_digest(key.mark()), None),
            Self::Tpm {
                endorsement_digest, ..
            } => (Method::Tpm, endorsement_digest.clone(), None),
            // The assignment outlives its certificates.
            Self::Issued { .. } => (Method::X509, "issued by the service".to_owned(), None),
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

    /// The certificate that opens the hub.
    fn certificate(&self) -> Option<&Identity> {
        match self {
            Self::X509(identity) => Some(identity),
            Self::Key(_) | Self::Tpm { .. } => None,
            Self::Issued { for_hub, .. } => for_hub.as_ref(),
        }
    }

    /// A digest of what opens the hub; `None` when that has to be issued first.
    fn hub_credential(&self, basis: &Basis) -> Option<String> {
        match self {
            Self::Key(_) | Self::Tpm { .. } => Some(basis.key_digest.clone()),
            Self::X509(_) | Self::Issued { .. } => {
                self.certificate().map(|one| hex_digest(one.leaf().der()))
            }
        }
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
    /// The certificate request that a registration has to carry.
    pub request: Option<Vec<u8>>,
    /// What the variables of the agent ask for.
    pub options: AgentOptions,
}

impl CloudAccess {
    /// `identity` is the certificate that is issued on or for the device, if it has one.
    ///
    /// # Errors
    /// When a file is missing or wrong. The error names all faults.
    pub fn new(
        config: &Config,
        examined: Examined,
        identity: Option<&dyn IdentitySource>,
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
        let credentials = match (examined.credential, examined.symmetric_key, identity) {
            (Some(x509), _, _) => vec![DeviceCredential::X509(x509.identity)],
            (None, Some(key), _) => vec![DeviceCredential::Key(key)],
            (None, None, Some(identity)) => issued(identity, clock)?,
            (None, None, None) if config.attests_by_tpm() => {
                vec![DeviceCredential::by_tpm(config)?]
            }
            (None, None, None) => {
                return Err(AccessError::Credential("there is none".to_owned()));
            }
        };
        Ok(Self {
            origin,
            credentials,
            trust: Trust::native_and(&examined.roots)?.by_clock(clock.clone()),
            clock: clock.clone(),
            payload: examined.payload,
            cloud_timeout: config.cloud_timeout,
            request: identity.and_then(|identity| identity.to_register(clock.read().time)),
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
            Offer {
                hub_credential: credential.hub_credential(&basis),
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
            DeviceCredential::Issued { for_hub, .. } => {
                return for_hub.clone().map(device::Credential::Certificate);
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
    pub(super) fn for_registration(&self, credential: usize) -> Option<device::Attestation> {
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
            DeviceCredential::Issued { bootstrap, .. } => {
                device::Credential::Certificate(bootstrap.clone()?).into()
            }
            DeviceCredential::Key(key) => {
                let signer = Arc::new(key.clone());
                let (scope, id) = (id_scope, registration_id);
                let tokens = TokenSource::for_registration(scope, id, signer, self.now());
                device::Credential::Tokens(tokens).into()
            }
            DeviceCredential::Tpm { tpm, .. } => device::Attestation::Tpm {
                tpm: tpm.clone(),
                token_expiry: self.clock.read().time.plus(REGISTRATION_TOKEN),
            },
        })
    }

    /// The certificate at an index.
    #[must_use]
    pub fn certificate(&self, credential: usize) -> Option<Thumbprint> {
        let certificate = self.credentials.get(credential)?.certificate()?;
        Some(certificate.leaf().sha256())
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

/// The certificates that are issued on or for the device, the newest first.
fn issued(
    identity: &dyn IdentitySource,
    clock: &Arc<GuardedClock>,
) -> Result<Vec<DeviceCredential>, AccessError> {
    let held = identity.held(clock.read().time);
    let held = held.map_err(|error| AccessError::Credential(error_chain(&error)))?;
    if let Some(bootstrap) = identity.bootstrap() {
        return Ok(by_the_service(bootstrap, held, identity, clock));
    }
    if held.is_empty() {
        let problem = identity.problem().map(|problem| format!(": {problem}"));
        let problem = problem.unwrap_or_default();
        let text = format!("its certificate is not issued yet{problem}");
        return Err(AccessError::Credential(text));
    }
    Ok(held.into_iter().map(DeviceCredential::X509).collect())
}

/// The certificates that the provisioning service issues. When another one has to be issued, the
/// first entry has none.
fn by_the_service(
    bootstrap: Result<Identity, IssuanceError>,
    held: Vec<Identity>,
    identity: &dyn IdentitySource,
    clock: &Arc<GuardedClock>,
) -> Vec<DeviceCredential> {
    let bootstrap = bootstrap
        .inspect_err(|error| {
            let problem = error_chain(error);
            tracing::debug!(error = %problem, "the device could not register");
        })
        .ok();
    let is_needed = identity.to_register(clock.read().time).is_some();
    let first = is_needed.then_some(None);
    let all = first.into_iter().chain(held.into_iter().map(Some));
    all.map(|for_hub| DeviceCredential::Issued {
        bootstrap: bootstrap.clone(),
        for_hub,
    })
    .collect()
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
        Attestation::X509 {
            registration_id, ..
        } => {
            let read = credential.and_then(|x509| x509.registration_id.clone());
            read.or_else(|| registration_id.as_ref().map(|named| named.id.clone()))
        }
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
