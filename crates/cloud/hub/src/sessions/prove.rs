//! Proves which device or module a client is: checks what it presents against its registration.
//!
//! Used for MQTT and HTTPS. Only this file can make a [`ProvenIdentity`].

use std::sync::Arc;

use ids::{HubHost, Identity, Thumbprint, Timestamp};
use pki::{ChainError, PresentedChain, pin_certificate};
use registry::revocation::{NotInForce, ProvenPath, name_path};
use registry::{Credentials, LocalHub, Right, StorageError};
use rest::policy::{self, Demand, Policy, PolicyError};
use wire::sas::{CLOCK_SKEW, KeyError, SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::{Authentication, CertificateThumbprint, KeyText, Status};
use wire::telemetry::{AuthMethod, SenderStamp};

use crate::service::Hub;

pub(crate) struct Presented<'a> {
    /// The text of a shared access signature.
    pub(crate) token: Option<&'a str>,
    /// The certificates of the TLS handshake, which proves possession of the leaf's key.
    pub(crate) chain: Option<&'a PresentedChain>,
}

/// A device or module whose credentials were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProvenIdentity {
    identity: Identity,
    credentials: Credentials,
    stamp: Arc<SenderStamp>,
    until: Option<Timestamp>,
    path: Option<ProvenPath>,
}

impl ProvenIdentity {
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The registered credentials that were checked.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What is stamped on the messages of the identity.
    pub(crate) fn stamp(&self) -> &Arc<SenderStamp> {
        &self.stamp
    }

    /// The certificates that the client proved itself with, unless it did so with a token.
    pub(crate) fn path(&self) -> Option<&ProvenPath> {
        self.path.as_ref()
    }

    /// When the proof expires: the expiry of a token, or the last second of a certificate.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }
}

