use ids::{ConfigurationId, ModuleId};

/// How many devices a configuration concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricCounts {
    pub targeted: u64,
    /// Of these, devices whose result it is part of.
    pub applied: u64,
    /// Of these, devices that reported the current version with code 200.
    pub successful: u64,
    /// Of these, devices that reported the current version with another code.
    pub failed: u64,
}

/// A configuration that a device or module meets the condition of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetRow {
    /// `None` for the device itself.
    pub module_id: Option<ModuleId>,
    pub configuration_id: ConfigurationId,
    /// Whether the configuration is part of the result.
    pub applied: bool,
}

/// A full pass over the devices of a hub that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullPassRow {
    pub epoch: i64,
    /// The last device that was looked at; empty at first.
    pub cursor: String,
    pub scope: PassScope,
}

/// Which devices a full pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassScope {
    EdgeDevices,
    AllDevices,
}

/// What changed of an identity, as far as configurations may follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetingChange {
    /// A device that is no Edge device, its reported properties aside.
    Device,
    /// An Edge device or a module, its reported properties aside.
    EdgeDeviceOrModule,
    ReportedOfDevice,
    ReportedOfEdgeDevice,
    ReportedOfModule,
}

/// Which desired properties of a device or module came from configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRow {
    /// `None` for the device itself.
    pub module_id: Option<ModuleId>,
    /// JSON.
    pub document: String,
}
