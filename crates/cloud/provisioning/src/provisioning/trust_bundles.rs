//! Trust bundles of a provisioning service.

use ids::{Etag, Timestamp, TrustBundleId};
use registry::{IfMatch, PutDecision, StorageError};
use serde::{Deserialize, Serialize};
use store::{Lock, StoreError, TrustBundleRow, Tx, Unit, View, unit};

use super::Provisioning;
use super::act::Act;
use super::issuers::NAMED;
use crate::issuance::{IssuanceError, IssuanceName, TrustBundleDraft, TrustBundleRecord};
use crate::limits::MAX_TRUST_BUNDLES;

/// What is stored of a trust bundle.
#[derive(Serialize, Deserialize)]
struct Document {
    certificates: String,
}

impl Provisioning {
    /// Creates or replaces a trust bundle.
    pub async fn put_trust_bundle(
        &self,
        draft: TrustBundleDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<TrustBundleRecord, IssuanceError> {
        let document = Document {
            certificates: draft.certificates,
        };
        let put = PutTrustBundle {
            id_scope: self.id_scope(),
            id: draft.id,
            // Serialising our own types fails only for maps with keys that are not text; there are
            // none.
            document: serde_json::to_string(&document).unwrap_or_default(),
            if_match: if_match.clone(),
            etag: self.registry.fresh_etag(),
            now,
        };
        let target = put.name().to_string();
        self.act(Act::PutTrustBundle, target, put).await
    }

    pub fn trust_bundle(
        &self,
        id: &TrustBundleId,
    ) -> Result<Option<TrustBundleRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.trust_bundle(&id_scope, id)?;
            Ok(row.map(|row| record(view, row)).transpose()?)
        })
    }

    /// All trust bundles by id: a service has few.
    pub fn trust_bundles(&self) -> Result<Vec<TrustBundleRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.trust_bundles(&id_scope)?.into_iter();
            let records: Result<_, StoreError> = found.map(|row| record(view, row)).collect();
            Ok(records?)
        })
    }

    /// Deletes a trust bundle that no enrollment names.
    pub async fn delete_trust_bundle(
        &self,
        id: &TrustBundleId,
        if_match: &IfMatch,
    ) -> Result<(), IssuanceError> {
        let (id, if_match) = (id.clone(), if_match.clone());
        let name = IssuanceName::TrustBundle(id.clone());
        let target = name.to_string();
        let delete = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = view.trust_bundle(id_scope, &id)?;
                let row = row.ok_or_else(|| IssuanceError::NotFound(name.clone()))?;
                if !if_match.allows(&row.etag) {
                    return Err(IssuanceError::PreconditionFailed(name.clone()));
                }
                let named = view.enrollments_of_trust_bundle(row.id, NAMED)?;
                match named.is_empty() {
                    true => Ok(row),
                    false => Err(IssuanceError::InUse {
                        name: name.clone(),
                        enrollments: named,
                    }),
                }
            },
            |id_scope, tx, row| tx.delete_trust_bundle(id_scope, &row),
        );
        self.act(Act::DeleteTrustBundle, target, delete).await
    }
}

/// A PUT of a trust bundle.
struct PutTrustBundle {
    id_scope: String,
    id: TrustBundleId,
    document: String,
    if_match: IfMatch,
    etag: Etag,
    now: Timestamp,
}

impl PutTrustBundle {
    fn name(&self) -> IssuanceName {
        IssuanceName::TrustBundle(self.id.clone())
    }

    fn require_room(&self, view: &View<'_>) -> Result<(), IssuanceError> {
        match view.trust_bundle_count(&self.id_scope)? {
            MAX_TRUST_BUNDLES.. => Err(IssuanceError::TooMany {
                name: self.name(),
                limit: MAX_TRUST_BUNDLES,
            }),
            _ => Ok(()),
        }
    }
}

impl Unit for PutTrustBundle {
    /// What is there; `None` when it is to be made.
    type Plan = Option<TrustBundleRow>;
    type Output = TrustBundleRecord;
    type Error = IssuanceError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IssuanceError> {
        let stored = view.trust_bundle(&self.id_scope, &self.id)?;
        let before = stored.as_ref().map(|row| &row.etag);
        match (self.if_match.decide_put(before), &stored) {
            (PutDecision::Create, _) => self.require_room(view).map(|()| None),
            (PutDecision::Replace, Some(_)) => Ok(stored),
            (PutDecision::Conflict, _) => Err(IssuanceError::Exists(self.name())),
            (PutDecision::Mismatch, Some(_)) => Err(IssuanceError::PreconditionFailed(self.name())),
            (PutDecision::Replace | PutDecision::Mismatch, None) => {
                Err(IssuanceError::NotFound(self.name()))
            }
        }
    }

    fn apply(&self, tx: &Tx<'_>, stored: Self::Plan) -> Result<TrustBundleRecord, StoreError> {
        let row = match stored {
            None => {
                let row = TrustBundleRow {
                    id: 0,
                    trust_bundle_id: self.id.clone(),
                    document: self.document.clone(),
                    etag: self.etag.clone(),
                    created: self.now.ticks(),
                    updated: self.now.ticks(),
                };
                tx.insert_trust_bundle(&self.id_scope, &row)?;
                row
            }
            Some(stored) => {
                let before = stored.etag.clone();
                let row = TrustBundleRow {
                    document: self.document.clone(),
                    etag: self.etag.clone(),
                    updated: self.now.ticks(),
                    ..stored
                };
                tx.update_trust_bundle(&self.id_scope, &before, &row)?;
                row
            }
        };
        record(tx, row)
    }
}

fn record(view: &View<'_>, row: TrustBundleRow) -> Result<TrustBundleRecord, StoreError> {
    let document = serde_json::from_str(&row.document);
    let Document { certificates } = view.decoded("trust bundle", document)?;
    Ok(TrustBundleRecord {
        id: row.trust_bundle_id,
        certificates,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}
