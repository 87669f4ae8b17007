//! Issuers of device certificates of a provisioning service.

use ids::{CertificateName, Etag, IssuerName, Thumbprint, Timestamp};
use registry::StorageError;
use serde::{Deserialize, Serialize};
use store::{IssuerRow, Lock, StoreError, Tx, Unit, View, unit};
use wire::muster_api::issuer::{IssuerProfile, IssuerSettings};

use super::Provisioning;
use super::act::Act;
use crate::enrollment::{EnrollmentDraft, EnrollmentError};
use crate::issuance::{IssuanceError, IssuanceName};
use crate::issuer::{
    DeletedIssuer, IssuerDraft, IssuerGeneration, IssuerGenerations, IssuerRecord,
};
use crate::limits::MAX_ISSUERS;

/// Enrollments named in errors and answers at most.
pub(super) const NAMED: usize = 10;

/// What is stored of an issuer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    profile: IssuerProfile,
    #[serde(default)]
    settings: IssuerSettings,
    #[serde(default)]
    trusts: Vec<CertificateName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generations: Option<IssuerGenerations>,
    /// The chain of the only CA: what earlier versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
}

/// The part of a document that says which CAs an issuer has.
#[derive(Deserialize)]
struct Authorities {
    generations: Option<IssuerGenerations>,
    chain: Option<String>,
}

impl Authorities {
    fn of(self, row: &IssuerRow) -> Option<IssuerGenerations> {
        let first = |chain| {
            IssuerGenerations::first(IssuerGeneration {
                thumbprint: row.thumbprint,
                chain,
            })
        };
        self.generations.or_else(|| self.chain.map(first))
    }
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
        let generation = IssuerGeneration {
            thumbprint: draft.ca_certificate,
            chain: draft.chain,
        };
        let record = IssuerRecord {
            name: draft.name.clone(),
            profile: draft.profile,
            settings: draft.settings,
            trusts: Vec::new(),
            generations: IssuerGenerations::first(generation),
            etag: self.registry.fresh_etag(),
            created: now,
            updated: now,
        };
        let target = IssuanceName::Issuer(draft.name).to_string();
        let etags = (0..MAX_ISSUERS)
            .map(|_| self.registry.fresh_etag())
            .collect();
        let create = CreateIssuer {
            id_scope: self.id_scope(),
            record,
            etags,
        };
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

    /// Whether an issuer of any service has this CA certificate.
    pub fn has_issuer_of(&self, ca_certificate: &Thumbprint) -> Result<bool, StorageError> {
        let found = |view: &View<'_>| has_issuer_of(view, ca_certificate);
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
                let row = existing(view, id_scope, &issuer)?;
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
                let generations = generations(tx, &row)?;
                tx.delete_issuer(id_scope, &row)?;
                let mut unused_ca_certificates = Vec::new();
                for one in generations.all() {
                    if !has_issuer_of(tx, &one.thumbprint)? {
                        unused_ca_certificates.push(one.thumbprint);
                    }
                }
                Ok(DeletedIssuer {
                    unused_ca_certificates,
                })
            },
        );
        self.act(Act::DeleteIssuer, target, delete).await
    }
}

/// The row ids of the issuer and the trust bundle that a draft names; both must be there, and the
/// issuer must issue identities.
pub(super) fn named_rows(
    view: &View<'_>,
    id_scope: &str,
    draft: &EnrollmentDraft,
) -> Result<(Option<i64>, Option<i64>), EnrollmentError> {
    let issuer = draft.issuance.issuer.as_ref();
    let issuer = issuer.map(|name| issuer_of_identities(view, id_scope, name));
    let trust_bundle = draft.issuance.trust_bundle.as_ref().map(|id| {
        let row = view.trust_bundle(id_scope, id)?;
        let missing = || EnrollmentError::NoIssuance(IssuanceName::TrustBundle(id.clone()));
        row.map(|row| row.id).ok_or_else(missing)
    });
    Ok((issuer.transpose()?, trust_bundle.transpose()?))
}

fn issuer_of_identities(
    view: &View<'_>,
    id_scope: &str,
    name: &IssuerName,
) -> Result<i64, EnrollmentError> {
    let row = view.issuer(id_scope, name)?;
    let missing = || EnrollmentError::NoIssuance(IssuanceName::Issuer(name.clone()));
    let row = row.ok_or_else(missing)?;
    let id = row.id;
    let issuer = record(view, row)?;
    match issuer.is_of_identities() {
        true => Ok(id),
        false => Err(EnrollmentError::IssuerProfile {
            issuer: issuer.name,
            profile: issuer.profile.kind,
        }),
    }
}

/// Creates an issuer. Should it be the default, no other one is any longer.
struct CreateIssuer {
    id_scope: String,
    record: IssuerRecord,
    /// For the others.
    etags: Vec<Etag>,
}

