//! Why an attempt to register or to connect failed.

use std::time::Duration;

use device::{
    CallError, ConnectError, HttpsError, HubError, ModuleError, ProvisionError, SignError,
    TpmFault, TpmFaultKind,
};
use mqtt::ConnectReturnCode;

use crate::files::durable::DurableError;
use crate::identities::IdentityError;
use crate::identities::master_key::KeysError;
use crate::provision::RegisterError;
use crate::provision::machine::FailureKind;

#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error("registering because {reason}")]
    Register {
        reason: String,
        source: Box<RegisterError>,
    },
    #[error(transparent)]
    Identities(#[from] IdentityError),
    #[error("the agent's token could not be made")]
    Token(#[from] SignError),
    #[error("the agent's key cannot be derived")]
    Key(#[from] KeysError),
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
    pub(super) fn kind(&self) -> FailureKind {
        if matches!(self.connection(), Some(ConnectError::OtherName { .. })) {
            return FailureKind::OtherName;
        }
        if let Some(fault) = self.tpm_fault() {
            return match fault.kind {
                TpmFaultKind::KeyLost => FailureKind::KeyLost,
                TpmFaultKind::Transient | TpmFaultKind::Lasting => FailureKind::Unavailable,
            };
        }
        let is_refused = match self {
            Self::Register { source, .. } => match &**source {
                RegisterError::Service { source, .. } => !source.is_transient(),
                RegisterError::NothingToRegister | RegisterError::Issued(_) => false,
            },
            Self::Identities(_) | Self::Twin(_) => {
                matches!(self.status(), Some(401 | 403 | 404))
            }
            Self::Connect(HubError::Refused {
                code:
                    ConnectReturnCode::NotAuthorized
                    | ConnectReturnCode::BadUserNameOrPassword
                    | ConnectReturnCode::IdentifierRejected,
                ..
            }) => return FailureKind::Agent,
            _ => false,
        };
        match is_refused {
            true => FailureKind::Device,
            false => FailureKind::Unavailable,
        }
    }

    /// Whether the server's certificate does not fit the device's clock.
    pub(super) fn is_about_time(&self) -> bool {
        matches!(self.connection(), Some(ConnectError::NotValidNow { .. }))
    }

    /// The pause that the server asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Register { source, .. } => match &**source {
                RegisterError::Service { source, .. } => source.retry_after(),
                RegisterError::NothingToRegister | RegisterError::Issued(_) => None,
            },
            Self::Identities(IdentityError::List(source) | IdentityError::Hub { source, .. }) => {
                match source {
                    ModuleError::Refused { retry_after, .. } => *retry_after,
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What the TPM did not do, if that is the reason.
    fn tpm_fault(&self) -> Option<&TpmFault> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(fault) = error.downcast_ref() {
                return Some(fault);
            }
            cause = error.source();
        }
        None
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Identities(
                IdentityError::List(ModuleError::Refused { status, .. })
                | IdentityError::Hub {
                    source: ModuleError::Refused { status, .. },
                    ..
                },
            )
            | Self::Twin(CallError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    /// Why there is no connection, if that is the reason.
    fn connection(&self) -> Option<&ConnectError> {
        let https = match self {
            Self::Connect(HubError::Connect(error)) => return Some(error),
            Self::Register { source, .. } => match &**source {
                RegisterError::Service {
                    source: ProvisionError::Connection(error),
                    ..
                } => error,
                _ => return None,
            },
            Self::Identities(
                IdentityError::List(ModuleError::Connection(error))
                | IdentityError::Hub {
                    source: ModuleError::Connection(error),
                    ..
                },
            ) => error,
            _ => return None,
        };
        match https {
            HttpsError::Connect(error) => Some(error),
            _ => None,
        }
    }
}
