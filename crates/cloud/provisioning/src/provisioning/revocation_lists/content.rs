//! The lists themselves, uploaded or fetched.

use std::sync::Arc;

use ids::{CertificateName, IdScope, Timestamp};
use registry::StorageError;
use registry::revocation::{ListAge, ListSettings, RevocationList};
use store::{ListContent, ListSource, Lock, RevocationListRow, StoreError, Tx, Unit, View, unit};

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
        let store = self.store_list(name, list, None, now);
        let target = format!("revocation list {name}");
        self.act(Act::UploadRevocationList, target, store).await
    }

    /// The same for a list that the server has fetched. If it asked under other settings than
    /// those of now, nothing is stored.
    pub async fn keep_fetched_list(
        &self,
        asked: &RevocationListRecord,
        list: NewList,
        version: ListVersion,
        now: Timestamp,
    ) -> Result<RevocationListRecord, RevocationListError> {
        let fetched = Fetched {
            by: FetchSettings::of(asked),
            version,
        };
        let store = self.store_list(&asked.name, list, Some(fetched), now);
        self.registry.store().write_without_act(store).await
    }

    /// Notes a look at the source that brought no list: the stored one is still the newest, or
    /// there is a fault. A look under other settings says nothing about those of now.
    pub async fn note_list_fetch(
        &self,
        asked: &RevocationListRecord,
        fault: Option<String>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (name, settings) = (asked.name.clone(), FetchSettings::of(asked));
        let note = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = view.revocation_list(id_scope, &name)?;
                Ok::<_, StorageError>(row.filter(|row| settings.is_of(row)))
            },
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
        fetched: Option<Fetched>,
        now: Timestamp,
    ) -> StoreList {
        StoreList {
            id_scope: self.service().id_scope.clone(),
            name: name.clone(),
            list,
            fetched,
            announce: self.announce(),
            now,
        }
    }
}

/// What a look at a source depends on. The settings may change while it is in progress.
struct FetchSettings {
    source: Option<ListSource>,
    ca: Vec<u8>,
}

impl FetchSettings {
    fn of(list: &RevocationListRecord) -> Self {
        Self {
            source: list.source.clone(),
            ca: list.ca.der().to_vec(),
        }
    }

    fn is_of(&self, row: &RevocationListRow) -> bool {
        row.source == self.source && row.ca == self.ca
    }
}

struct Fetched {
    by: FetchSettings,
    version: ListVersion,
}

struct StoreList {
    id_scope: IdScope,
    name: CertificateName,
    list: NewList,
    /// `None`: it was uploaded.
    fetched: Option<Fetched>,
    announce: Announce,
    now: Timestamp,
}

impl StoreList {
    fn content(&self) -> ListContent {
        let list = &self.list;
        let version = self.fetched.as_ref().map(|fetched| &fetched.version);
        ListContent {
            number: list.number.clone(),
            this_update: list.this_update.ticks(),
            next_update: list.next_update.map(Timestamp::ticks),
            entries: u32::try_from(list.serials.len()).unwrap_or(u32::MAX),
            stored: self.now.ticks(),
            http_etag: version.and_then(|version| version.etag.clone()),
            http_modified: version.and_then(|version| version.modified.clone()),
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

enum Plan {
    Store(RevocationListRow),
    /// The list was fetched under other settings.
    Leave(RevocationListRow),
}

impl Unit for StoreList {
    type Plan = Plan;
    type Output = RevocationListRecord;
    type Error = RevocationListError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.id_scope.as_str();
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Plan, RevocationListError> {
        let row = view.revocation_list(self.id_scope.as_str(), &self.name)?;
        let row = row.ok_or_else(|| RevocationListError::NotFound(self.name.clone()))?;
        if let Some(fetched) = &self.fetched
            && !fetched.by.is_of(&row)
        {
            return Ok(Plan::Leave(row));
        }
        // It was verified with the CA certificate of a moment ago.
        if row.ca != self.list.ca {
            return Err(RevocationListError::CaChanged(row.name));
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
        Ok(Plan::Store(row))
    }

    fn apply(&self, tx: &Tx<'_>, plan: Plan) -> Result<RevocationListRecord, StoreError> {
        let stored = match plan {
            Plan::Store(stored) => stored,
            Plan::Leave(row) => return record(tx, row),
        };
        let id_scope = self.id_scope.as_str();
        let content = self.content();
        tx.put_revocation_list_content(id_scope, stored.id, &content, &self.list.der)?;
        let mut row = RevocationListRow {
            content: Some(content),
            ..stored.clone()
        };
        if self.fetched.is_some() {
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
            age: ListAge::of(self.list.next_update),
        };
        let revocations = self.announce.revocations.clone();
        tx.after_commit(move || revocations.put_list(Arc::new(list)));
        self.announce.tell(tx);
        record(tx, row)
    }
}
