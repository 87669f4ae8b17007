//! Modules of a hub's registry.

use std::sync::Arc;

use ids::{DeviceId, HubName, Identity, ModuleId, Timestamp};
use store::{IdentityKey, IdentityRow, Lock, StoreError, TargetingChange, Tx, Unit, View, unit};
use wire::service_api::identity::{Authentication, AuthenticationRequest, ModuleRequest};

use super::Registry;
use super::act::Act;
use super::devices::existing_device;
use super::hub_events;
use super::new_identity::{NewIdentity, Seeds, complete};
use super::twins::{follow, replace_twin_within};
use super::watchers::Watchers;
use crate::change::Change;
use crate::etag;
use crate::identity::{IdentityError, ModuleRecord};
use crate::limits::MAX_MODULES;
use crate::precondition::{IfMatch, PutDecision};
use crate::rows::{self, lock, set_authentication};
use crate::twin::CheckedReplacement;

/// Why an identity is not there: of a module, the device may be missing.
pub(super) fn not_found(view: &View<'_>, key: IdentityKey<'_>) -> IdentityError {
    let device = key.device_id;
    match (existing_device(view, key.hub, device), key.module_id) {
        (Ok(_), Some(module)) => IdentityError::ModuleNotFound(device.clone(), module.clone()),
        (Ok(_), None) => IdentityError::DeviceNotFound(device.clone()),
        (Err(error), _) => error,
    }
}

impl Registry {
    /// Creates or changes a module. A module created without `authentication` gets keys.
    /// Returns the record and whether it was created.
    #[expect(
        clippy::too_many_arguments,
        reason = "hub, device and module name it here as in its neighbours"
    )]
    pub async fn put_module(
        &self,
        hub: &HubName,
        device: &DeviceId,
        module: &ModuleId,
        request: ModuleRequest,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(ModuleRecord, bool), IdentityError> {
        let identity = Identity::module(hub.clone(), device.clone(), module.clone());
        self.put_module_with_twin((identity, module), request, (if_match, None), now)
            .await
    }

    /// The same, and replaces tags and desired properties that are given.
    pub(super) async fn put_module_with_twin(
        &self,
        (identity, module): (Identity, &ModuleId),
        request: ModuleRequest,
        (if_match, twin): (&IfMatch, Option<CheckedReplacement>),
        now: Timestamp,
    ) -> Result<(ModuleRecord, bool), IdentityError> {
        let target = format!("{}/{identity}", identity.hub);
        let entropy = &*self.inner.entropy;
        let authentication = request.authentication.clone();
        let authentication = authentication.map(|given| complete(given, entropy));
        let keys = AuthenticationRequest::Sas {
            primary: None,
            secondary: None,
        };
        let default_keys = match authentication {
            Some(_) => None,
            None => Some(complete(keys, entropy)),
        };
        let put = PutModule {
            identity,
            module: module.clone(),
            request,
            if_match: if_match.clone(),
            twin,
            seeds: Seeds::new(&*self.inner.entropy),
            authentication,
            default_keys,
            watchers: self.inner.watchers.clone(),
            now,
        };
        self.act(Act::PutModule, target, put).await
    }

    pub async fn module(
        &self,
        hub: &HubName,
        device: &DeviceId,
        module: &ModuleId,
    ) -> Result<ModuleRecord, IdentityError> {
        self.inner.store.read(|view| {
            let key = IdentityKey {
                hub,
                device_id: device,
                module_id: Some(module),
            };
            let row = view.identity(key)?;
            let row = row.ok_or_else(|| not_found(view, key))?;
            Ok(rows::module(view, row)?)
        })
    }

    /// Deletes a module with its twin. `$edgeAgent` and `$edgeHub` are refused.
    pub async fn delete_module(
        &self,
        hub: &HubName,
        device: &DeviceId,
        module: &ModuleId,
        if_match: &IfMatch,
    ) -> Result<(), IdentityError> {
        let target = format!("{hub}/{device}/{module}");
        let identity = Identity::module(hub.clone(), device.clone(), module.clone());
        let (module, if_match, watchers) = (
            module.clone(),
            if_match.clone(),
            self.inner.watchers.clone(),
        );
        let delete = unit(
            identity,
            |identity| vec![lock(identity)],
            move |identity, view| {
                let key = IdentityKey::from(identity);
                let revision = view.identity_revision(key)?;
                let revision = revision.ok_or_else(|| not_found(view, key))?;
                if module.is_system() {
                    let text = format!("{module} goes only with its device");
                    return Err(IdentityError::Invalid(text));
                }
                match if_match.allows(&etag::of_revision(revision)) {
                    true => Ok(revision),
                    false => Err(IdentityError::PreconditionFailed(identity.clone())),
                }
            },
            move |identity, tx, revision| {
                hub_events::identity_deleted(tx, &watchers, identity.into())?;
                tx.delete_module(identity.into(), revision)?;
                let identity = identity.clone();
                // A deployment that names the module makes it again.
                follow(
                    tx,
                    &watchers,
                    &identity,
                    TargetingChange::EdgeDeviceOrModule,
                )?;
                watchers.tell(tx, Change::Gone { identity });
                Ok(())
            },
        );
        self.act(Act::DeleteModule, target, delete).await
    }

    /// All modules of a device (at most [`MAX_MODULES`] and the two system modules), by id.
    pub async fn list_modules(
        &self,
        hub: &HubName,
        device: &DeviceId,
    ) -> Result<Vec<ModuleRecord>, IdentityError> {
        self.inner.store.read(|view| {
            existing_device(view, hub, device)?;
            let found = view.modules(hub, device)?;
            let modules = found.into_iter().map(|row| rows::module(view, row));
            Ok(modules.collect::<Result<_, _>>()?)
        })
    }
}

