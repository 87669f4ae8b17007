//! Issuers and trust bundles of a provisioning service, and which entries name them.

use ids::{Etag, IssuerName, Thumbprint, Timestamp, TrustBundleId};
use registry::{IfMatch, PutDecision, Rows, StorageError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{ResourceRow, StoreError, Tx, View};
use wire::muster_api::issuers::IssuerProfile;

use super::Provisioning;
use super::act::Act;
use super::enrollments::parse_key;
use crate::enrollment::{EnrollmentDraft, EnrollmentError, EnrollmentKey};
use crate::limits::MAX_RESOURCES;
use crate::resource::{
    DeletedIssuer, IssuerDraft, IssuerRecord, ResourceError, ResourceName, TrustBundleDraft,
    TrustBundleRecord,
};

/// Entries named in errors at most.
const NAMED: usize = 10;

/// What is stored of an issuer.
#[derive(Serialize, Deserialize)]
struct IssuerDocument {
    profile: IssuerProfile,
    chain: String,
}

/// What is stored of a trust bundle.
#[derive(Serialize, Deserialize)]
struct TrustBundleDocument {
    certificates: String,
}

impl ResourceName {
    fn kind(&self) -> &'static str {
        match self {
            Self::Issuer(_) => ISSUER,
            Self::TrustBundle(_) => TRUST_BUNDLE,
        }
    }

    fn folded(&self) -> String {
        match self {
            Self::Issuer(name) => name.folded(),
            Self::TrustBundle(id) => id.folded(),
        }
    }

    fn spelled(&self) -> String {
        match self {
            Self::Issuer(name) => name.to_string(),
            Self::TrustBundle(id) => id.to_string(),
        }
    }
}

const ISSUER: &str = "issuer";
const TRUST_BUNDLE: &str = "trustBundle";

