//! Which list is followed, from where, and what becomes of certificates while it is too old.

use ids::{Etag, IdScope, Timestamp};
use pki::Certificate;
use registry::revocation::ListSettings;
use registry::{IfMatch, PutDecision};
use store::{Lock, RevocationListRow, StoreError, Tx, Unit, View};

use super::super::Provisioning;
use super::super::act::Act;
use super::super::revocations::Announce;
use super::record;
use crate::limits::MAX_REVOCATION_LISTS;
use crate::revocation::{RevocationListDraft, RevocationListError, RevocationListRecord};

impl Provisioning {
    /// Creates a list or changes its settings. Its entries stay unless it is of another CA now.
    pub async fn put_revocation_list(
        &self,
        draft: RevocationListDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<RevocationListRecord, RevocationListError> {
        let target = format!("revocation list {}", draft.name);
        let put = PutList {
            id_scope: self.service().id_scope.clone(),
            draft,
            if_match: if_match.clone(),
            etag: self.registry.fresh_etag(),
            announce: self.announce(),
            now,
        };
        self.act(Act::PutRevocationList, target, put).await
    }
}

struct PutList {
    id_scope: IdScope,
    draft: RevocationListDraft,
    if_match: IfMatch,
    etag: Etag,
    announce: Announce,
    now: Timestamp,
}

/// What is there, and the CA that the list is of from now on.
struct PutPlan {
    stored: Option<RevocationListRow>,
    ca: Certificate,
}

impl PutList {
    fn ca(
        &self,
        view: &View<'_>,
        stored: Option<&RevocationListRow>,
    ) -> Result<Certificate, RevocationListError> {
        if let Some(ca) = &self.draft.ca {
            return Ok(ca.clone());
        }
        let name = &self.draft.name;
        let uploaded = view.ca_certificate(self.id_scope.as_str(), name)?;
        let der = match (uploaded, stored) {
            (Some(uploaded), _) => uploaded.der,
            (None, Some(stored)) => stored.ca.clone(),
            (None, None) => return Err(RevocationListError::NoCaCertificate(name.clone())),
        };
        let ca = Certificate::from_der(&der);
        Ok(ca.map_err(|error| view.damaged("CA certificate", error))?)
    }

    fn row(&self, plan: &PutPlan) -> RevocationListRow {
        let draft = &self.draft;
        let stored = plan.stored.as_ref();
        // What went wrong with another URL says nothing about this one.
        let same_source = stored.filter(|stored| stored.source == draft.source);
        RevocationListRow {
            id: stored.map_or(0, |stored| stored.id),
            name: draft.name.clone(),
            ca: plan.ca.der().to_vec(),
            stale: draft.stale,
            source: draft.source.clone(),
            content: stored.and_then(|stored| stored.content.clone()),
            fetched: same_source.and_then(|stored| stored.fetched),
            fault: same_source.and_then(|stored| stored.fault.clone()),
            etag: self.etag.clone(),
            created: stored.map_or(self.now.ticks(), |stored| stored.created),
            updated: self.now.ticks(),
        }
    }
}

impl Unit for PutList {
    type Plan = PutPlan;
    type Output = RevocationListRecord;
    type Error = RevocationListError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.id_scope.as_str();
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<PutPlan, RevocationListError> {
        let (id_scope, name) = (self.id_scope.as_str(), &self.draft.name);
        let stored = view.revocation_list(id_scope, name)?;
        let before = stored.as_ref().map(|row| &row.etag);
        match self.if_match.decide_put(before) {
            PutDecision::Create => {
                let limit = MAX_REVOCATION_LISTS;
                if view.revocation_list_count(id_scope)? >= limit {
                    return Err(RevocationListError::TooMany { limit });
                }
            }
            PutDecision::Replace if stored.is_some() => {}
            PutDecision::Conflict => return Err(RevocationListError::Exists(name.clone())),
            PutDecision::Mismatch if stored.is_some() => {
                return Err(RevocationListError::PreconditionFailed(name.clone()));
            }
            PutDecision::Replace | PutDecision::Mismatch => {
                return Err(RevocationListError::NotFound(name.clone()));
            }
        }
        let ca = self.ca(view, stored.as_ref())?;
        Ok(PutPlan { stored, ca })
    }

    fn apply(&self, tx: &Tx<'_>, plan: PutPlan) -> Result<RevocationListRecord, StoreError> {
        let id_scope = self.id_scope.as_str();
        let mut row = self.row(&plan);
        match &plan.stored {
            None => row.id = tx.insert_revocation_list(id_scope, &row)?,
            Some(stored) => {
                tx.update_revocation_list(id_scope, &stored.etag, &row)?;
                let url = |row: &RevocationListRow| row.source.as_ref().map(|one| one.url.clone());
                if url(stored) != url(&row) {
                    // Another server may call another list by the same name.
                    tx.clear_revocation_list_version(id_scope, row.id)?;
                    if let Some(content) = &mut row.content {
                        (content.http_etag, content.http_modified) = (None, None);
                    }
                }
                if stored.ca != row.ca {
                    tx.clear_revocation_list_content(id_scope, row.id)?;
                    row.content = None;
                }
            }
        }
        let settings = ListSettings {
            id_scope: self.id_scope.clone(),
            name: row.name.clone(),
            ca: plan.ca,
            stale: row.stale,
        };
        let revocations = self.announce.revocations.clone();
        tx.after_commit(move || revocations.put_settings(settings));
        self.announce.tell(tx);
        record(tx, row)
    }
}
