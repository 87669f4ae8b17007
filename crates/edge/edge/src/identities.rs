//! Module identities on the hub: created for the modules of a deployment, with keys that the device
//! derives, and removed together with their modules.

pub mod master_key;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use device::{ModuleError, ModuleIdentities};
use ids::{DeviceId, GenerationId, ModuleId};
use serde::{Deserialize, Serialize};
use wire::service_api::device_view::{DeviceModule, DeviceModuleRequest};

use crate::files::durable::{self, DurableError};
use crate::identities::master_key::{KeysError, MasterKey};
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
    #[error("no key can be derived for module {module}")]
    Key { module: ModuleId, source: KeysError },
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
    /// Reads the record of one hub. Each hub has its own, in a file beside `path`, so that a hub
    /// that has not accepted the device yet takes nothing from the one that has.
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
        let own = path_of(path, location);
        let kept = match read(&own)? {
            Some(kept) => Some(kept),
            // Earlier versions had one file for all hubs.
            None => read(path)?,
        };
        let record = kept
            .filter(|kept| kept.location == *location && kept.master_key == master.id())
            .unwrap_or(empty);
        Ok(Self { path: own, record })
    }

    /// Removes the records of other hubs than that of `location`, which has accepted the device.
    pub fn forget_others(path: &Path, location: &DeviceLocation) {
        let own = path_of(path, location);
        let start = format!(
            "{}-",
            path.file_stem().unwrap_or_default().to_string_lossy()
        );
        let folder = path.parent().unwrap_or(Path::new("/"));
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_record = entry.file_name().to_string_lossy().starts_with(&start);
            if is_record && entry.path() != own && fs::remove_file(entry.path()).is_ok() {
                tracing::debug!(path = %entry.path().display(), "of a hub of the past; removed");
            }
        }
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

fn read(path: &Path) -> Result<Option<Record>, DurableError> {
    match durable::read_json::<Record>(path) {
        Err(DurableError::Damaged { path, source }) => {
            tracing::warn!(
                path = %path.display(),
                error = %source,
                "the record of module identities is damaged; asking the hub"
            );
            Ok(None)
        }
        other => other,
    }
}

/// `modules-1a2b3c4d5e6f7a8b.json` beside `modules.json`.
fn path_of(path: &Path, location: &DeviceLocation) -> PathBuf {
    let DeviceLocation { hub, device_id } = location;
    let digest = digest(&SHA256, format!("{hub}\n{device_id}").as_bytes());
    let short = digest.as_ref().iter().take(8);
    let short = short.fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{short}.json"))
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
    let keys = master.key_texts(module, &generation).await;
    let keys = keys.map_err(|source| IdentityError::Key {
        module: module.clone(),
        source,
    })?;
    hub.put(&request(Some(keys)), true).await.map_err(failed)?;
    Ok(generation)
}
