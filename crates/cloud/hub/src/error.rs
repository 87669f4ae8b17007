//! Every error of the HTTP API, and one table of their codes, whose first digits
//! are the HTTP status.

use ids::error_chain;
use registry::{
    ConfigurationError, ConsumerGroupError, EventError, IdentityError, ImportError, JobError,
    MessageError, QueryError, Right, RolloutError, RoutingWriteError, TwinError, UploadError,
};
use rest::RequestError;
use rest::policy::PolicyError;
use wire::cloud_message::PropertyError;
use wire::error::HubErrorCode as Code;
use wire::lenient::BodyError;
use wire::muster_api::OwnBodyError;

use crate::messages::method::MethodError;
use crate::messages::open_streams::MAX_STREAMS;
use crate::messages::telemetry::TelemetryError;
use crate::quantities::{self, Throttled};
use crate::sessions::prove::NotProven;

/// When a stream of events is worth another try, seconds.
const STREAM_WAIT: u64 = 10;

/// A request that was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the host {0:?} is no hub of this server")]
    NoSuchHub(String),
    #[error("{0}")]
    FormerName(String),
    #[error(transparent)]
    Unauthorized(NotProven),
    #[error(
        "the request carries no Authorization header and no client certificate that would allow it"
    )]
    NoCredentials,
    #[error("the caller may not do this: {0}")]
    Forbidden(PolicyError<Right>),
    #[error("{0}")]
    Bad(String),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    MessageProperty(#[from] PropertyError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A device daemon asks for its system module again and again, so this says what helps.
    #[error(
        "module {module} does not exist: device {device} is not an IoT Edge device; muster hub \
         device-identity update -d {device} --edge-enabled true makes it one"
    )]
    NotEdge {
        device: ids::DeviceId,
        module: ids::ModuleId,
    },
    #[error(transparent)]
    Twin(#[from] TwinError),
    #[error("the device or module is in the request twice")]
    Repeated,
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Method(#[from] MethodError),
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("the hub has {MAX_STREAMS} open streams of events, and no more are served")]
    TooManyStreams,
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Routing(#[from] RoutingWriteError),
    #[error(transparent)]
    ConsumerGroup(#[from] ConsumerGroupError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    OwnBody(#[from] OwnBodyError),
    #[error(transparent)]
    Storage(#[from] registry::StorageError),
}

impl HubError {
    /// The HTTP status and the code of the body and header.
    pub(crate) fn code(&self) -> (u16, Code) {
        let code = match self {
            Self::Request(error) => return request(error),
            Self::Upload(UploadError::Unknown) => return (404, Code::InvalidOperation),
            Self::Upload(error) => upload(error),
            Self::Job(JobError::Exists(_)) => return (409, Code::InvalidOperation),
            Self::MessageProperty(_) => Code::ArgumentInvalid,
            Self::Message(error) => message(error),
            Self::NoSuchHub(_) => Code::IotHubNotFound,
            Self::Unauthorized(NotProven::Storage(_)) | Self::Storage(_) => Code::ServerError,
            Self::Unauthorized(_) | Self::NoCredentials | Self::FormerName(_) => {
                Code::IotHubUnauthorized
            }
            Self::Forbidden(_) => Code::IotHubUnauthorizedAccess,
            Self::Bad(_) | Self::Body(_) => Code::ArgumentInvalid,
            Self::Query(QueryError::Storage(_)) => Code::ServerError,
            Self::Query(_) => Code::ArgumentInvalid,
            Self::Identity(error) => identity(error),
            Self::NotEdge { .. } => Code::ModuleNotFound,
            Self::Twin(error) => twin(error),
            Self::Repeated => Code::DeviceDefinedMultipleTimes,
            Self::Configuration(error) => configuration(error),
            Self::Job(error) => job(error),
            // The hub's list has no code of its own for this.
            Self::Rollout(RolloutError::Conflict(_)) => return (409, Code::InvalidOperation),
            Self::Rollout(error) => rollout(error),
            Self::Method(error) => method(error),
            Self::Throttled(_) | Self::TooManyStreams => Code::ThrottlingException,
            Self::Telemetry(error) => telemetry(error),
            Self::OwnBody(_) => Code::ArgumentInvalid,
            Self::Routing(error) => routing(error),
            Self::ConsumerGroup(error) => return consumer_group(error),
        };
        (code.http_status(), code)
    }

    /// The value of the header `Retry-After`, where a wait helps.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Throttled(throttled) | Self::Telemetry(TelemetryError::Throttled(throttled)) => {
                Some(throttled.retry_after_seconds())
            }
            Self::Telemetry(TelemetryError::TooFast { wait }) => {
                Some(quantities::whole_seconds(*wait))
            }
            Self::TooManyStreams => Some(STREAM_WAIT),
            _ => None,
        }
    }

    /// What the caller reads. Failures of ours and reasons against somebody unproven stay inside.
    pub(crate) fn outside(&self) -> String {
        match self.code() {
            (500.., Code::ServerError) => "the server failed; its log says why".to_owned(),
            (503, Code::ServiceUnavailable) => {
                "the message cannot be kept now; send it again later".to_owned()
            }
            (401, Code::IotHubUnauthorized) => "Unauthorized".to_owned(),
            _ => error_chain(self),
        }
    }
}

