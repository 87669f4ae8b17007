//! Module identities on the hub: created for the modules of a deployment, with keys that the device
//! derives, and removed together with their modules.

pub mod master_key;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use device::{ModuleError, ModuleIdentities};
use ids::{DeviceId, GenerationId, ModuleId};
use serde::{Deserialize, Serialize};
use wire::service_api::device_view::{DeviceModule, DeviceModuleRequest};

use crate::files::durable::{self, DurableError};
use crate::identities::master_key::MasterKey;
use crate::provision::assignment::DeviceLocation;

const MANAGED_BY: &str = "IotEdge";

/// Why the identities could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    List(ModuleError),
    #[error("the identity of module {module} could not be set up")]
    Hub { module: String, source: ModuleError },
    #[error("the record of module identities cannot be kept")]
    Record(#[from] DurableError),
    /// A bug: a derived key always has the same length.
    #[error("no key can be derived for module {0}")]
    Key(ModuleId),
}

/// The file: modules can be created and can sign without the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "home")]
    location: DeviceLocation,
    master_key: String,
    modules: BTreeMap<ModuleId, GenerationId>,
}

/// The identities that are set up, as kept on disk for one hub and one master key. With another hub
/// or key the record starts empty.
#[derive(Debug)]
pub struct Identities {
    path: PathBuf,
    record: Record,
}

impl Identities {
    pub fn load(
        path: &Path,
        location: &DeviceLocation,
        master: &MasterKey,
    ) -> Result<Self, DurableError> {
        let empty = Record {
            location: location.clone(),
            master_key: master.id().to_owned(),
            modules: BTreeMap::new(),
        };
        let kept = match durable::read_json::<Record>(path) {
            Err(DurableError::Damaged { path, source }) => {
                tracing::warn!(
                    path = %path.display(),
                    error = %source,
                    "the record of module identities is damaged; asking the hub"
                );
                None
            }
            other => other?,
        };
        let record = kept
            .filter(|kept| kept.location == *location && kept.master_key == master.id())
            .unwrap_or(empty);
        Ok(Self {
            path: path.to_owned(),
            record,
        })
    }

    /// The identities that are set up.
    #[must_use]
    pub fn modules(&self) -> &BTreeMap<ModuleId, GenerationId> {
        &self.record.modules
    }

    /// Makes the identities on the hub those of `needed`. With `renew_keys`, the keys of
    /// all are written again.
    ///
    /// Only identities that this device has set up are removed. The hub may have others already,
    /// for a deployment that has not reached the device yet.
    pub async fn sync(
        &mut self,
        hub: &ModuleIdentities,
        master: &MasterKey,
        needed: &BTreeSet<ModuleId>,
        renew_keys: bool,
    ) -> Result<(), IdentityError> {
        let listed = hub.list().await.map_err(IdentityError::List)?;
        let on_hub: BTreeMap<ModuleId, DeviceModule> = listed
            .into_iter()
            .map(|m| (m.module_id.clone(), m))
            .collect();
        for module in needed {
            let known = on_hub.get(module).map(|m| &m.generation_id);
            if !renew_keys && known.is_some() && known == self.record.modules.get(module) {
                continue;
            }
            let device = &self.record.location.device_id;
            let generation = set_up(hub, master, device, module, known.cloned()).await?;
            tracing::info!(module.id = %module, "the module's identity is set up");
            self.record.modules.insert(module.clone(), generation);
            durable::write_json(&self.path, &self.record)?;
        }
        let gone: Vec<ModuleId> = self
            .record
            .modules
            .keys()
            .filter(|m| !needed.contains(m))
            .cloned()
            .collect();
        for module in gone {
            let ours = on_hub.get(&module).and_then(|m| m.managed_by.as_deref());
            if !module.is_system() && ours.is_some_and(|by| by.eq_ignore_ascii_case(MANAGED_BY)) {
                hub.delete(&module)
                    .await
                    .map_err(|source| IdentityError::Hub {
                        module: module.to_string(),
                        source,
                    })?;
                tracing::info!(module.id = %module, "the module's identity is removed");
            }
            self.record.modules.remove(&module);
            durable::write_json(&self.path, &self.record)?;
        }
        Ok(())
    }
}

async fn set_up(
    hub: &ModuleIdentities,
    master: &MasterKey,
    device: &DeviceId,
    module: &ModuleId,
    known: Option<GenerationId>,
) -> Result<GenerationId, IdentityError> {
    let failed = |source| IdentityError::Hub {
        module: module.to_string(),
        source,
    };
    let managed_by = (!module.is_system()).then(|| MANAGED_BY.to_owned());
    let request = |keys| DeviceModuleRequest {
        module: module.clone(),
        device: device.clone(),
        managed_by: managed_by.clone(),
        keys,
    };
    let generation = match known {
        Some(generation) => generation,
        // Keys are derived from the generation, and only the hub issues generations.
        None => match hub.put(&request(None), false).await {
            Ok(created) => created.generation_id,
            // A deployment on the hub has just created the identity.
            Err(conflict @ ModuleError::Refused { status: 409, .. }) => {
                let existing = hub.get(module).await.map_err(failed)?;
                existing.ok_or_else(|| failed(conflict))?.generation_id
            }
            Err(error) => return Err(failed(error)),
        },
    };
    let keys = master
        .key_texts(module, &generation)
        .ok_or_else(|| IdentityError::Key(module.clone()))?;
    hub.put(&request(Some(keys)), true).await.map_err(failed)?;
    Ok(generation)
}
