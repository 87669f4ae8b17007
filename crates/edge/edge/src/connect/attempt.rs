//! Why an attempt to reach the hub failed, and what that means.

use std::time::Duration;

use device::{CallError, HubError, ModuleError, SignError};
use mqtt::ConnectReturnCode;

use crate::files::durable::DurableError;
use crate::identities::IdentityError;
use crate::provision::RegisterError;
use crate::provision::assignment::Refusal;

/// Why there is no connection now.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Means(RegisterError),
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
    /// Whether the hub does not want the device, and who noticed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Identities(IdentityError::List(source) | IdentityError::Hub { source, .. }) => {
                let refused = matches!(
                    source,
                    ModuleError::Refused {
                        status: 401 | 403 | 404,
                        ..
                    }
                );
                refused.then_some(Refusal::Device)
            }
            Self::Connect(HubError::Refused {
                code:
                    ConnectReturnCode::NotAuthorized
                    | ConnectReturnCode::BadUserNameOrPassword
                    | ConnectReturnCode::IdentifierRejected,
                ..
            }) => Some(Refusal::Agent),
            _ => None,
        }
    }

    /// How long the other side wants the device to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Register { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