impl From<ImportError> for HubError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Identity(error) => error.into(),
            ImportError::Twin(error) => error.into(),
        }
    }
}

/// The hub's list has no codes of its own for some of these.
fn request(error: &RequestError) -> (u16, Code) {
    let code = match error {
        RequestError::NoSuchPath => return (404, Code::InvalidOperation),
        RequestError::Method(_) => return (405, Code::InvalidOperation),
        RequestError::Late => return (408, Code::InvalidOperation),
        RequestError::NoApiVersion => Code::InvalidProtocolVersion,
        RequestError::Path(_) | RequestError::Id(_) => Code::ArgumentInvalid,
        RequestError::TooLarge { .. } => Code::MessageTooLarge,
        RequestError::Interrupted => Code::IotHubFormatError,
    };
    (code.http_status(), code)
}

fn identity(error: &IdentityError) -> Code {
    match error {
        IdentityError::DeviceNotFound(_) => Code::DeviceNotFound,
        IdentityError::ModuleNotFound(..) => Code::ModuleNotFound,
        IdentityError::Exists(identity) if identity.module.is_some() => {
            Code::ModuleAlreadyExistsOnDevice
        }
        IdentityError::Exists(_) => Code::DeviceAlreadyExists,
        IdentityError::PreconditionFailed(_) => Code::PreconditionFailed,
        IdentityError::TooManyModules(_) => Code::TooManyModulesOnDevice,
        IdentityError::Invalid(_) => Code::ArgumentInvalid,
        IdentityError::Storage(_) => Code::ServerError,
    }
}

fn not_found(identity: &ids::Identity) -> Code {
    if identity.module.is_some() {
        Code::ModuleNotFound
    } else {
        Code::DeviceNotFound
    }
}

/// Also what MQTT twin responses say.
pub(crate) fn twin(error: &TwinError) -> Code {
    match error {
        TwinError::NotFound(identity) => not_found(identity),
        TwinError::PreconditionFailed(_) => Code::PreconditionFailed,
        TwinError::Invalid { .. } | TwinError::TooLarge { .. } => Code::ArgumentInvalid,
        TwinError::Storage(_) => Code::ServerError,
    }
}

fn configuration(error: &ConfigurationError) -> Code {
    match error {
        ConfigurationError::NotFound(_) => Code::ConfigurationNotFound,
        ConfigurationError::Exists(_) => Code::ConfigurationAlreadyExists,
        ConfigurationError::NoDevice(_) => Code::DeviceNotFound,
        ConfigurationError::PreconditionFailed(_) => Code::PreconditionFailed,
        ConfigurationError::TooMany => Code::IotHubQuotaExceeded,
        ConfigurationError::Storage(_) => Code::ServerError,
        _ => Code::ArgumentInvalid,
    }
}

fn job(error: &JobError) -> Code {
    match error {
        JobError::NotFound(_) => Code::JobNotFound,
        JobError::Exists(_) | JobError::Ended(_) => Code::InvalidOperation,
        JobError::TooMany => Code::JobQuotaExceeded,
        JobError::Targets(_) => Code::ArgumentInvalid,
        JobError::Storage(_) => Code::ServerError,
    }
}

fn rollout(error: &RolloutError) -> Code {
    match error {
        RolloutError::NoConfiguration(_) | RolloutError::NotFound(_) => Code::ConfigurationNotFound,
        RolloutError::Storage(_) => Code::ServerError,
        RolloutError::Invalid { .. }
        | RolloutError::Condition { .. }
        | RolloutError::Conflict(_) => Code::ArgumentInvalid,
    }
}

fn method(error: &MethodError) -> Code {
    match error {
        MethodError::NotFound(identity) => not_found(identity),
        MethodError::NotOnline(_) => Code::DeviceNotOnline,
        MethodError::Busy(_) => Code::DeviceThrottlingLimitExceeded,
        MethodError::Closed(_) => Code::DeviceConnectionClosedRemotely,
        MethodError::Timeout { .. } => Code::GatewayTimeout,
        MethodError::PayloadTooLarge { .. } => Code::MessageTooLarge,
        MethodError::BadAnswer { .. } => Code::DeserializationError,
        MethodError::Storage(_) => Code::ServerError,
    }
}

