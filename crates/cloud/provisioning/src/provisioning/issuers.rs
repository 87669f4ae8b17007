//! Issuers of device certificates of a provisioning service.

use ids::{IssuerName, Thumbprint, Timestamp};
use registry::StorageError;
use serde::{Deserialize, Serialize};
use store::{IssuerRow, Lock, StoreError, View, unit};
use wire::muster_api::issuer::IssuerProfile;

use super::Provisioning;
use super::act::Act;
use crate::enrollment::{EnrollmentDraft, EnrollmentError};
use crate::issuance::{DeletedIssuer, IssuanceError, IssuanceName, IssuerDraft, IssuerRecord};
use crate::limits::MAX_ISSUERS;

/// Enrollments named in errors and answers at most.
pub(super) const NAMED: usize = 10;

/// What is stored of an issuer.
#[derive(Serialize, Deserialize)]
struct Document {
    profile: IssuerProfile,
    chain: String,
}

impl From<StoreError> for IssuanceError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

impl Provisioning {
    /// Creates an issuer. Its key must be kept by then.
    pub async fn create_issuer(
        &self,
        draft: IssuerDraft,
        now: Timestamp,
    ) -> Result<IssuerRecord, IssuanceError> {
        let document = Document {
            profile: draft.profile,
            chain: draft.chain,
        };
        let row = IssuerRow {
            id: 0,
            name: draft.name.clone(),
            thumbprint: draft.ca_certificate,
            // Serialising our own types fails only for maps with keys that are not text; there are
            // none.
            document: serde_json::to_string(&document).unwrap_or_default(),
            etag: self.registry.fresh_etag(),
            created: now.ticks(),
            updated: now.ticks(),
        };
        let name = IssuanceName::Issuer(draft.name);
        let target = name.to_string();
        let create = unit(
            (self.id_scope(), row),
            |(id_scope, _)| vec![Lock::Service { id_scope }],
            move |(id_scope, row), view| {
                if view.issuer(id_scope, &row.name)?.is_some() {
                    return Err(IssuanceError::Exists(name.clone()));
                }
                match view.issuer_count(id_scope)? {
                    MAX_ISSUERS.. => Err(IssuanceError::TooMany {
                        name: name.clone(),
                        limit: MAX_ISSUERS,
                    }),
                    _ => Ok(()),
                }
            },
            |(id_scope, row), tx, ()| {
                tx.insert_issuer(id_scope, row)?;
                record(tx, row.clone())
            },
        );
        self.act(Act::CreateIssuer, target, create).await
    }

    pub fn issuer(&self, name: &IssuerName) -> Result<Option<IssuerRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let row = view.issuer(&id_scope, name)?;
            Ok(row.map(|row| record(view, row)).transpose()?)
        })
    }

    /// All issuers by name: a service has few.
    pub fn issuers(&self) -> Result<Vec<IssuerRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.issuers(&id_scope)?.into_iter();
            let records: Result<_, StoreError> = found.map(|row| record(view, row)).collect();
            Ok(records?)
        })
    }

    /// Whether an issuer of any service has this certificate.
    pub fn has_issuer_of(&self, ca_certificate: &Thumbprint) -> Result<bool, StorageError> {
        let found = |view: &View<'_>| view.has_issuer_of_certificate(ca_certificate);
        Ok(self.registry.store().read::<_, StoreError>(found)?)
    }

    /// Deletes an issuer that no enrollment names.
    pub async fn delete_issuer(
        &self,
        name: &IssuerName,
        if_match: &registry::IfMatch,
    ) -> Result<DeletedIssuer, IssuanceError> {
        let (issuer, if_match) = (name.clone(), if_match.clone());
        let name = IssuanceName::Issuer(name.clone());
        let target = name.to_string();
        let delete = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = view.issuer(id_scope, &issuer)?;
                let row = row.ok_or_else(|| IssuanceError::NotFound(name.clone()))?;
                if !if_match.allows(&row.etag) {
                    return Err(IssuanceError::PreconditionFailed(name.clone()));
                }
                let named = view.enrollments_of_issuer(row.id, NAMED)?;
                match named.is_empty() {
                    true => Ok(row),
                    false => Err(IssuanceError::InUse {
                        name: name.clone(),
                        enrollments: named,
                    }),
                }
            },
            |id_scope, tx, row: IssuerRow| {
                tx.delete_issuer(id_scope, &row)?;
                Ok(DeletedIssuer {
                    is_shared: tx.has_issuer_of_certificate(&row.thumbprint)?,
                    ca_certificate: row.thumbprint,
                })
            },
        );
        self.act(Act::DeleteIssuer, target, delete).await
    }
}

/// The row ids of the issuer and the trust bundle that a draft names; both must be there.
pub(super) fn named_rows(
    view: &View<'_>,
    id_scope: &str,
    draft: &EnrollmentDraft,
) -> Result<(Option<i64>, Option<i64>), EnrollmentError> {
    let issuer = draft.issuance.issuer.as_ref().map(|name| {
        let row = view.issuer(id_scope, name)?;
        let missing = || EnrollmentError::NoIssuance(IssuanceName::Issuer(name.clone()));
        row.map(|row| row.id).ok_or_else(missing)
    });
    let trust_bundle = draft.issuance.trust_bundle.as_ref().map(|id| {
        let row = view.trust_bundle(id_scope, id)?;
        let missing = || EnrollmentError::NoIssuance(IssuanceName::TrustBundle(id.clone()));
        row.map(|row| row.id).ok_or_else(missing)
    });
    Ok((issuer.transpose()?, trust_bundle.transpose()?))
}

fn record(view: &View<'_>, row: IssuerRow) -> Result<IssuerRecord, StoreError> {
    let document = serde_json::from_str(&row.document);
    let Document { profile, chain } = view.decoded("issuer", document)?;
    Ok(IssuerRecord {
        name: row.name,
        ca_certificate: row.thumbprint,
        chain,
        profile,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}
