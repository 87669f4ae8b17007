use std::sync::Arc;

use ids::{EnrollmentId, Etag, IdScope, RegistrationId};
use serde::{Deserialize, Serialize};

use crate::DeviceLocation;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// As the first registration spelled it.
    pub registration_id: RegistrationId,
    /// `None` for an individual enrollment.
    pub group: Option<EnrollmentId>,
    pub status: RegistrationStatus,
    pub substatus: Option<Substatus>,
    /// The device that is assigned, also while a later attempt has failed.
    pub device: Option<DeviceLocation>,
    pub error_code: Option<u32>,
    pub error_message: Option<String>,
    pub etag: Etag,
    /// JSON: what a custom allocation returned.
    pub payload: Option<String>,
    /// JSON: how the device proved itself.
    pub detail: Option<Arc<str>>,
    /// First attempt, 100 ns since 1970.
    pub created: i64,
    /// Last attempt, 100 ns since 1970.
    pub updated: i64,
}

/// What the last attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// It waits for a webhook or a remote hub.
    Assigning,
    /// The device has a hub.
    Assigned,
    Failed,
    /// Refused because the enrollment is disabled.
    Disabled,
}

stored_names!(RegistrationStatus {
    Assigning => "assigning",
    Assigned => "assigned",
    Failed => "failed",
    Disabled => "disabled",
});

/// How an assignment came about, as the device is answered. Stored in plans of placements too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Substatus {
    InitialAssignment,
    /// Moved to another hub with its data.
    DeviceDataMigrated,
    /// Started again from the initial twin.
    DeviceDataReset,
    /// The previous assignment of the device.
    ReprovisionedToInitialAssignment,
}

stored_names!(Substatus {
    InitialAssignment => "initialAssignment",
    DeviceDataMigrated => "deviceDataMigrated",
    DeviceDataReset => "deviceDataReset",
    ReprovisionedToInitialAssignment => "reprovisionedToInitialAssignment",
});

/// The registration that a hub device is assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOwner {
    pub id_scope: IdScope,
    pub registration_id: RegistrationId,
}
