use ids::RegistrationId;

use crate::DeviceLocation;

/// A device that an operator shut out everywhere, and what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedRow {
    pub registration_id: RegistrationId,
    /// In the operator's words.
    pub reason: Option<String>,
    /// When, 100 ns since 1970.
    pub blocked: i64,
    pub enrollment_change: EnrollmentChange,
    /// The hub device, when it was assigned.
    pub device: Option<DeviceLocation>,
    /// Whether the hub device was disabled for this.
    pub device_disabled: bool,
}

/// What a block did to the individual enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrollmentChange {
    Created,
    Disabled,
    /// It was disabled before.
    None,
}

stored_names!(EnrollmentChange {
    Created => "created",
    Disabled => "disabled",
    None => "none",
});