impl Unit for CreateIssuer {
    /// The issuers that are the default now.
    type Plan = Vec<(IssuerRow, IssuerRecord)>;
    type Output = IssuerRecord;
    type Error = IssuanceError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IssuanceError> {
        let name = || IssuanceName::Issuer(self.record.name.clone());
        if view.issuer(&self.id_scope, &self.record.name)?.is_some() {
            return Err(IssuanceError::Exists(name()));
        }
        let others = view.issuers(&self.id_scope)?;
        if others.len() >= MAX_ISSUERS {
            return Err(IssuanceError::TooMany {
                name: name(),
                limit: MAX_ISSUERS,
            });
        }
        let mut defaults = Vec::new();
        for row in others {
            let other = record(view, row.clone())?;
            if self.record.settings.is_default && other.settings.is_default {
                defaults.push((row, other));
            }
        }
        Ok(defaults)
    }

    fn apply(&self, tx: &Tx<'_>, defaults: Self::Plan) -> Result<IssuerRecord, StoreError> {
        for ((row, mut other), etag) in defaults.into_iter().zip(&self.etags) {
            other.settings.is_default = false;
            (other.etag, other.updated) = (etag.clone(), self.record.updated);
            update(tx, &self.id_scope, &row, &other)?;
        }
        tx.insert_issuer(&self.id_scope, &row(0, &self.record))?;
        Ok(self.record.clone())
    }
}

/// Whether an issuer of any service has this CA certificate. A data directory has few.
fn has_issuer_of(view: &View<'_>, ca_certificate: &Thumbprint) -> Result<bool, StoreError> {
    for row in view.all_issuers()? {
        if generations(view, &row)?.has(ca_certificate) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes an issuer over the row that was read.
pub(super) fn update(
    tx: &Tx<'_>,
    id_scope: &str,
    read: &IssuerRow,
    record: &IssuerRecord,
) -> Result<(), StoreError> {
    tx.update_issuer(id_scope, &read.etag, &row(read.id, record))
}

fn row(id: i64, record: &IssuerRecord) -> IssuerRow {
    let document = Document {
        profile: record.profile.clone(),
        settings: record.settings.clone(),
        trusts: record.trusts.clone(),
        generations: Some(record.generations.clone()),
        chain: None,
    };
    IssuerRow {
        id,
        name: record.name.clone(),
        thumbprint: record.generations.current.thumbprint,
        // Serialising our own types fails only for maps with keys that are not text; there are
        // none.
        document: serde_json::to_string(&document).unwrap_or_default(),
        etag: record.etag.clone(),
        created: record.created.ticks(),
        updated: record.updated.ticks(),
    }
}

/// The row of an issuer that has to be there.
pub(super) fn existing(
    view: &View<'_>,
    id_scope: &str,
    name: &IssuerName,
) -> Result<IssuerRow, IssuanceError> {
    let row = view.issuer(id_scope, name)?;
    row.ok_or_else(|| IssuanceError::NotFound(IssuanceName::Issuer(name.clone())))
}

/// The CAs of an issuer.
pub(super) fn generations(
    view: &View<'_>,
    row: &IssuerRow,
) -> Result<IssuerGenerations, StoreError> {
    let authorities: Authorities = view.decoded("issuer", serde_json::from_str(&row.document))?;
    let found = authorities.of(row);
    found.ok_or_else(|| view.damaged("issuer", "has no CA certificate"))
}

pub(super) fn record(view: &View<'_>, row: IssuerRow) -> Result<IssuerRecord, StoreError> {
    let document: Document = view.decoded("issuer", serde_json::from_str(&row.document))?;
    let authorities = Authorities {
        generations: document.generations,
        chain: document.chain,
    };
    let generations = authorities.of(&row);
    Ok(IssuerRecord {
        generations: generations.ok_or_else(|| view.damaged("issuer", "has no CA certificate"))?,
        name: row.name,
        profile: document.profile,
        settings: document.settings,
        trusts: document.trusts,
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}

#[cfg(test)]
mod tests {
    use ids::ProfileKind;

    use super::*;

    #[test]
    fn an_issuer_that_an_earlier_version_wrote_is_read() {
        let old = r#"{"profile":{"validityDays":9,"keyTypes":["P-256"]},"chain":"PEM"}"#;
        let document: Document = serde_json::from_str(old).unwrap();
        assert_eq!(document.profile.kind, ProfileKind::EdgeIdentity);
        assert_eq!(document.settings, IssuerSettings::default());
        let row = IssuerRow {
            id: 1,
            name: IssuerName::parse("fleet").unwrap(),
            thumbprint: Thumbprint::from_bytes([1; 32]),
            document: old.to_owned(),
            etag: Etag::parse("etag").unwrap(),
            created: 0,
            updated: 0,
        };
        let authorities: Authorities = serde_json::from_str(old).unwrap();
        let generations = authorities.of(&row).unwrap();
        assert_eq!(generations.issuing().thumbprint, row.thumbprint);
        assert_eq!(generations.issuing().chain, "PEM");
    }
}
