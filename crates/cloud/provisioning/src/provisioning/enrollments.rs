//! Individual enrollments and enrollment groups.

use std::sync::Arc;

use ids::{RegistrationId, Timestamp};
use registry::{Continuation, IfMatch, Page, PageRequest, StorageError, random};
use store::{
    CertificateRow, EnrollmentKey, EnrollmentKind, EnrollmentRow, EnrollmentVersion, Lock,
    StoreError, Tx, Unit, View,
};
use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

use super::act::Act;
use super::damaged::readable;
use super::registrations::EndPending;
use super::{Provisioning, references};
use crate::enrollment::{EnrolledCertificate, EnrollmentDraft, EnrollmentError, EnrollmentRecord};

mod cache;
mod put;

pub(super) use cache::EnrollmentCache;
pub(super) use put::taken;

use put::PutEnrollment;

fn record(view: &View<'_>, row: EnrollmentRow) -> Result<EnrollmentRecord, StoreError> {
    let certificate = |row: CertificateRow| EnrolledCertificate {
        slot: row.slot,
        der: row.der,
        thumbprint: row.thumbprint,
        subject: row.subject,
    };
    Ok(EnrollmentRecord {
        key: row.key,
        etag: row.etag,
        enabled: row.enabled,
        // Blocks disable the enrollment and change its etag: an enabled one is not looked up.
        blocked: !row.enabled && view.is_blocked(row.id)?,
        attestation: row.attestation,
        document: view.decoded("enrollment", serde_json::from_str(&row.document))?,
        certificates: view
            .certificates(row.id)?
            .into_iter()
            .map(certificate)
            .collect(),
        ca_certificates: references::read(view, row.id)?,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    })
}

/// What an enrollment with this key must have to itself.
fn lock<'a>(id_scope: &'a str, kind: EnrollmentKind, folded: &'a str) -> Lock<'a> {
    match kind {
        EnrollmentKind::Individual => Lock::Enrollment { id_scope, folded },
        EnrollmentKind::Group => Lock::EnrollmentGroup { id_scope, folded },
    }
}

impl Provisioning {
    /// Creates or replaces an enrollment.
    pub async fn put_enrollment(
        &self,
        draft: EnrollmentDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<EnrollmentRecord, EnrollmentError> {
        let etag = self.registry.fresh_etag();
        let target = draft.key.to_string();
        let put = PutEnrollment::new(self.id_scope(), draft, if_match.clone(), etag, now);
        self.act_with_particulars(Act::PutEnrollment, target, put)
            .await
    }

    pub async fn enrollment(
        &self,
        key: &EnrollmentKey,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let version = view.enrollment_version(&id_scope, key)?;
            version.map_or(Ok(None), |version| self.current(view, version))
        })
    }

    /// Deletes an enrollment; an individual one with its registration record.
    pub async fn delete_enrollment(
        &self,
        key: &EnrollmentKey,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), EnrollmentError> {
        let delete = DeleteEnrollment {
            id_scope: self.id_scope(),
            folded: key.folded().into_owned(),
            key: key.clone(),
            if_match: if_match.clone(),
            now,
        };
        self.act(Act::DeleteEnrollment, key, delete).await
    }

    /// Lists enrollments of a kind by id in lower case. One that is damaged is logged and left out.
    pub async fn list_enrollments(
        &self,
        kind: EnrollmentKind,
        page: &PageRequest,
    ) -> Result<Page<Arc<EnrollmentRecord>>, StorageError> {
        let (id_scope, after, limit) = (self.id_scope(), page.key().to_owned(), page.limit());
        let scan = move |view: &View<'_>| {
            let found = view.enrollments_after(&id_scope, kind, &after, limit)?;
            let items = found.rows.into_iter().map(|listed| {
                let row = listed.row.map_err(StorageError::from);
                let record = row.and_then(|row| Ok(Arc::new(record(view, row)?)));
                let record = readable("an enrollment", &listed.key, record)?;
                Ok((listed.key, record))
            });
            Ok::<_, StorageError>((items.collect::<Result<Vec<_>, StorageError>>()?, found.more))
        };
        let (items, more) = self.registry.store().scan(scan).await?;
        let page = Page::of(items, more, |(key, _)| {
            Continuation::after(&key.to_ascii_lowercase())
        });
        Ok(page.keep(|(_, item)| item))
    }

    /// The individual enrollment of a registration id, whatever its case.
    pub async fn find_individual(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let version = view.individual_enrollment_version(&id_scope, id)?;
            version.map_or(Ok(None), |version| self.current(view, version))
        })
    }

    /// A key for an enrollment whose operator brings none: 64 random bytes, as Azure's have.
    #[must_use]
    pub fn fresh_enrollment_key(&self) -> KeyText {
        let bytes = Zeroizing::new(random::<64>(&**self.registry.entropy()));
        KeyText::from_bytes(&*bytes)
            .unwrap_or_else(|_| unreachable!("64 bytes are between 16 and 64"))
    }

    /// The enrollment of this row id and etag, from memory when it is the remembered one.
    pub(super) fn current(
        &self,
        view: &View<'_>,
        version: EnrollmentVersion,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        if let Some(known) = self.inner.enrollments.get(&version) {
            return Ok(Some(known));
        }
        // Row, certificates and references of one version: the cache holds under an etag what had
        // it.
        let whole = view.at_once(|view| {
            let row = view.enrollment_by_id(version.id)?;
            row.map(|row| record(view, row)).transpose()
        });
        let Some(record) = whole.map_err(|error: StoreError| error)?.map(Arc::new) else {
            return Ok(None);
        };
        self.inner.enrollments.put(version.id, &record);
        Ok(Some(record))
    }
}

