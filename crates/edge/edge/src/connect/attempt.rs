//! Why an attempt to connect failed.

use std::time::Duration;

use device::{CallError, HubError, ModuleError, SignError};
use mqtt::ConnectReturnCode;

use crate::files::durable::DurableError;
use crate::identities::IdentityError;
use crate::provision::RegisterError;
use crate::provision::assignment::RefusedCredential;

#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    CloudAccess(RegisterError),
    #[error("registering because {reason}")]
    Register {
        reason: String,
        source: Box<RegisterError>,
    },
    #[error(transparent)]
    Identities(#[from] IdentityError),
    #[error("the agent's token could not be made")]
    Token(#[from] SignError),
    #[error("the agent has no identity on the hub")]
    NoAgent,
    #[error("the hub connection could not be made")]
    Connect(#[from] HubError),
    #[error("the device's state cannot be kept")]
    State(#[from] DurableError),
    #[error("the hub could not be asked for the device's twin")]
    Twin(#[from] CallError),
}

impl AttemptError {
    /// The credential that the hub refused, if that is the reason.
    pub(super) fn refused_credential(&self) -> Option<RefusedCredential> {
        match self {
            Self::Identities(IdentityError::List(source) | IdentityError::Hub { source, .. }) => {
                let refused = matches!(
                    source,
                    ModuleError::Refused {
                        status: 401 | 403 | 404,
                        ..
                    }
                );
                refused.then_some(RefusedCredential::Device)
            }
            Self::Connect(HubError::Refused {
                code:
                    ConnectReturnCode::NotAuthorized
                    | ConnectReturnCode::BadUserNameOrPassword
                    | ConnectReturnCode::IdentifierRejected,
                ..
            }) => Some(RefusedCredential::Agent),
            _ => None,
        }
    }

    /// The pause that the provisioning service asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Register { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
