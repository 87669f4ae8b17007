//! Devices of a hub's registry.

use ids::{DeviceId, HubName, Identity, Timestamp};
use store::{IdentityKey, IdentityRow, Lock, StoreError, TargetingChange, Tx, Unit, View, unit};
use wire::service_api::identity::{
    Authentication, AuthenticationRequest, DeviceRequest, RegistryStatistics, Status,
};

use std::sync::Arc;

use super::Registry;
use super::act::Act;
use super::hub_events;
use super::new_identity::{NewIdentity, Seeds, complete, edge_scope, insert_system_modules};
use super::twins::{follow, replace_twin_within};
use super::unreadable::Whose;
use super::watchers::Watchers;
use crate::change::Change;
use crate::error::StorageError;
use crate::etag;
use crate::identity::{Credentials, DeviceRecord, IdentityError};
use crate::page::{Continuation, Page, PageRequest};
use crate::precondition::{IfMatch, PutDecision};
use crate::rows::{self, lock, scopes_text, set_authentication};
use crate::twin::CheckedReplacement;

/// The revision of a device that must exist.
pub(crate) fn existing_device(
    view: &View<'_>,
    hub: &HubName,
    device: &DeviceId,
) -> Result<i64, IdentityError> {
    view.identity_revision(IdentityKey::device(hub, device))?
        .ok_or_else(|| IdentityError::DeviceNotFound(device.clone()))
}

