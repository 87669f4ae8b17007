//! Registration records: read, listed, deleted. The steps of a registration are in
//! files of their own.

use ids::{EnrollmentId, RegistrationId, Timestamp};
use registry::{Continuation, IfMatch, Page, PageRequest, StorageError};
use store::{Lock, StoreError, Tx, Unit, View};

use super::Provisioning;
use super::act::Act;
use super::damaged::readable;
use crate::registration::{RegistrationError, RegistrationRecord};

mod assign;
mod decide;
mod end_pending;
mod failure;
mod locations;
mod notes;
mod pending;
mod placement;
mod rows;

pub(super) use end_pending::EndPending;
pub(super) use failure::DisablePlan;
pub use pending::{Busy, PendingHandle};
pub use placement::{CompletedPlacement, MovedData, PlacementOutcome};

use rows::record;

impl Provisioning {
    pub async fn registration(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<RegistrationRecord>, StorageError> {
        let service = self.service();
        self.registry.store().read(|view| {
            let row = view.registration(service.id_scope.as_str(), id)?;
            let record = row.map(|row| record(view, row, &service));
            Ok(record.transpose()?)
        })
    }

    /// Deletes a record; the hub device stays. The next registration is a first one.
    pub async fn delete_registration(
        &self,
        id: &RegistrationId,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), RegistrationError> {
        let delete = DeleteRegistration {
            id_scope: self.id_scope(),
            id: id.clone(),
            if_match: if_match.clone(),
            now,
        };
        self.act(Act::DeleteRegistration, id, delete).await
    }

    /// Lists the records of a group in the order in which they were made. One that is damaged is
    /// logged and left out.
    pub async fn list_registrations(
        &self,
        group: &EnrollmentId,
        page: &PageRequest,
    ) -> Result<Page<RegistrationRecord>, StorageError> {
        let (service, group) = (self.service(), group.clone());
        let after = match page.key() {
            "" => 0,
            // After a place that no listing of this kind has handed out there is nothing.
            place => place.parse().unwrap_or(i64::MAX),
        };
        let limit = page.limit();
        let scan = move |view: &View<'_>| {
            let found =
                view.registrations_after(service.id_scope.as_str(), &group, after, limit)?;
            let records = found
                .rows
                .into_iter()
                .map(|listed| {
                    let row = listed.row.map_err(StorageError::from);
                    let record = row.and_then(|row| Ok(record(view, row, &service)?));
                    Ok((listed.id, readable("a registration", &listed.key, record)?))
                })
                .collect::<Result<Vec<_>, StorageError>>()?;
            Ok::<_, StorageError>((records, found.more))
        };
        let (items, more) = self.registry.store().scan(scan).await?;
        let page = Page::of(items, more, |(id, _)| Continuation::after(&id.to_string()));
        Ok(page.keep(|(_, item)| item))
    }
}

struct DeleteRegistration {
    id_scope: String,
    id: RegistrationId,
    if_match: IfMatch,
    now: Timestamp,
}

impl Unit for DeleteRegistration {
    type Plan = Option<EndPending>;
    type Output = ();
    type Error = RegistrationError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let (id_scope, folded) = (&self.id_scope, self.id.folded());
        vec![Lock::Registration { id_scope, folded }]
    }

    fn locks_of_plan<'a>(&'a self, end: &'a Self::Plan) -> Vec<Lock<'a>> {
        end.iter().flat_map(EndPending::locks).collect()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, RegistrationError> {
        let Self { id_scope, id, .. } = self;
        let Some(etag) = view.registration_etag(id_scope, id)? else {
            return Err(RegistrationError::NotFound(id.clone()));
        };
        if !self.if_match.allows(&etag) {
            return Err(RegistrationError::PreconditionFailed(id.clone()));
        }
        if view.has_block(id_scope, id)? {
            return Err(RegistrationError::Blocked(id.clone()));
        }
        Ok(EndPending::decide(view, id_scope, id, None)?)
    }

    fn apply(&self, tx: &Tx<'_>, end: Self::Plan) -> Result<(), StoreError> {
        if let Some(end) = end {
            end.apply(tx, self.now)?;
        }
        tx.delete_registration(&self.id_scope, &self.id)?;
        Ok(())
    }
}
