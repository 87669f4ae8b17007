//! What the device needs to register and to connect, read from the configuration and its files.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use device::{Identity, KeySigner, TokenSource, Trust, TrustError};
use ids::{DeviceId, HubHost};
use serde_json::Value;
use wire::sas::SharedAccessKey;

use super::assignment::DeviceLocation;
use super::basis::{Basis, Method, Origin};
use super::guarded_clock::GuardedClock;
use super::machine::Offer;
use crate::config::{Attestation, Config, Credential, Examined, Severity, Source};
use crate::desired::agent_options::AgentOptions;

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the device's credential cannot be used: {0}")]
    Credential(String),
    #[error("trust_bundle_cert cannot be used")]
    Trust(#[from] TrustError),
}

/// What the device proves itself with.
#[derive(Debug, Clone)]
pub enum DeviceCredential {
    X509(Identity),
    /// A symmetric key in memory.
    Key(SharedAccessKey),
}

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
        };
        Basis {
            origin,
            method,
            key_digest,
            certificate_digest,
        }
    }

    fn signer(&self) -> Result<Arc<dyn KeySigner>, Identity> {
        match self {
            Self::X509(identity) => Err(identity.clone()),
            Self::Key(key) => Ok(Arc::new(key.clone())),
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
        location: &DeviceLocation,
    ) -> Option<device::Credential> {
        let credential = self.credentials.get(credential)?;
        let tokens = |signer| self.hub_tokens(&location.hub, &location.device_id, signer);
        Some(match credential.signer() {
            Ok(signer) => device::Credential::Tokens(tokens(signer)),
            Err(identity) => device::Credential::Certificate(identity),
        })
    }

    fn hub_tokens(
        &self,
        hub: &HubHost,
        device: &DeviceId,
        signer: Arc<dyn KeySigner>,
    ) -> TokenSource {
        TokenSource::for_hub(hub, device, signer, self.now())
    }

    /// The time that tokens are made by.
    pub(super) fn now(&self) -> Arc<dyn Fn() -> ids::Timestamp + Send + Sync> {
        let clock = self.clock.clone();
        Arc::new(move || clock.read().time)
    }

    /// What opens the provisioning service. `None` without a service, or without such a credential.
    pub(super) fn for_registration(&self, credential: usize) -> Option<device::Credential> {
        let Origin::Dps {
            id_scope,
            registration_id,
            ..
        } = &self.origin
        else {
            return None;
        };
        Some(match self.credentials.get(credential)?.signer() {
            Ok(signer) => device::Credential::Tokens(TokenSource::for_registration(
                id_scope,
                registration_id,
                signer,
                self.now(),
            )),
            Err(identity) => device::Credential::Certificate(identity),
        })
    }

    /// What the credential at an index makes an assignment from.
    pub(super) fn basis(&self, credential: usize) -> Option<Basis> {
        Some(self.credentials.get(credential)?.basis(self.origin.clone()))
    }
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