/// One PUT of a module on the writer's thread.
struct PutModule {
    identity: Identity,
    module: ModuleId,
    request: ModuleRequest,
    if_match: IfMatch,
    /// What its twin begins with, or gets instead of what it has.
    twin: Option<CheckedReplacement>,
    seeds: Seeds,
    /// What was asked for.
    authentication: Option<Authentication>,
    /// For a module that is created without asking for anything.
    default_keys: Option<Authentication>,
    watchers: Arc<Watchers>,
    now: Timestamp,
}

impl Unit for PutModule {
    /// What is there; `None` when it is to be made.
    type Plan = Option<IdentityRow>;
    type Output = (ModuleRecord, bool);
    type Error = IdentityError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.identity)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IdentityError> {
        let identity = &self.identity;
        let (hub, device) = (&identity.hub, &identity.device);
        existing_device(view, hub, device)?;
        let stored = view.identity(identity.into())?;
        let stored_etag = stored.as_ref().map(|row| etag::of_revision(row.revision));
        match (self.if_match.decide_put(stored_etag.as_ref()), stored) {
            (PutDecision::Create, _) => {
                require_may_create(view, identity, &self.module)?;
                Ok(None)
            }
            (PutDecision::Replace, Some(stored)) => Ok(Some(stored)),
            (PutDecision::Conflict, _) => Err(IdentityError::Exists(identity.clone())),
            (_, Some(_)) => Err(IdentityError::PreconditionFailed(identity.clone())),
            (_, None) => {
                let module = self.module.clone();
                Err(IdentityError::ModuleNotFound(device.clone(), module))
            }
        }
    }

    fn apply(&self, tx: &Tx<'_>, stored: Self::Plan) -> Result<(ModuleRecord, bool), StoreError> {
        let (row, created) = match stored {
            None => (self.create(tx)?, true),
            Some(stored) => (self.update(tx, stored)?, false),
        };
        if let Some(twin) = &self.twin {
            replace_twin_within(tx, &self.watchers, &self.identity, twin, self.now)?;
        }
        if created || self.twin.is_some() {
            let change = TargetingChange::EdgeDeviceOrModule;
            follow(tx, &self.watchers, &self.identity, change)?;
        }
        Ok((rows::module(tx, row)?, created))
    }
}

impl PutModule {
    fn create(&self, tx: &Tx<'_>) -> Result<IdentityRow, StoreError> {
        let new = NewIdentity {
            key: (&self.identity).into(),
            now: self.now,
        };
        let mut row = new.row(&self.seeds, 0);
        row.managed_by.clone_from(&self.request.managed_by);
        if let Some(authentication) = self.authentication.as_ref().or(self.default_keys.as_ref()) {
            set_authentication(&mut row, authentication);
        }
        tx.insert_identity(&row, &new.twin())?;
        hub_events::identity_created(tx, &self.watchers, row.key())?;
        Ok(row)
    }

    fn update(&self, tx: &Tx<'_>, mut row: IdentityRow) -> Result<IdentityRow, StoreError> {
        if let Some(authentication) = &self.authentication {
            let before = rows::authentication(tx, &row)?;
            set_authentication(&mut row, authentication);
            if before != *authentication {
                let identity = self.identity.clone();
                self.watchers
                    .tell(tx, Change::CredentialsChanged { identity });
            }
        }
        row.managed_by = self.request.managed_by.clone().or(row.managed_by);
        row.revision += 1;
        tx.update_identity(&row)?;
        Ok(row)
    }
}

fn require_may_create(
    view: &View<'_>,
    identity: &Identity,
    module: &ModuleId,
) -> Result<(), IdentityError> {
    if module.is_system() {
        let text = format!(
            "{module} is reserved; IoT Edge devices have $edgeAgent and $edgeHub from the start"
        );
        return Err(IdentityError::Invalid(text));
    }
    let modules = view.count_modules(&identity.hub, &identity.device)?;
    match usize::try_from(modules) {
        Ok(modules) if modules < MAX_MODULES => Ok(()),
        _ => Err(IdentityError::TooManyModules(identity.device.clone())),
    }
}
