//! Content that is applied to one device, once.

use ids::{DeviceId, HubName, Timestamp};
use serde_json::Value;
use store::{Lock, TargetingChange, unit};

use super::{Stored, Target, plan};
use crate::change::Change;
use crate::deployment::ConfigurationError;
use crate::registry::Registry;
use crate::registry::act::Act;
use crate::registry::new_identity::Seeds;
use crate::resolve::{self, Content};

impl Registry {
    /// `applyConfigurationContent`: writes `modulesContent` to one Edge device, once. A deployment
    /// that targets the device takes it back at the next evaluation.
    pub async fn apply_content(
        &self,
        hub: &HubName,
        device: &DeviceId,
        content: &Value,
        now: Timestamp,
    ) -> Result<(), ConfigurationError> {
        let modules = resolve::alone(&Content::parse(&content["modulesContent"])?);
        let (hub, device) = (hub.clone(), device.clone());
        let watchers = self.inner.watchers.clone();
        let seeds = self.module_seeds();
        let target = format!("{hub}/{device}");
        let apply = unit(
            (hub, device),
            |(hub, device)| vec![Lock::device(hub, device)],
            move |(hub, device), view| {
                let stored = Stored::read(view, hub, device)?;
                let stored = stored.ok_or_else(|| ConfigurationError::NoDevice(device.clone()))?;
                if !stored.is_edge() {
                    return Err(ConfigurationError::NoEdgeDevice(device.clone()));
                }
                let plan = plan(view, &stored, Some(modules.clone()), None, now)?;
                Ok((stored, plan))
            },
            move |(hub, device), tx, (stored, plan)| {
                let target = Target {
                    tx,
                    stored: &stored,
                    watchers: &watchers,
                    now,
                };
                target.write(&plan, &seeds)?;
                let follows = TargetingChange::EdgeDeviceOrModule;
                if tx.targeting_follows(hub, follows)? {
                    tx.queue_device(hub, device)?;
                    watchers.tell(tx, Change::Targeting { hub: hub.clone() });
                }
                Ok(())
            },
        );
        self.act(Act::ApplyConfiguration, target, apply).await
    }

    /// Randomness for as many modules as a deployment may make.
    pub(crate) fn module_seeds(&self) -> Vec<Seeds> {
        (0..crate::limits::MAX_MODULES)
            .map(|_| Seeds::new(&*self.inner.entropy))
            .collect()
    }
}
