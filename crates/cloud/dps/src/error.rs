//! Everything that the doors answer with an error, and the one table that says how.

use ids::{IdError, RegistrationId};
use provisioning::{BlockError, EnrollmentError, EnrollmentKey, RegistrationError};
use registry::{ListError, Right, StorageError};
use throttle::Throttled;
use wire::error::DpsErrorCode;
use wire::http::PathError;
use wire::lenient::BodyError;
use wire::sas::SasError;

use crate::admission;
use crate::registration::enrollment::UnreadableEnrollment;
use crate::registration::issue::IssueFault;
use crate::registration::not_proven::{Challenge, NotProven};
use crate::registration::refusal::{Refusal, with_causes};
use crate::service_api::ca_certificates::draft::CaCertificateFault;
use crate::service_api::enrollments::draft::AdminError;
use crate::service_api::issuers::resource::ResourceFault;
use crate::service_api::linked_hubs::judged::ServingFault;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServiceFault {
    /// A device has to come again later.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// A device was not let in.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// A TPM is asked to prove that it is there. Not a failure: every registration of one begins so.
    #[error("the TPM has to answer a challenge")]
    Challenged(Box<Challenge>),
    /// An operation id that is not one of ours for that registration.
    #[error("there is no such operation of this registration")]
    NoSuchOperation,
    /// A device or operator asks for a registration that never happened.
    #[error("registration {0} does not exist")]
    NoSuchRegistration(RegistrationId),

    /// The path cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path names nothing.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// The path is right, the method is not.
    #[error("this path does not know the method {0}")]
    Method(String),
    /// The query string lacks it.
    #[error("the query parameter api-version is missing, for example ?api-version=2021-10-01")]
    NoApiVersion,
    /// More body than is read.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// The client went away or sent broken chunks.
    #[error("the body could not be read")]
    BodyBroken,
    /// The body took too long.
    #[error("the body did not arrive in time")]
    Late,
    /// The body is not what it should be.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An id in the path, the body or a header is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Path and body name different records.
    #[error("the path names {path:?}, the body {body:?}")]
    IdMismatch {
        /// In the path.
        path: String,
        /// In the body.
        body: String,
    },
    /// A device is blocked already, or is not.
    #[error(transparent)]
    Block(BlockError),
    /// What was to be explained are no certificates.
    #[error("certificates: {0}")]
    Certificates(String),
    /// `x-ms-continuation` is not one of ours.
    #[error("the continuation token is not one that this service handed out")]
    Continuation,

    /// An operator's request without a usable token.
    #[error("the request carries no shared access signature of a policy of this service")]
    NoToken(#[source] Option<TokenFault>),
    /// The token is good, its policy is not enough.
    #[error("the policy {policy:?} lacks the right {}", right.name())]
    Forbidden {
        /// Whose keys signed.
        policy: String,
        /// What it lacks.
        right: Right,
    },
    /// No such enrollment.
    #[error("{0} does not exist")]
    NoSuchEnrollment(EnrollmentKey),
    /// An enrollment is not written or deleted.
    #[error(transparent)]
    Enrollment(EnrollmentError),
    /// An enrollment is not acceptable.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A registration record is not deleted.
    #[error(transparent)]
    Registration(RegistrationError),
    /// A hub, link, policy or service is not changed.
    #[error(transparent)]
    Serving(#[from] ServingFault),
    /// A CA certificate is not written, verified or deleted.
    #[error(transparent)]
    CaCertificate(#[from] CaCertificateFault),
    /// An issuer or a trust bundle is not written or deleted.
    #[error(transparent)]
    Resource(#[from] ResourceFault),
    /// An issuer could not issue.
    #[error(transparent)]
    NotIssued(IssueFault),

    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is stored cannot be read.
    #[error(transparent)]
    UnreadableEnrollment(#[from] UnreadableEnrollment),
}

/// What is wrong with an operator's token. For the log.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// Its form, its key, its time or its resource.
    #[error(transparent)]
    Sas(#[from] SasError),
    /// It names no policy: a device's token, most likely.
    #[error("the token names no policy (skn); it may be one of a device")]
    Unnamed,
    /// It names a policy of somebody else.
    #[error("the token names the policy {0:?}, which this service does not have")]
    NoPolicy(String),
}

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

impl From<EnrollmentError> for ServiceFault {
    fn from(error: EnrollmentError) -> Self {
        match error {
            EnrollmentError::Storage(error) => Self::Storage(error),
            EnrollmentError::NotFound(key) => Self::NoSuchEnrollment(key),
            other => Self::Enrollment(other),
        }
    }
}

impl From<RegistrationError> for ServiceFault {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Storage(error) => Self::Storage(error),
            RegistrationError::NotFound(id) => Self::NoSuchRegistration(id),
            other => Self::Registration(other),
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
            Self::NoSuchPath => Code::NotFound,
            Self::Method(_) => Code::MethodNotAllowed,
            Self::Block(BlockError::Blocked(_)) => Code::RegistrationStatusConflict,
            Self::Block(BlockError::NotBlocked(_) | BlockError::NoRegistration { .. }) => {
                Code::DeviceRegistrationNotFound
            }
            Self::Block(BlockError::Storage(_)) => Code::InternalServerError,
            Self::TooLarge(_) => Code::RequestTooLarge,
            Self::Late => Code::RequestTimeout,
            Self::NoToken(_) => Code::Unauthorized,
            Self::Forbidden { .. } => Code::Forbidden,
            Self::NoSuchEnrollment(EnrollmentKey::Individual(_)) => Code::EnrollmentNotFound,
            Self::NoSuchEnrollment(EnrollmentKey::Group(_)) => Code::EnrollmentGroupNotFound,
            Self::Enrollment(error) => enrollment_code(error),
            Self::Registration(RegistrationError::Blocked(_)) => Code::RegistrationStatusConflict,
            Self::Registration(_) => Code::PreconditionFailed,
            Self::Serving(fault) => fault.code(),
            Self::CaCertificate(fault) => fault.code(),
            Self::Resource(fault) => fault.code(),
            Self::Path(_)
            | Self::NoApiVersion
            | Self::BodyBroken
            | Self::Body(_)
            | Self::Id(_)
            | Self::IdMismatch { .. }
            | Self::Continuation
            | Self::Certificates(_)
            | Self::Admin(_) => Code::ArgumentInvalid,
            Self::Storage(_) | Self::UnreadableEnrollment(_) | Self::NotIssued(_) => {
                Code::InternalServerError
            }
        }
    }

    /// What the caller is told. Devices that are refused, and callers without a token, learn nothing from it.
    #[must_use]
    pub fn outside(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.outside(),
            Self::Challenged(_) | Self::NoToken(_) => "Unauthorized".to_owned(),
            Self::Storage(_) | Self::UnreadableEnrollment(_) | Self::NotIssued(_) => {
                "Internal server error".to_owned()
            }
            Self::Serving(fault) if fault.is_ours() => "Internal server error".to_owned(),
            Self::CaCertificate(fault) if fault.is_ours() => "Internal server error".to_owned(),
            Self::CaCertificate(fault) => with_causes(fault),
            Self::Resource(fault) if fault.is_ours() => "Internal server error".to_owned(),
            Self::Resource(fault) => with_causes(fault),
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

    /// Writes the one log line of a fault; `request_id` is what the caller was told.
    pub fn log(&self, request_id: &str) {
        match self {
            // There may be thousands a second; admission counts them and says so now and then.
            Self::Throttled(throttled) => tracing::debug!(
                request.id = request_id,
                reason.code = admission::reason_code(throttled.limit),
                "a device was sent away: {throttled}"
            ),
            Self::Refused(refusal) => refusal.log(request_id),
            Self::Challenged(challenge) => tracing::debug!(
                request.id = request_id,
                registration.id = %challenge.registration_id,
                "registration {} was asked to prove that it has its TPM",
                challenge.registration_id,
            ),
            Self::Storage(_) | Self::UnreadableEnrollment(_) | Self::NotIssued(_) => {
                self.log_failure(request_id);
            }
            Self::Resource(fault) if fault.is_ours() => self.log_failure(request_id),
            Self::Serving(fault) if fault.is_ours() => self.log_failure(request_id),
            Self::CaCertificate(fault) if fault.is_ours() => self.log_failure(request_id),
            other => tracing::info!(
                request.id = request_id,
                error.code = other.code().code(),
                "a request was refused: {}",
                with_causes(other)
            ),
        }
    }

    fn log_failure(&self, request_id: &str) {
        tracing::error!(
            request.id = request_id,
            "a request failed: {}",
            with_causes(self)
        );
    }
}

fn enrollment_code(error: &EnrollmentError) -> DpsErrorCode {
    let conflict = |key: &EnrollmentKey| match key {
        EnrollmentKey::Individual(_) => DpsErrorCode::EnrollmentConflict,
        EnrollmentKey::Group(_) => DpsErrorCode::EnrollmentGroupConflict,
    };
    match error {
        EnrollmentError::NotFound(EnrollmentKey::Individual(_)) => DpsErrorCode::EnrollmentNotFound,
        EnrollmentError::NotFound(EnrollmentKey::Group(_)) => DpsErrorCode::EnrollmentGroupNotFound,
        EnrollmentError::Exists(key) | EnrollmentError::Blocked { key } => conflict(key),
        EnrollmentError::CertificateTaken { other, .. } => conflict(other),
        EnrollmentError::PreconditionFailed(_) => DpsErrorCode::PreconditionFailed,
        EnrollmentError::NoCaCertificate(_)
        | EnrollmentError::CaCertificateNotVerified(_)
        | EnrollmentError::TooManyKeyed(_)
        | EnrollmentError::NoResource(_) => DpsErrorCode::ArgumentInvalid,
        EnrollmentError::Storage(_) => DpsErrorCode::InternalServerError,
    }
}

#[cfg(test)]
mod tests;
