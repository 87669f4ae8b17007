//! Credentials of devices and modules: client certificates and shared access signatures.

mod token_source;

use ids::{DeviceId, ModuleId, Timestamp};
use wire::sas::{Draft, SharedAccessKey};
use wire::service_api::device_view::token_resource;

use crate::{Identity, TpmFault, WorkloadError};

pub use token_source::{KeySigner, Signing, TokenSource};

/// The credential of a device or module.
#[derive(Clone)]
pub enum Credential {
    /// A client certificate, sent in the TLS handshake.
    Certificate(Identity),
    /// A shared access signature. The caller makes a new one before each connection, see [`token`].
    Token(String),
    /// Shared access signatures, made when they are needed: a client may live longer than a token.
    Tokens(TokenSource),
}

impl Credential {
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Certificate(identity) => Some(identity),
            Self::Token(_) | Self::Tokens(_) => None,
        }
    }

    /// The token for a request or connection that begins now.
    pub(crate) async fn token(&self) -> Result<Option<String>, SignError> {
        match self {
            Self::Certificate(_) => Ok(None),
            Self::Token(token) => Ok(Some(token.clone())),
            Self::Tokens(source) => source.token().await.map(Some),
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate(identity) => identity.fmt(f),
            Self::Token(_) => f.write_str("Token(redacted)"),
            Self::Tokens(source) => source.fmt(f),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the workload API did not sign")]
    Workload(#[from] WorkloadError),
    #[error("the TPM did not sign")]
    Tpm(#[from] TpmFault),
    /// In the words of the process that holds the key.
    #[error("{0}")]
    Key(String),
}

/// Signs with the key of a device or module: the key itself, a TPM, or a socket of the
/// daemon that holds it.
pub trait Signer: Sync {
    /// Computes the HMAC-SHA256 of `data`.
    fn sign(&self, data: &[u8]) -> impl Future<Output = Result<[u8; 32], SignError>> + Send;
}

impl Signer for SharedAccessKey {
    async fn sign(&self, data: &[u8]) -> Result<[u8; 32], SignError> {
        Ok(SharedAccessKey::sign(self, data))
    }
}

/// Makes a shared access signature for a device or module of `hub`, valid until `expiry`.
pub async fn token(
    signer: &impl Signer,
    hub: &str,
    device: &DeviceId,
    module: Option<&ModuleId>,
    expiry: Timestamp,
) -> Result<String, SignError> {
    let draft = Draft::new(&token_resource(hub, device, module), None, expiry);
    let digest = signer.sign(&draft.to_sign()).await?;
    Ok(draft.finish(&digest))
}