/// For the log; the client gets "unauthorized".
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotProven {
    #[error("{0} does not exist")]
    Unknown(Identity),
    #[error("device {0} is disabled")]
    Disabled(Identity),
    #[error("neither a shared access signature nor a client certificate was presented")]
    NothingPresented,
    #[error(
        "{identity} is registered with authentication type {registered}, but {presented} was \
         presented"
    )]
    OtherMethod {
        identity: Identity,
        registered: &'static str,
        presented: &'static str,
    },
    #[error("no key of {0} is registered yet")]
    NoKey(Identity),
    #[error(
        "the presented certificate (SHA-256 {presented}) has none of the thumbprints registered \
         for {identity}"
    )]
    OtherCertificate {
        identity: Identity,
        presented: Thumbprint,
    },
    #[error("the client certificate is not accepted")]
    Certificate(#[from] ChainError),
    #[error("the client certificate opens nothing")]
    NotInForce(#[from] NotInForce),
    #[error(
        "{0} is registered with type certificateAuthority, but this hub has no CA certificates; \
         register it with thumbprints or keys, or through the provisioning service"
    )]
    NoCaCertificates(Identity),
    #[error("the token is not accepted")]
    Token(#[from] SasError),
    #[error(transparent)]
    Policy(#[from] PolicyError<Right>),
    #[error("a registered key cannot be read")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

pub(crate) async fn prove(
    hub: &Hub,
    local: &LocalHub,
    identity: Identity,
    presented: Presented<'_>,
) -> Result<ProvenIdentity, NotProven> {
    let found = hub.registry().credentials(&identity).await?;
    let credentials = found.ok_or_else(|| NotProven::Unknown(identity.clone()))?;
    if credentials.status == Status::Disabled {
        return Err(NotProven::Disabled(identity.of_device()));
    }
    let (until, auth, path) = match (presented.token, presented.chain) {
        // A token counts even with a certificate: modules share the connection settings of their
        // device.
        (Some(token), _) => {
            let (until, auth) = by_token(hub, local, &identity, &credentials, token)?;
            (until, auth, None)
        }
        (None, Some(chain)) => {
            let until = by_certificate(hub, &identity, &credentials, chain)?;
            let auth = match identity.module {
                Some(_) => AuthMethod::ModuleX509,
                None => AuthMethod::DeviceX509,
            };
            (until, auth, Some(in_force(hub, &identity, chain)?))
        }
        (None, None) => return Err(NotProven::NothingPresented),
    };
    let stamp = SenderStamp {
        generation_id: credentials.generation_id.clone(),
        auth,
        model_id: None,
    };
    Ok(ProvenIdentity {
        identity,
        credentials,
        stamp: Arc::new(stamp),
        until: Some(until),
        path,
    })
}

fn by_token(
    hub: &Hub,
    local: &LocalHub,
    identity: &Identity,
    credentials: &Credentials,
    token: &str,
) -> Result<(Timestamp, AuthMethod), NotProven> {
    let token = UnverifiedToken::parse(token)?;
    let resource = resource(&local.host, identity);
    if token.policy().is_some() {
        let demand = Demand::Any(&[Right::DeviceConnect]);
        let admitted = policy::admit(&token, policies(local), demand, &resource, hub.now());
        return Ok((admitted?.expiry(), AuthMethod::HubSas));
    }
    let method = match identity.module {
        Some(_) => AuthMethod::ModuleSas,
        None => AuthMethod::DeviceSas,
    };
    match &credentials.authentication {
        Authentication::Sas { primary, secondary } => {
            let keys = keys([primary, secondary])?;
            let verified = token.verify(&keys, &resource, hub.now(), CLOCK_SKEW)?;
            Ok((verified.expiry(), method))
        }
        Authentication::None => Err(NotProven::NoKey(identity.clone())),
        other => Err(other_method(identity, other, "a token")),
    }
}

fn by_certificate(
    hub: &Hub,
    identity: &Identity,
    credentials: &Credentials,
    chain: &PresentedChain,
) -> Result<Timestamp, NotProven> {
    match &credentials.authentication {
        Authentication::SelfSigned { primary, secondary } => {
            let leaf = chain.leaf();
            let is_leaf = |registered: &CertificateThumbprint| match registered {
                CertificateThumbprint::Sha1(sha1) => *sha1 == leaf.sha1(),
                CertificateThumbprint::Sha256(sha256) => *sha256 == leaf.sha256(),
            };
            if ![primary, secondary].into_iter().flatten().any(is_leaf) {
                let presented = leaf.sha256();
                return Err(NotProven::OtherCertificate {
                    identity: identity.clone(),
                    presented,
                });
            }
            Ok(pin_certificate(chain, leaf.sha256(), hub.now())?
                .leaf()
                .not_after())
        }
        Authentication::CertificateAuthority => Err(NotProven::NoCaCertificates(identity.clone())),
        Authentication::None => Err(NotProven::NoKey(identity.clone())),
        other => Err(other_method(identity, other, "a certificate")),
    }
}

/// The certificates of a chain that lead up from its leaf, none of which is revoked.
fn in_force(
    hub: &Hub,
    identity: &Identity,
    chain: &PresentedChain,
) -> Result<ProvenPath, NotProven> {
    let path = ProvenPath::of(chain.leaf(), name_path(chain).skip(1));
    let keys = path.keys.iter().copied();
    let (registry, now) = (hub.registry(), hub.now());
    match registry.not_in_force_at_hub(&identity.hub, keys, now)? {
        Some(reason) => Err(reason.into()),
        None => Ok(path),
    }
}

fn other_method(
    identity: &Identity,
    registered: &Authentication,
    presented: &'static str,
) -> NotProven {
    NotProven::OtherMethod {
        identity: identity.clone(),
        registered: registered.type_name(),
        presented,
    }
}

/// The shared access policies of a hub.
pub(crate) fn policies(local: &LocalHub) -> impl Iterator<Item = Policy<'_, Right>> {
    local.policies.iter().map(|policy| Policy {
        name: &policy.name,
        keys: [&policy.primary, &policy.secondary],
        rights: &policy.rights,
    })
}

fn keys(texts: [&KeyText; 2]) -> Result<Vec<SharedAccessKey>, KeyError> {
    texts.into_iter().map(SharedAccessKey::try_from).collect()
}

/// The resource URI of the tokens of an identity.
fn resource(host: &HubHost, identity: &Identity) -> String {
    match &identity.module {
        Some(module) => format!("{host}/devices/{}/modules/{module}", identity.device),
        None => format!("{host}/devices/{}", identity.device),
    }
}