impl Registry {
    /// Creates or changes a device. Members absent in `request` keep what is stored; a device
    /// created without `authentication` gets keys. An IoT Edge device gets `$edgeAgent`, `$edgeHub`
    /// and its `deviceScope`. Returns the record and whether it was created.
    pub async fn put_device(
        &self,
        hub: &HubName,
        device: &DeviceId,
        request: DeviceRequest,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(DeviceRecord, bool), IdentityError> {
        let identity = Identity::device(hub.clone(), device.clone());
        self.put_device_with_twin(identity, request, (if_match, None), now)
            .await
    }

    /// The same, and replaces tags and desired properties that are given.
    pub(super) async fn put_device_with_twin(
        &self,
        identity: Identity,
        request: DeviceRequest,
        (if_match, twin): (&IfMatch, Option<CheckedReplacement>),
        now: Timestamp,
    ) -> Result<(DeviceRecord, bool), IdentityError> {
        let target = format!("{}/{identity}", identity.hub);
        let put = PutDevice {
            identity,
            twin,
            authentication: request
                .authentication
                .clone()
                .map(|given| complete(given, &*self.inner.entropy)),
            default_keys: request.authentication.is_none().then(|| {
                complete(
                    AuthenticationRequest::Sas {
                        primary: None,
                        secondary: None,
                    },
                    &*self.inner.entropy,
                )
            }),
            request,
            if_match: if_match.clone(),
            seeds: Seeds::new(&*self.inner.entropy),
            watchers: self.inner.watchers.clone(),
            now,
        };
        self.act(Act::PutDevice, target, put).await
    }

    pub async fn device(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<DeviceRecord, IdentityError> {
        self.inner.store.read(|view| {
            let row = view.identity(IdentityKey::device(hub, device))?;
            let row = row.ok_or_else(|| IdentityError::DeviceNotFound(device.clone()))?;
            Ok(rows::device(view, row)?)
        })
    }

    /// Deletes a device with its modules and twins. Its registration record stays.
    pub async fn delete_device(
        &self,
        hub: &HubName,
        device: &DeviceId,
        if_match: &IfMatch,
    ) -> Result<(), IdentityError> {
        let target = format!("{hub}/{device}");
        let identity = Identity::device(hub.clone(), device.clone());
        let (if_match, watchers) = (if_match.clone(), self.inner.watchers.clone());
        let delete = unit(
            identity,
            |identity| vec![lock(identity)],
            move |identity, view| {
                let revision = existing_device(view, &identity.hub, &identity.device)?;
                match if_match.allows(&etag::of_revision(revision)) {
                    true => Ok(()),
                    false => Err(IdentityError::PreconditionFailed(identity.clone())),
                }
            },
            move |identity, tx, ()| {
                hub_events::identity_deleted(tx, &watchers, identity.into())?;
                tx.delete_device(&identity.hub, &identity.device)?;
                let identity = identity.clone();
                watchers.tell(tx, Change::Gone { identity });
                Ok(())
            },
        );
        self.act(Act::DeleteDevice, target, delete).await
    }

    /// Lists devices by id. One that cannot be read is left out, and the log says so.
    pub async fn list_devices(
        &self,
        hub: &HubName,
        page: &PageRequest,
    ) -> Result<Page<DeviceRecord>, StorageError> {
        let (hub, after, limit) = (hub.clone(), page.key().to_owned(), page.limit());
        let unlisted = self.inner.unlisted.clone();
        let scan = move |view: &View<'_>| {
            let found = view.devices_after(&hub, &after, limit + 1)?;
            let page = Page::cut(found, limit, |row| Continuation::after(&row.device_id));
            Ok::<_, StorageError>(page.keep(|listed| {
                let whose = Whose::device(&hub, &listed.device_id);
                let record = listed.row.and_then(|row| rows::device(view, row));
                unlisted.kept(whose, record)
            }))
        };
        self.inner.store.scan(scan).await
    }

    /// How many devices a hub has.
    pub fn statistics(&self, hub: &HubName) -> Result<RegistryStatistics, StorageError> {
        let count = |view: &View<'_>| Ok::<_, StorageError>(view.identity_counts(hub)?);
        let counts = self.inner.store.read(count)?;
        Ok(RegistryStatistics {
            total: counts.devices,
            enabled: counts.enabled,
            disabled: counts.devices.saturating_sub(counts.enabled),
        })
    }

    /// What a connecting device or module is checked against. `None` when it (or its
    /// device) does not exist.
    pub async fn credentials(
        &self,
        identity: &Identity,
    ) -> Result<Option<Credentials>, StorageError> {
        self.inner.store.read(|view| {
            let Some(row) = view.identity(identity.into())? else {
                return Ok(None);
            };
            let device = match identity.module {
                Some(_) => view.identity(IdentityKey::device(&identity.hub, &identity.device))?,
                None => None,
            };
            Ok(Some(rows::credentials(view, row, device)?))
        })
    }
}

/// One PUT of a device on the writer's thread.
struct PutDevice {
    identity: Identity,
    request: DeviceRequest,
    /// What was asked for.
    authentication: Option<Authentication>,
    /// For a device that is created without asking for anything.
    default_keys: Option<Authentication>,
    if_match: IfMatch,
    /// What its twin begins with, or gets instead of what it has.
    twin: Option<CheckedReplacement>,
    seeds: Seeds,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

impl Unit for PutDevice {
    /// What is there; `None` when it is to be made.
    type Plan = Option<IdentityRow>;
    type Output = (DeviceRecord, bool);
    type Error = IdentityError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.identity)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IdentityError> {
        let identity = &self.identity;
        let stored = view.identity(IdentityKey::device(&identity.hub, &identity.device))?;
        let stored_etag = stored.as_ref().map(|row| etag::of_revision(row.revision));
        match (self.if_match.decide_put(stored_etag.as_ref()), stored) {
            (PutDecision::Create, _) => Ok(None),
            (PutDecision::Replace, Some(stored)) => {
                self.require_kind(&stored)?;
                Ok(Some(stored))
            }
            (PutDecision::Conflict, _) => Err(IdentityError::Exists(identity.clone())),
            (_, Some(_)) => Err(IdentityError::PreconditionFailed(identity.clone())),
            (_, None) => Err(IdentityError::DeviceNotFound(identity.device.clone())),
        }
    }

