//! The lists themselves, uploaded or fetched.

use std::sync::Arc;

use ids::{CertificateName, IdScope, Timestamp};
use pki::CrlRefused;
use registry::StorageError;
use registry::revocation::{ListAge, ListSettings, RevocationList};
use store::{ListContent, Lock, RevocationListRow, StoreError, Tx, Unit, View, unit};

use super::super::Provisioning;
use super::super::act::Act;
use super::super::revocations::Announce;
use super::{ca, record};
use crate::limits::MAX_LISTED_CERTIFICATES;
use crate::revocation::{
    ListVersion, NewList, RevocationListError, RevocationListRecord, is_older,
};

impl Provisioning {
    /// Stores a list in the place of the one that is there: all that the new one does not name
    /// comes back into force.
    pub async fn upload_revocation_list(
        &self,
        name: &CertificateName,
        list: NewList,
        now: Timestamp,
    ) -> Result<RevocationListRecord, RevocationListError> {
        let store = self.store_list(name, list, ListVersion::default(), false, now);
        let target = format!("revocation list {name}");
        self.act(Act::UploadRevocationList, target, store).await
    }

    /// The same for a list that the server has fetched.
    pub async fn keep_fetched_list(
        &self,
        name: &CertificateName,
        list: NewList,
        version: ListVersion,
        now: Timestamp,
    ) -> Result<RevocationListRecord, RevocationListError> {
        let store = self.store_list(name, list, version, true, now);
        self.registry.store().write_without_act(store).await
    }

    /// Notes a look at the source that brought no list: the stored one is still the newest, or
    /// there is a fault.
    pub async fn note_list_fetch(
        &self,
        name: &CertificateName,
        fault: Option<String>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let name = name.clone();
        let note = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| Ok::<_, StorageError>(view.revocation_list(id_scope, &name)?),
            move |id_scope, tx, row| {
                let Some(row) = row else { return Ok(()) };
                let noted = RevocationListRow {
                    fetched: Some(now.ticks()),
                    fault: fault.clone(),
                    ..row.clone()
                };
                tx.update_revocation_list(id_scope, &row.etag, &noted)
            },
        );
        self.registry.store().write_in_background(note).await
    }

    fn store_list(
        &self,
        name: &CertificateName,
        list: NewList,
        version: ListVersion,
        is_fetched: bool,
        now: Timestamp,
    ) -> StoreList {
        StoreList {
            id_scope: self.service().id_scope.clone(),
            name: name.clone(),
            list,
            version,
            is_fetched,
            announce: self.announce(),
            now,
        }
    }
}

struct StoreList {
    id_scope: IdScope,
    name: CertificateName,
    list: NewList,
    version: ListVersion,
    is_fetched: bool,
    announce: Announce,
    now: Timestamp,
}

impl StoreList {
    fn content(&self) -> ListContent {
        let list = &self.list;
        ListContent {
            number: list.number.clone(),
            this_update: list.this_update.ticks(),
            next_update: list.next_update.map(Timestamp::ticks),
            entries: u32::try_from(list.serials.len()).unwrap_or(u32::MAX),
            stored: self.now.ticks(),
            http_etag: self.version.etag.clone(),
            http_modified: self.version.modified.clone(),
        }
    }

    /// All lists of a service are in memory.
    fn require_room(&self, view: &View<'_>) -> Result<(), RevocationListError> {
        let lists = view.revocation_lists(self.id_scope.as_str())?;
        let others = lists.iter().filter(|row| row.name != self.name);
        let entries = others
            .filter_map(|row| row.content.as_ref())
            .map(|content| content.entries);
        let all: u64 = entries.map(u64::from).sum::<u64>() + self.list.serials.len() as u64;
        match all > MAX_LISTED_CERTIFICATES {
            true => Err(RevocationListError::TooLong {
                limit: MAX_LISTED_CERTIFICATES,
            }),
            false => Ok(()),
        }
    }
}

impl Unit for StoreList {
    type Plan = RevocationListRow;
    type Output = RevocationListRecord;
    type Error = RevocationListError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.id_scope.as_str();
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<RevocationListRow, RevocationListError> {
        let row = view.revocation_list(self.id_scope.as_str(), &self.name)?;
        let row = row.ok_or_else(|| RevocationListError::NotFound(self.name.clone()))?;
        // It was verified with the CA certificate of a moment ago.
        if row.ca != self.list.ca {
            let subject = ca(view, &row)?.subject();
            return Err(CrlRefused::Signature { subject }.into());
        }
        if let Some(stored) = &row.content {
            let new = (self.list.number.as_deref(), self.list.this_update.ticks());
            let before = (stored.number.as_deref(), stored.this_update);
            if is_older(new, before) {
                return Err(RevocationListError::Older {
                    stored: Timestamp::from_ticks(stored.this_update),
                });
            }
        }
        self.require_room(view)?;
        Ok(row)
    }

    fn apply(
        &self,
        tx: &Tx<'_>,
        stored: RevocationListRow,
    ) -> Result<RevocationListRecord, StoreError> {
        let id_scope = self.id_scope.as_str();
        let content = self.content();
        tx.put_revocation_list_content(id_scope, stored.id, &content, &self.list.der)?;
        let mut row = RevocationListRow {
            content: Some(content),
            ..stored.clone()
        };
        if self.is_fetched {
            (row.fetched, row.fault) = (Some(self.now.ticks()), None);
            tx.update_revocation_list(id_scope, &stored.etag, &row)?;
        }
        let settings = ListSettings {
            id_scope: self.id_scope.clone(),
            name: row.name.clone(),
            ca: ca(tx, &row)?,
            stale: row.stale,
        };
        let list = RevocationList {
            settings,
            serials: self.list.serials.clone(),
            age: self
                .list
                .next_update
                .map_or(ListAge::Unlimited, ListAge::Until),
        };
        let revocations = self.announce.revocations.clone();
        tx.after_commit(move || revocations.put_list(Arc::new(list)));
        self.announce.tell(tx);
        record(tx, row)
    }
}