impl Provisioning {
    /// Creates an issuer. Its key must be kept by then.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn create_issuer(
        &self,
        draft: IssuerDraft,
        now: Timestamp,
    ) -> Result<IssuerRecord, ResourceError> {
        let document = IssuerDocument {
            profile: draft.profile,
            chain: draft.chain,
        };
        let put = self.put_resource(
            ResourceName::Issuer(draft.name),
            &document,
            &IfMatch::Absent,
            now,
        );
        let put = PutResource {
            thumbprint: Some(*draft.ca_certificate.as_bytes()),
            ..put
        };
        let target = put.name.to_string();
        let work = move |tx: &Tx<'_>| {
            let row = put.run(tx)?;
            Ok(issuer_record(Rows { file: tx.file() }, row)?)
        };
        self.act(Act::CreateIssuer, target, work).await
    }

    /// Reads an issuer.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn issuer(&self, name: &IssuerName) -> Result<Option<IssuerRecord>, StorageError> {
        let (id_scope, folded) = (self.id_scope(), name.folded());
        self.registry.store().read(|view| {
            let row = view.resource(&id_scope, ISSUER, &folded)?;
            row.map(|row| issuer_record(Rows { file: view.file() }, row))
                .transpose()
        })
    }

    /// All issuers by name: a service has few.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn issuers(&self) -> Result<Vec<IssuerRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let rows = Rows { file: view.file() };
            let found = view.resources(&id_scope, ISSUER)?.into_iter();
            found.map(|row| issuer_record(rows, row)).collect()
        })
    }

    /// Whether an issuer of any service has this certificate.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn has_issuer_of(&self, ca_certificate: &Thumbprint) -> Result<bool, StorageError> {
        let found = |view: &View<'_>| view.has_issuer_of_certificate(ca_certificate.as_bytes());
        Ok(self.registry.store().read::<_, StoreError>(found)?)
    }

    /// Deletes an issuer that no entry names.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn delete_issuer(
        &self,
        name: &IssuerName,
        if_match: &IfMatch,
    ) -> Result<DeletedIssuer, ResourceError> {
        let delete = self.delete_resource(ResourceName::Issuer(name.clone()), if_match);
        let target = delete.name.to_string();
        let work = move |tx: &Tx<'_>| {
            let row = delete.run(tx)?;
            let rows = Rows { file: tx.file() };
            let ca_certificate = row
                .thumbprint
                .ok_or_else(|| rows.damaged("issuer", "has no certificate"))?;
            Ok(DeletedIssuer {
                is_shared: tx
                    .has_issuer_of_certificate(&ca_certificate)
                    .map_err(StorageError::from)?,
                ca_certificate: Thumbprint::from_bytes(ca_certificate),
            })
        };
        self.act(Act::DeleteIssuer, target, work).await
    }

    /// Creates or replaces a trust bundle.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn put_trust_bundle(
        &self,
        draft: TrustBundleDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<TrustBundleRecord, ResourceError> {
        let document = TrustBundleDocument {
            certificates: draft.certificates,
        };
        let put = self.put_resource(
            ResourceName::TrustBundle(draft.id),
            &document,
            if_match,
            now,
        );
        let target = put.name.to_string();
        let work = move |tx: &Tx<'_>| {
            let row = put.run(tx)?;
            Ok(bundle_record(Rows { file: tx.file() }, row)?)
        };
        self.act(Act::PutTrustBundle, target, work).await
    }

    /// Reads a trust bundle.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn trust_bundle(
        &self,
        id: &TrustBundleId,
    ) -> Result<Option<TrustBundleRecord>, StorageError> {
        let (id_scope, folded) = (self.id_scope(), id.folded());
        self.registry.store().read(|view| {
            let row = view.resource(&id_scope, TRUST_BUNDLE, &folded)?;
            row.map(|row| bundle_record(Rows { file: view.file() }, row))
                .transpose()
        })
    }

    /// All trust bundles by name: a service has few.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn trust_bundles(&self) -> Result<Vec<TrustBundleRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let rows = Rows { file: view.file() };
            let found = view.resources(&id_scope, TRUST_BUNDLE)?.into_iter();
            found.map(|row| bundle_record(rows, row)).collect()
        })
    }

    /// Deletes a trust bundle that no entry names.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub async fn delete_trust_bundle(
        &self,
        id: &TrustBundleId,
        if_match: &IfMatch,
    ) -> Result<(), ResourceError> {
        let delete = self.delete_resource(ResourceName::TrustBundle(id.clone()), if_match);
        let target = delete.name.to_string();
        let work = move |tx: &Tx<'_>| delete.run(tx).map(drop);
        self.act(Act::DeleteTrustBundle, target, work).await
    }

    fn put_resource(
        &self,
        name: ResourceName,
        document: &impl Serialize,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> PutResource {
        PutResource {
            id_scope: self.id_scope(),
            name,
            thumbprint: None,
            // Serialising our own types fails only for maps with keys that are not text; there are none.
            document: serde_json::to_string(document).unwrap_or_default(),
            if_match: if_match.clone(),
            etag: self.registry.fresh_etag(),
            now,
        }
    }

    fn delete_resource(&self, name: ResourceName, if_match: &IfMatch) -> DeleteResource {
        DeleteResource {
            id_scope: self.id_scope(),
            name,
            if_match: if_match.clone(),
        }
    }
}

impl From<StoreError> for ResourceError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// One PUT on the writer's thread.
struct PutResource {
    id_scope: String,
    name: ResourceName,
    thumbprint: Option<[u8; 32]>,
    document: String,
    if_match: IfMatch,
    etag: Etag,
    now: Timestamp,
}

impl PutResource {
    fn run(self, tx: &Tx<'_>) -> Result<ResourceRow, ResourceError> {
        let (kind, folded) = (self.name.kind(), self.name.folded());
        let stored = tx.resource(&self.id_scope, kind, &folded)?;
        let rows = Rows { file: tx.file() };
        let etag = stored
            .as_ref()
            .map(|row| rows.id("etag", Etag::parse(&row.etag)));
        match (self.if_match.decide_put(etag.transpose()?.as_ref()), stored) {
            (PutDecision::Create, _) => self.create(tx),
            (PutDecision::Replace, Some(row)) => self.replace(tx, row),
            (PutDecision::Conflict, _) => Err(ResourceError::Exists(self.name)),
            (PutDecision::Mismatch, Some(_)) => Err(ResourceError::PreconditionFailed(self.name)),
            (PutDecision::Replace | PutDecision::Mismatch, None) => {
                Err(ResourceError::NotFound(self.name))
            }
        }
    }

