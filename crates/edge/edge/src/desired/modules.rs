//! The modules of a deployment, each with its container. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ids::{GenerationId, ModuleId};
use serde_json::json;
use wire::edge_api::manifest::{AgentDesired, ModuleSettings};

use super::container::{DeviceContext, ModuleInstance, container, digest_of};
use super::registry_credential;
use crate::runtime::ContainerSpec;

/// A module as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredModule {
    pub settings: ModuleSettings,
    /// Its container; `None` until the hub has issued its identity.
    pub spec: Option<ContainerSpec>,
    /// A digest of everything that the creation of the container depends on. After a failure, a
    /// change of it is a reason to try again at once.
    pub attempt: String,
}

/// All modules that should be on the device.
pub type DesiredModules = BTreeMap<ModuleId, DesiredModule>;

/// The deployment that the agent follows.
#[derive(Debug, Clone)]
pub struct Target {
    pub manifest: Arc<AgentDesired>,
    /// The version of the desired properties.
    pub version: u64,
    pub modules: DesiredModules,
}

/// The modules of a deployment on one device.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    pub manifest: &'a AgentDesired,
    /// `None` before the first registration.
    pub context: Option<&'a DeviceContext>,
    /// The modules that have an identity on the hub.
    pub identities: &'a BTreeMap<ModuleId, GenerationId>,
}

impl Deployment<'_> {
    /// Makes the containers. `folder_of` gives the folder of a module's workload socket.
    #[must_use]
    pub fn modules(self, folder_of: impl Fn(&ModuleId) -> PathBuf) -> DesiredModules {
        let modules = self.manifest.modules.iter().map(|(module, settings)| {
            let identity = self.context.zip(self.identities.get(module));
            let spec = identity.map(|(context, generation)| {
                let instance = ModuleInstance {
                    module,
                    settings,
                    generation,
                    folder: &folder_of(module),
                };
                container(context, &instance)
            });
            let desired = DesiredModule {
                attempt: self.attempt(settings, spec.as_ref()),
                settings: settings.clone(),
                spec,
            };
            (module.clone(), desired)
        });
        modules.collect()
    }

    fn attempt(self, settings: &ModuleSettings, spec: Option<&ContainerSpec>) -> String {
        let digest = spec.map(|spec| &spec.digest);
        let credential = registry_credential::find(self.manifest, &settings.image_reference());
        let credential = credential.map(|(_, c)| [&c.address, &c.username, &c.password]);
        digest_of(&json!([digest, settings.pull_policy, credential]))
    }
}