/// The enrollment of a blocked device keeps the device out of its groups too.
fn require_not_blocked(
    view: &View<'_>,
    id_scope: &str,
    key: &EnrollmentKey,
) -> Result<(), EnrollmentError> {
    match key {
        EnrollmentKey::Individual(id) if view.has_block(id_scope, id)? => {
            Err(EnrollmentError::Blocked { key: key.clone() })
        }
        EnrollmentKey::Individual(_) | EnrollmentKey::Group(_) => Ok(()),
    }
}

struct DeleteEnrollment {
    id_scope: String,
    key: EnrollmentKey,
    /// The id in lower case.
    folded: String,
    if_match: IfMatch,
    now: Timestamp,
}

impl Unit for DeleteEnrollment {
    /// The enrollment, and the pending registration that ends with it.
    type Plan = (EnrollmentVersion, Option<EndPending>);
    type Output = ();
    type Error = EnrollmentError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let (id_scope, folded) = (&self.id_scope, &self.folded);
        let mut locks = vec![
            Lock::Service { id_scope },
            lock(id_scope, self.key.kind(), folded),
        ];
        if self.key.kind() == EnrollmentKind::Individual {
            locks.push(Lock::Registration { id_scope, folded });
        }
        locks
    }

    fn locks_of_plan<'a>(&'a self, (_, end): &'a Self::Plan) -> Vec<Lock<'a>> {
        end.iter().flat_map(EndPending::locks).collect()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, EnrollmentError> {
        let Self { id_scope, key, .. } = self;
        let Some(stored) = view.enrollment_version(id_scope, key)? else {
            return Err(EnrollmentError::NotFound(key.clone()));
        };
        if !self.if_match.allows(&stored.etag) {
            return Err(EnrollmentError::PreconditionFailed(key.clone()));
        }
        require_not_blocked(view, id_scope, key)?;
        let end = match key {
            EnrollmentKey::Individual(id) => EndPending::decide(view, id_scope, id, None)?,
            EnrollmentKey::Group(_) => None,
        };
        Ok((stored, end))
    }

    fn apply(&self, tx: &Tx<'_>, (stored, end): Self::Plan) -> Result<(), StoreError> {
        let Self { id_scope, key, .. } = self;
        tx.delete_enrollment(id_scope, key, &stored)?;
        tx.forget_withdrawn_ca_certificates(id_scope)?;
        if let EnrollmentKey::Individual(id) = key {
            if let Some(end) = end {
                end.apply(tx, self.now)?;
            }
            tx.delete_registration(id_scope, id)?;
        }
        Ok(())
    }
}
