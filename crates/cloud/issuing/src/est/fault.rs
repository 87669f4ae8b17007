//! Everything that a request of EST is answered with when it does not get what it asked for.

mod reason;

use std::time::Duration;

use ids::error_chain;
use pki::PemError;
use provisioning::EnterError;
use registry::StorageError;
use rest::{RequestError, RequestId};
use throttle::Throttled;

use super::Seen;
use crate::IssueError;

pub use reason::EstReason;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum EstFault {
    /// The client is not admitted, or asks for what it does not get.
    #[error(transparent)]
    Refused(#[from] EstReason),
    /// The request could not be read.
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The client exceeded a limit of its own.
    #[error("too many requests ({limit})")]
    TooMany { limit: &'static str, wait: Duration },
    /// Too many passwords are being compared.
    #[error("the server is busy")]
    Busy,
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An issuer could not issue: an operator has to repair it.
    #[error(transparent)]
    NotIssued(IssueError),
    /// What is stored of an issuer cannot be read.
    #[error("the certificates of an issuer cannot be read")]
    Damaged(#[from] PemError),
    #[error("no key was made")]
    Key(#[from] pki::KeyError),
}

impl From<wire::est::BodyError> for EstFault {
    fn from(error: wire::est::BodyError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<pki::RequestError> for EstFault {
    fn from(error: pki::RequestError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<IssueError> for EstFault {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Request(error) => error.into(),
            IssueError::NotEntered(EnterError::Storage(error)) => error.into(),
            IssueError::NotEntered(EnterError::UserSpent(_)) => EstReason::UserSpent.into(),
            IssueError::NotEntered(EnterError::UserExpired { at, .. }) => {
                EstReason::UserExpired { at }.into()
            }
            IssueError::NotEntered(EnterError::UserChanged(_)) => EstReason::UserChanged.into(),
            IssueError::NotEntered(EnterError::PinOccupied { enrollment, issuer }) => {
                EstReason::PinOccupied { enrollment, issuer }.into()
            }
            IssueError::NotEntered(EnterError::Replaced { enrollment }) => {
                EstReason::Replaced(enrollment).into()
            }
            other => Self::NotIssued(other),
        }
    }
}

impl EstFault {
    /// The HTTP status of the answer.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Refused(reason) => reason.status(),
            Self::Request(error) => match error {
                RequestError::NoSuchPath => 404,
                RequestError::Method(_) => 405,
                RequestError::TooLarge { .. } => 413,
                RequestError::Late => 408,
                RequestError::Path(_)
                | RequestError::NoApiVersion
                | RequestError::Id(_)
                | RequestError::Interrupted => 400,
            },
            Self::Throttled(_) | Self::TooMany { .. } => 429,
            Self::Busy => 503,
            Self::Storage(_) | Self::NotIssued(_) | Self::Damaged(_) | Self::Key(_) => 500,
        }
    }

    /// The text that the client gets. One that is not admitted learns nothing from it.
    pub(super) fn outside(&self) -> String {
        match self {
            Self::Refused(reason) => reason.outside(),
            Self::Storage(_) | Self::NotIssued(_) | Self::Damaged(_) | Self::Key(_) => {
                "internal server error".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// How many seconds the client is to wait, if waiting helps.
    pub(super) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Throttled(throttled) => Some(throttled.retry_after_seconds()),
            Self::TooMany { wait, .. } => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                Some(u32::try_from(seconds).unwrap_or(u32::MAX))
            }
            Self::Busy => Some(2),
            _ => None,
        }
    }

    /// Writes the one log line of a fault.
    pub(super) fn log(&self, request_id: &RequestId, seen: &Seen) {
        let about = seen.whose();
        let about = about
            .as_ref()
            .map(ids::RegistrationId::as_str)
            .unwrap_or_default();
        match self {
            Self::Refused(reason) => tracing::warn!(
                request.id = %request_id,
                registration.id = about,
                reason.code = reason.code(),
                "a request to EST was refused: {}",
                seen.message(reason),
            ),
            Self::Request(error) => tracing::info!(
                request.id = %request_id,
                "a request to EST could not be read: {error}"
            ),
            Self::Throttled(_) | Self::TooMany { .. } | Self::Busy => tracing::debug!(
                request.id = %request_id,
                registration.id = about,
                "a request to EST was throttled: {self}"
            ),
            failure => tracing::error!(
                request.id = %request_id,
                registration.id = about,
                "a request to EST failed: {}",
                error_chain(failure)
            ),
        }
    }
}