    fn create(self, tx: &Tx<'_>) -> Result<ResourceRow, ResourceError> {
        if tx.resources(&self.id_scope, self.name.kind())?.len() >= MAX_RESOURCES {
            return Err(ResourceError::TooMany {
                name: self.name,
                limit: MAX_RESOURCES,
            });
        }
        let row = ResourceRow {
            id: 0,
            kind: self.name.kind().to_owned(),
            folded: self.name.folded(),
            spelled: self.name.spelled(),
            thumbprint: self.thumbprint,
            document: self.document,
            etag: self.etag.to_string(),
            created: self.now.ticks(),
            updated: self.now.ticks(),
        };
        let id = tx.insert_resource(&self.id_scope, &row)?;
        Ok(ResourceRow { id, ..row })
    }

    fn replace(self, tx: &Tx<'_>, stored: ResourceRow) -> Result<ResourceRow, ResourceError> {
        let row = ResourceRow {
            document: self.document,
            etag: self.etag.to_string(),
            updated: self.now.ticks(),
            ..stored
        };
        tx.update_resource(&row)?;
        Ok(row)
    }
}

/// One deletion on the writer's thread.
struct DeleteResource {
    id_scope: String,
    name: ResourceName,
    if_match: IfMatch,
}

impl DeleteResource {
    fn run(self, tx: &Tx<'_>) -> Result<ResourceRow, ResourceError> {
        let row = tx.resource(&self.id_scope, self.name.kind(), &self.name.folded())?;
        let Some(row) = row else {
            return Err(ResourceError::NotFound(self.name));
        };
        let rows = Rows { file: tx.file() };
        if !self
            .if_match
            .allows(&rows.id("etag", Etag::parse(&row.etag))?)
        {
            return Err(ResourceError::PreconditionFailed(self.name));
        }
        let entries = entries(tx, row.id)?;
        if !entries.is_empty() {
            return Err(ResourceError::InUse {
                name: self.name,
                entries,
            });
        }
        tx.delete_resource(row.id)?;
        Ok(row)
    }
}

/// Writes what an entry names; all of it must be there.
pub(super) fn write(
    tx: &Tx<'_>,
    id_scope: &str,
    enrollment: i64,
    draft: &EnrollmentDraft,
) -> Result<(), EnrollmentError> {
    let issuer = draft.resources.issuer.clone().map(ResourceName::Issuer);
    let bundle = draft.resources.trust_bundle.clone();
    let bundle = bundle.map(ResourceName::TrustBundle);
    let mut named = Vec::new();
    for name in [issuer, bundle].into_iter().flatten() {
        match tx.resource(id_scope, name.kind(), &name.folded())? {
            Some(row) => named.push(row.id),
            None => return Err(EnrollmentError::NoResource(name)),
        }
    }
    tx.replace_resources(enrollment, &named)?;
    Ok(())
}

fn entries(view: &View<'_>, resource: i64) -> Result<Vec<EnrollmentKey>, StorageError> {
    let rows = Rows { file: view.file() };
    let found = view.entries_of_resource(resource, NAMED)?.into_iter();
    found
        .map(|(kind, spelled)| parse_key(rows, &kind, &spelled))
        .collect()
}

fn document<T: DeserializeOwned>(rows: Rows<'_>, row: &ResourceRow) -> Result<T, StorageError> {
    serde_json::from_str(&row.document).map_err(|error| rows.damaged("device resource", error))
}

fn issuer_record(rows: Rows<'_>, row: ResourceRow) -> Result<IssuerRecord, StorageError> {
    let IssuerDocument { profile, chain } = document(rows, &row)?;
    let ca_certificate = row.thumbprint.map(Thumbprint::from_bytes);
    Ok(IssuerRecord {
        name: rows.id("issuer", row.spelled.try_into())?,
        ca_certificate: ca_certificate
            .ok_or_else(|| rows.damaged("issuer", "has no certificate"))?,
        chain,
        profile,
        etag: rows.id("etag", row.etag.try_into())?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}

fn bundle_record(rows: Rows<'_>, row: ResourceRow) -> Result<TrustBundleRecord, StorageError> {
    let TrustBundleDocument { certificates } = document(rows, &row)?;
    Ok(TrustBundleRecord {
        id: rows.id("trust bundle", row.spelled.try_into())?,
        certificates,
        etag: rows.id("etag", row.etag.try_into())?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}
