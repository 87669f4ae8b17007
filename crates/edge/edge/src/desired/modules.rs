//! The modules of a deployment, each with its container. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ids::{GenerationId, ModuleId};
use serde_json::json;
use wire::edge_api::manifest::{AgentDesired, ModuleSettings};

use super::agent_options::AgentOptions;
use super::container::{DeviceContext, ModuleInstance, container, digest_of};
use super::{Rejected, registry_credential};
use crate::runtime::ContainerSpec;

/// A module as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredModule {
    pub settings: ModuleSettings,
    /// Its container.
    pub spec: Result<ContainerSpec, NoSpec>,
    /// A digest of everything that the creation of the container depends on. After a failure, a
    /// change of it is a reason to try again at once.
    pub attempt: String,
}

/// Why a module has no container to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSpec {
    /// The hub has not issued its identity yet.
    Identity,
    /// Its createOptions cannot be used.
    Faulty(String),
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
    pub options: AgentOptions,
    /// Later desired properties, which cannot be followed.
    pub rejected: Option<Rejected>,
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
            let spec = self.spec(module, settings, &folder_of);
            let desired = DesiredModule {
                attempt: self.attempt(settings, &spec),
                settings: settings.clone(),
                spec,
            };
            (module.clone(), desired)
        });
        modules.collect()
    }

    fn spec(
        self,
        module: &ModuleId,
        settings: &ModuleSettings,
        folder_of: impl Fn(&ModuleId) -> PathBuf,
    ) -> Result<ContainerSpec, NoSpec> {
        let options = settings.create_options.as_ref();
        let options = options.map_err(|fault| NoSpec::Faulty(fault.to_string()))?;
        let identity = self.context.zip(self.identities.get(module));
        let (context, generation) = identity.ok_or(NoSpec::Identity)?;
        let instance = ModuleInstance {
            module,
            settings,
            options,
            generation,
            folder: &folder_of(module),
        };
        Ok(container(context, &instance))
    }

    fn attempt(self, settings: &ModuleSettings, spec: &Result<ContainerSpec, NoSpec>) -> String {
        let digest = spec.as_ref().ok().map(|spec| &spec.digest);
        let credential = registry_credential::find(self.manifest, &settings.image_reference());
        let credential = credential.map(|(_, c)| [&c.address, &c.username, &c.password]);
        digest_of(&json!([digest, settings.pull_policy, credential]))
    }
}