fn message(error: &MessageError) -> Code {
    match error {
        MessageError::NotFound(identity) => not_found(identity),
        MessageError::QueueFull(_) => Code::DeviceMaximumQueueDepthExceeded,
        MessageError::TooLarge { .. } | MessageError::PropertiesTooLong => Code::MessageTooLarge,
        MessageError::Expired(_) | MessageError::ExpiresTooLate(_) => Code::ArgumentInvalid,
        MessageError::LockLost => Code::DeviceMessageLockLost,
        MessageError::Storage(_) => Code::ServerError,
    }
}

fn upload(error: &UploadError) -> Code {
    match error {
        UploadError::NotFound(_) => Code::DeviceNotFound,
        UploadError::TooMany(_) => Code::DeviceMaximumActiveFileUploadLimitExceeded,
        UploadError::Unknown => Code::InvalidOperation,
        UploadError::Disabled(_) => Code::IotHubUnauthorized,
        UploadError::Storage(_) => Code::ServerError,
    }
}

fn telemetry(error: &TelemetryError) -> Code {
    match error {
        TelemetryError::TooLarge { .. } | TelemetryError::Event(EventError::TooLarge { .. }) => {
            Code::MessageTooLarge
        }
        TelemetryError::TooFast { .. } | TelemetryError::Throttled(_) => Code::ThrottlingException,
        TelemetryError::TooManyProperties { .. } | TelemetryError::Bag(_) => Code::ArgumentInvalid,
        // Clients send again after this.
        TelemetryError::Event(EventError::Log(_)) => Code::ServiceUnavailable,
    }
}

fn routing(error: &RoutingWriteError) -> Code {
    match error {
        RoutingWriteError::Refused(_) => Code::ArgumentInvalid,
        RoutingWriteError::PreconditionFailed(_) => Code::PreconditionFailed,
        RoutingWriteError::Storage(_) => Code::ServerError,
    }
}

/// The hub's list has no code of its own for a consumer group that is missing.
fn consumer_group(error: &ConsumerGroupError) -> (u16, Code) {
    let code = match error {
        ConsumerGroupError::NotFound(_) => return (404, Code::InvalidOperation),
        ConsumerGroupError::TooMany => Code::IotHubQuotaExceeded,
        ConsumerGroupError::Default(_) | ConsumerGroupError::Ahead { .. } => Code::ArgumentInvalid,
        ConsumerGroupError::Storage(_) => Code::ServerError,
    };
    (code.http_status(), code)
}

#[cfg(test)]
mod tests {
    use ids::{ConfigurationId, DeviceId};
    use wire::sas::SasError;

    use super::*;

    /// H7, R16: the cause is in the log, and not in the answer.
    #[test]
    fn what_is_wrong_with_a_token_is_for_the_log() {
        let faults = [
            SasError::Expired {
                at: ids::Timestamp::from_unix_seconds(1_700_000_000),
            },
            SasError::Signature,
            SasError::OtherResource {
                granted: "other.example".to_owned(),
                requested: "hub.example".to_owned(),
            },
        ];
        for (fault, cause) in faults.into_iter().zip([
            "expired at 2023-11-14",
            "signature does not match",
            "other.example",
        ]) {
            let error = HubError::Unauthorized(fault.into());
            let inside = error_chain(&error);
            assert!(inside.contains(cause), "{inside}");
            let says_once = inside.matches("the token is not accepted").count() == 1;
            assert!(says_once, "{inside}");
            assert_eq!(error.outside(), "Unauthorized");
            assert_eq!(error.code().0, 401);
        }
    }

    // R9
    #[test]
    fn configurations_have_codes_that_scripts_match() {
        let id = || ConfigurationId::parse("c1").unwrap();
        for (error, status, name) in [
            (
                ConfigurationError::NotFound(id()),
                404,
                "ConfigurationNotFound",
            ),
            (
                ConfigurationError::Exists(id()),
                409,
                "ConfigurationAlreadyExists",
            ),
            (
                ConfigurationError::PreconditionFailed(id()),
                412,
                "PreconditionFailed",
            ),
            (
                ConfigurationError::NoDevice(DeviceId::parse("d").unwrap()),
                404,
                "DeviceNotFound",
            ),
        ] {
            let (found, code) = HubError::from(error).code();
            assert_eq!((found, code.name()), (status, name));
        }
    }
}