    fn apply(&self, tx: &Tx<'_>, stored: Self::Plan) -> Result<(DeviceRecord, bool), StoreError> {
        let (row, created) = match stored {
            None => (self.create(tx)?, true),
            Some(stored) => (self.update(tx, stored)?, false),
        };
        if let Some(twin) = &self.twin {
            replace_twin_within(tx, &self.watchers, &self.identity, twin, self.now)?;
        }
        let change = match row.iot_edge {
            true => TargetingChange::EdgeDeviceOrModule,
            false => TargetingChange::Device,
        };
        follow(tx, &self.watchers, &self.identity, change)?;
        Ok((rows::device(tx, row)?, created))
    }
}

impl PutDevice {
    fn require_kind(&self, row: &IdentityRow) -> Result<(), IdentityError> {
        if self.request.iot_edge == Some(false) && row.iot_edge {
            let text = "an IoT Edge device cannot become another kind of device; \
                        delete it and create it again";
            return Err(IdentityError::Invalid(text.to_owned()));
        }
        Ok(())
    }

    fn create(&self, tx: &Tx<'_>) -> Result<IdentityRow, StoreError> {
        let new = NewIdentity {
            key: (&self.identity).into(),
            now: self.now,
        };
        let mut row = new.row(&self.seeds, 0);
        row.enabled = self.request.status != Some(Status::Disabled);
        row.status_reason.clone_from(&self.request.status_reason);
        row.iot_edge = self.request.iot_edge.unwrap_or_default();
        if let Some(authentication) = self.authentication.as_ref().or(self.default_keys.as_ref()) {
            set_authentication(&mut row, authentication);
        }
        if row.iot_edge {
            row.device_scope = Some(new.scope(&self.seeds));
            row.parent_scopes =
                scopes_text(self.request.parent_scopes.as_deref().unwrap_or_default());
        } else {
            self.set_leaf_scope(&mut row);
        }
        tx.insert_identity(&row, &new.twin())?;
        hub_events::identity_created(tx, &self.watchers, row.key())?;
        if row.iot_edge {
            insert_system_modules(tx, &row, &self.seeds, self.now)?;
        }
        Ok(row)
    }

    /// A leaf's scope is its parent's; the parent follows from it. Clients send the parents that
    /// they read beside the scope that they change, also to an empty one.
    fn set_leaf_scope(&self, row: &mut IdentityRow) {
        let scopes = match (&self.request.device_scope, &self.request.parent_scopes) {
            (Some(scope), _) if !scope.is_empty() => std::slice::from_ref(scope),
            (Some(_), _) if row.device_scope.is_some() => &[],
            (_, Some(scopes)) => scopes,
            (_, None) => return,
        };
        row.parent_scopes = scopes_text(scopes);
        row.device_scope = scopes.first().cloned();
    }

    fn update(&self, tx: &Tx<'_>, mut row: IdentityRow) -> Result<IdentityRow, StoreError> {
        let becomes_edge = self.request.iot_edge == Some(true) && !row.iot_edge;
        self.set_status(tx, &mut row);
        if let Some(authentication) = &self.authentication {
            let before = rows::authentication(tx, &row)?;
            set_authentication(&mut row, authentication);
            if before != *authentication {
                self.watchers.tell(
                    tx,
                    Change::CredentialsChanged {
                        identity: self.identity.clone(),
                    },
                );
            }
        }
        if becomes_edge {
            row.iot_edge = true;
            row.device_scope = Some(edge_scope(&row.device_id, &row.generation_id));
            insert_system_modules(tx, &row, &self.seeds, self.now)?;
        }
        match (row.iot_edge, &self.request.parent_scopes) {
            (false, _) => self.set_leaf_scope(&mut row),
            (true, Some(scopes)) => row.parent_scopes = scopes_text(scopes),
            (true, None) => {}
        }
        row.revision += 1;
        tx.update_identity(&row)?;
        Ok(row)
    }

    fn set_status(&self, tx: &Tx<'_>, row: &mut IdentityRow) {
        if let Some(reason) = &self.request.status_reason {
            row.status_reason = Some(reason.clone());
        }
        let enabled = self
            .request
            .status
            .map_or(row.enabled, |status| status == Status::Enabled);
        if enabled != row.enabled {
            row.enabled = enabled;
            row.status_updated = self.now.ticks();
            if !enabled {
                self.watchers.tell(
                    tx,
                    Change::Disabled {
                        identity: self.identity.clone(),
                    },
                );
            }
        }
    }
}
