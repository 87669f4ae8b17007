use std::fmt;

use crate::{DeviceId, HubName, ModuleId};

/// Names a device or a module of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The hub that the device belongs to.
    pub hub: HubName,
    /// The device itself, or the one that the module runs on.
    pub device: DeviceId,
    /// The module, or `None` for the device itself.
    pub module: Option<ModuleId>,
}

impl Identity {
    /// The identity of a device.
    #[must_use]
    pub fn device(hub: HubName, device: DeviceId) -> Self {
        Self {
            hub,
            device,
            module: None,
        }
    }

    /// The identity of a module.
    #[must_use]
    pub fn module(hub: HubName, device: DeviceId, module: ModuleId) -> Self {
        Self {
            hub,
            device,
            module: Some(module),
        }
    }

    /// The device that this is, or belongs to.
    #[must_use]
    pub fn of_device(&self) -> Self {
        Self {
            module: None,
            ..self.clone()
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            Some(module) => write!(f, "{}/{module}", self.device),
            None => self.device.fmt(f),
        }
    }
}
