//! One item of a bulk request or of an import.

use ids::{HubName, Identity, Timestamp};
use wire::service_api::import_device::{ImportDevice, ImportMode};

use super::Registry;
use crate::identity::IdentityError;
use crate::precondition::IfMatch;
use crate::twin::{CheckedReplacement, TwinError, TwinPatch, TwinReplacement};

/// Why an item was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Twin(#[from] TwinError),
}

impl Registry {
    /// Carries an item out, in one transaction.
    pub async fn import(
        &self,
        hub: &HubName,
        item: ImportDevice,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let identity = Identity {
            hub: hub.clone(),
            device: item.device.clone(),
            module: item.module.clone(),
        };
        let etag = item.etag.clone();
        let exactly = || etag.clone().map_or(IfMatch::Any, IfMatch::Exactly);
        let if_match = match item.mode {
            ImportMode::Create => IfMatch::Absent,
            ImportMode::CreateOrUpdate => IfMatch::AnyOrAbsent,
            ImportMode::CreateOrUpdateIfMatchEtag => etag
                .clone()
                .map_or(IfMatch::AnyOrAbsent, IfMatch::ExactlyOrAbsent),
            ImportMode::Update | ImportMode::Delete | ImportMode::UpdateTwin => IfMatch::Any,
            ImportMode::UpdateIfMatchEtag | ImportMode::DeleteIfMatchEtag => exactly(),
            ImportMode::UpdateTwinIfMatchEtag => item
                .twin_etag
                .clone()
                .map_or(IfMatch::Any, IfMatch::Exactly),
        };
        match item.mode {
            ImportMode::Delete | ImportMode::DeleteIfMatchEtag => {
                self.delete_imported(&identity, &if_match).await
            }
            ImportMode::UpdateTwin | ImportMode::UpdateTwinIfMatchEtag => {
                let patch = TwinPatch {
                    tags: item.twin.tags,
                    desired: item.twin.desired,
                };
                self.patch_twin(&identity, patch, &if_match, now).await?;
                Ok(())
            }
            _ => self.put_imported(identity, item, &if_match, now).await,
        }
    }

    async fn delete_imported(
        &self,
        identity: &Identity,
        if_match: &IfMatch,
    ) -> Result<(), ImportError> {
        let (hub, device) = (&identity.hub, &identity.device);
        match &identity.module {
            None => self.delete_device(hub, device, if_match).await?,
            Some(module) => self.delete_module(hub, device, module, if_match).await?,
        }
        Ok(())
    }

    async fn put_imported(
        &self,
        identity: Identity,
        item: ImportDevice,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let twin = replacement(&item)?;
        match identity.module.clone() {
            None => {
                let put = (if_match, twin);
                self.put_device_with_twin(identity, item.identity, put, now)
                    .await?;
            }
            Some(module) => {
                let request = item.module_request();
                let put = (if_match, twin);
                self.put_module_with_twin((identity, &module), request, put, now)
                    .await?;
            }
        }
        Ok(())
    }
}

/// The twin that an item brings; `None` leaves the stored one as it is.
fn replacement(item: &ImportDevice) -> Result<Option<CheckedReplacement>, TwinError> {
    if item.twin.tags.is_none() && item.twin.desired.is_none() {
        return Ok(None);
    }
    let replacement = TwinReplacement {
        tags: item.twin.tags.clone(),
        desired: item.twin.desired.clone(),
    };
    replacement.checked().map(Some)
}
