//! Everything that a request is answered with when it does not get what it asked for, and how that
//! is coded, worded, and logged.

mod envelope;

use ids::{IdError, RegistrationId, ServiceName, error_chain};
use registry::{ListError, Right, StorageError};
use rest::policy::PolicyError;
use rest::{RequestError, RequestId};
use throttle::Throttled;
use wire::error::DpsErrorCode;
use wire::lenient::BodyError;

use crate::admission;
use crate::registration::enrollment::UnreadableEnrollment;
use crate::registration::issue::IssueFault;
use crate::registration::not_proven::{Challenge, NotProven};
use crate::registration::refusal::Refusal;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServiceFault {
    /// A device has to come again later.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// A device is not admitted.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// A TPM is asked to prove that it is there. Not a failure: every registration
    /// of one begins so.
    #[error("the TPM has to answer a challenge")]
    Challenged(Box<Challenge>),
    /// An operation id that is not one of ours for that registration.
    #[error("there is no such operation of this registration")]
    NoSuchOperation,
    #[error("registration {0} does not exist")]
    NoSuchRegistration(RegistrationId),

    /// The request did not reach its handler.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The body has the wrong form.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An id in the body or the query string is not valid.
    #[error(transparent)]
    Id(#[from] IdError),
    /// `x-ms-continuation` is not one of ours.
    #[error("the continuation token is not one that this service handed out")]
    Continuation,

    /// An operator's request without a usable token.
    #[error("the request carries no shared access signature of a policy of this service")]
    NoToken(#[source] Option<PolicyError<Right>>),
    /// The token is good, its policy is not enough.
    #[error(transparent)]
    Forbidden(PolicyError<Right>),
    /// Hubs and services of the server are changed by its owner.
    #[error(
        "hubs and services of the server are changed through its first provisioning service, not \
         through {0}"
    )]
    NotServersOwner(ServiceName),
    /// A noun of the service API is not read, written or deleted.
    #[error(transparent)]
    Noun(AnyNounError),

    /// An issuer could not issue.
    #[error(transparent)]
    NotIssued(IssueFault),
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is stored cannot be read.
    #[error(transparent)]
    UnreadableEnrollment(#[from] UnreadableEnrollment),
}

/// An error of one noun of the service API; each noun's file says the codes of its own.
pub trait NounError: std::error::Error + Send + Sync + 'static {
    /// The code that the operator gets. Errors of the code `InternalServerError` are failures of
    /// the server, whose text is for the log only.
    fn code(&self) -> DpsErrorCode {
        DpsErrorCode::ArgumentInvalid
    }
}

/// An error of any noun.
#[derive(Debug)]
pub struct AnyNounError(Box<dyn NounError>);

impl std::fmt::Display for AnyNounError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AnyNounError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl<E: NounError> From<E> for ServiceFault {
    fn from(error: E) -> Self {
        Self::Noun(AnyNounError(Box::new(error)))
    }
}

/// Path and body name different records.
#[derive(Debug, thiserror::Error)]
#[error("the path names {path:?}, the body {body:?}")]
pub struct IdMismatch {
    pub path: String,
    pub body: String,
}

impl NounError for IdMismatch {}

impl From<NotProven> for ServiceFault {
    fn from(error: NotProven) -> Self {
        match error {
            NotProven::Refused(refusal) => Self::Refused(refusal),
            NotProven::Challenged(challenge) => Self::Challenged(challenge),
            NotProven::Storage(error) => Self::Storage(error),
            NotProven::UnreadableEnrollment(error) => Self::UnreadableEnrollment(error),
        }
    }
}

impl From<IssueFault> for ServiceFault {
    fn from(error: IssueFault) -> Self {
        match error {
            IssueFault::Refused(refusal) => Self::Refused(refusal),
            IssueFault::Storage(error) => Self::Storage(error),
            other @ IssueFault::Issuer { .. } => Self::NotIssued(other),
        }
    }
}

impl From<ListError> for ServiceFault {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Continuation(_) => Self::Continuation,
            ListError::Storage(error) => Self::Storage(error),
        }
    }
}

impl ServiceFault {
    /// The code, whose first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::Throttled(_) => Code::TooManyRequests,
            Self::Refused(refusal) => refusal.error_code(),
            Self::Challenged(_) => Code::InvalidCertificate,
            Self::NoSuchOperation => Code::AsyncOperationNotFound,
            Self::NoSuchRegistration(_) => Code::DeviceRegistrationNotFound,
            Self::Request(error) => request_code(error),
            Self::Body(_) | Self::Id(_) | Self::Continuation => Code::ArgumentInvalid,
            Self::NoToken(_) => Code::Unauthorized,
            Self::Forbidden(_) | Self::NotServersOwner(_) => Code::Forbidden,
            Self::Noun(error) => error.0.code(),
            Self::Storage(_) | Self::UnreadableEnrollment(_) | Self::NotIssued(_) => {
                Code::InternalServerError
            }
        }
    }

    /// The text that the caller gets. Devices that are refused, and callers without a token,
    /// learn nothing from it.
    #[must_use]
    pub fn outside(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.outside(),
            Self::Challenged(_) | Self::NoToken(_) => "Unauthorized".to_owned(),
            _ if self.is_failure() => "Internal server error".to_owned(),
            Self::Noun(error) => error_chain(error),
            other => other.to_string(),
        }
    }

    /// How many seconds the caller is to wait before it asks again, if waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Throttled(throttled) => Some(throttled.retry_after_seconds()),
            _ => None,
        }
    }

    /// Whether the server failed, and not the request.
    fn is_failure(&self) -> bool {
        self.code() == DpsErrorCode::InternalServerError
    }

    /// Writes the one log line of a fault.
    pub fn log(&self, request_id: &RequestId) {
        match self {
            // There may be thousands a second; admission counts them and says so now and then.
            Self::Throttled(throttled) => tracing::debug!(
                request.id = %request_id,
                reason.code = admission::reason_code(throttled.limit),
                "a device was throttled: {throttled}"
            ),
            Self::Refused(refusal) => refusal.log(&request_id.to_string()),
            Self::Challenged(challenge) => tracing::debug!(
                request.id = %request_id,
                registration.id = %challenge.registration_id,
                "registration {} was asked to prove that it has its TPM",
                challenge.registration_id,
            ),
            failure if failure.is_failure() => tracing::error!(
                request.id = %request_id,
                "a request failed: {}",
                error_chain(failure)
            ),
            other => tracing::info!(
                request.id = %request_id,
                error.code = other.code().code(),
                "a request was refused: {}",
                error_chain(other)
            ),
        }
    }
}

fn request_code(error: &RequestError) -> DpsErrorCode {
    use DpsErrorCode as Code;
    match error {
        RequestError::NoSuchPath => Code::NotFound,
        RequestError::Method(_) => Code::MethodNotAllowed,
        RequestError::TooLarge { .. } => Code::RequestTooLarge,
        RequestError::Late => Code::RequestTimeout,
        RequestError::Path(_)
        | RequestError::NoApiVersion
        | RequestError::Id(_)
        | RequestError::Interrupted => Code::ArgumentInvalid,
    }
}

#[cfg(test)]
mod tests;
