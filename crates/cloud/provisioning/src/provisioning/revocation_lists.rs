//! Revocation lists of other CAs.

mod content;
mod put;

use ids::{CertificateName, Timestamp};
use pki::Certificate;
use registry::{IfMatch, StorageError};
use store::{Lock, RevocationListRow, StoreError, View, unit};

use super::Provisioning;
use super::act::Act;
use crate::revocation::{RevocationListError, RevocationListRecord};

impl Provisioning {
    pub fn revocation_list(
        &self,
        name: &CertificateName,
    ) -> Result<Option<RevocationListRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.revocation_list(&id_scope, name)?;
            Ok(row.map(|row| record(view, row)).transpose()?)
        })
    }

    /// All lists of the service by name: there are few.
    pub fn revocation_lists(&self) -> Result<Vec<RevocationListRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.revocation_lists(&id_scope)?.into_iter();
            let records: Result<_, StoreError> = found.map(|row| record(view, row)).collect();
            Ok(records?)
        })
    }

    /// Deletes a list. What it alone revokes comes back into force.
    pub async fn delete_revocation_list(
        &self,
        name: &CertificateName,
        if_match: &IfMatch,
    ) -> Result<(), RevocationListError> {
        let (wanted, if_match) = (name.clone(), if_match.clone());
        let (announce, id_scope) = (self.announce(), self.service().id_scope.clone());
        let delete = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = view.revocation_list(id_scope, &wanted)?;
                let row = row.ok_or_else(|| RevocationListError::NotFound(wanted.clone()))?;
                match if_match.allows(&row.etag) {
                    true => Ok(row),
                    false => Err(RevocationListError::PreconditionFailed(wanted.clone())),
                }
            },
            move |scope, tx, row| {
                tx.delete_revocation_list(scope, &row)?;
                let (revocations, id_scope) = (announce.revocations.clone(), id_scope.clone());
                tx.after_commit(move || revocations.remove_list(&id_scope, &row.name));
                announce.tell(tx);
                Ok(())
            },
        );
        let target = format!("revocation list {name}");
        self.act(Act::DeleteRevocationList, target, delete).await
    }
}

pub(super) fn record(
    view: &View<'_>,
    row: RevocationListRow,
) -> Result<RevocationListRecord, StoreError> {
    Ok(RevocationListRecord {
        ca: ca(view, &row)?,
        name: row.name,
        source: row.source,
        stale: row.stale,
        content: row.content,
        fetched: row.fetched.map(Timestamp::from_ticks),
        fault: row.fault,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}

fn ca(view: &View<'_>, row: &RevocationListRow) -> Result<Certificate, StoreError> {
    let ca = Certificate::from_der(&row.ca);
    ca.map_err(|error| view.damaged("revocation list", error))
}
