use ids::{DeviceId, Etag, GenerationId, Identity, ModuleId, Timestamp};
use wire::service_api::identity::{Authentication, Status};

use crate::StorageError;

/// A device of a hub's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub device_id: DeviceId,
    /// Its life: another one after delete and create.
    pub generation_id: GenerationId,
    /// The version of the identity; the twin has its own.
    pub etag: Etag,
    /// Whether it may connect.
    pub status: Status,
    /// Why, in the operator's words.
    pub status_reason: Option<String>,
    /// When `status` last changed; [`Timestamp::NEVER`] when it never did.
    pub status_updated: Timestamp,
    /// How it proves itself.
    pub authentication: Authentication,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// `ms-azure-iot-edge://ID-GENERATION`; of an Edge device always there, of a leaf its parent's.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Vec<String>,
}

/// A module of a hub's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleRecord {
    /// The device it belongs to.
    pub device_id: DeviceId,
    pub module_id: ModuleId,
    pub generation_id: GenerationId,
    /// The version of the identity; the twin has its own.
    pub etag: Etag,
    /// How it proves itself.
    pub authentication: Authentication,
    /// `IotEdge` for modules of deployments.
    pub managed_by: Option<String>,
}

/// A device or a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityRecord {
    Device(DeviceRecord),
    /// A module, with its device's facts that its twin shows too.
    Module {
        module: ModuleRecord,
        /// Whether its device may connect.
        device_status: Status,
    },
}

/// What a connecting device or module is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whether the device (the module's device) may connect.
    pub status: Status,
    /// The life of the identity itself.
    pub generation_id: GenerationId,
    /// How it proves itself.
    pub authentication: Authentication,
    /// Whether the device is an IoT Edge device.
    pub iot_edge: bool,
    pub device_scope: Option<String>,
    /// The scopes of the device's parents.
    pub parent_scopes: Vec<String>,
}

/// Why an identity was not written, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No such device. The hub answers 404001.
    #[error("device {0} does not exist")]
    DeviceNotFound(DeviceId),
    /// No such module. The hub answers 404010.
    #[error("module {1} of device {0} does not exist")]
    ModuleNotFound(DeviceId, ModuleId),
    /// It exists and no `If-Match` said that it should. The hub answers 409001 for
    /// devices, 409301 for modules.
    #[error("{0} exists already; send If-Match to change it")]
    Exists(Identity),
    /// The etag is not the stored one. The hub answers 412001.
    #[error("{0} has changed since the etag sent")]
    PreconditionFailed(Identity),
    /// 50 modules is what a device may have. The hub answers 413003.
    #[error("device {0} has {limit} modules already", limit = crate::limits::MAX_MODULES)]
    TooManyModules(DeviceId),
    /// Something asked for is not allowed. The hub answers 400004.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for IdentityError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
