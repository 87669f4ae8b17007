//! Enrollments of the provisioning service.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ids::{Etag, RegistrationId, Thumbprint, Timestamp};
use registry::{
    Continuation, IfMatch, Page, PageRequest, Particulars, PutDecision, Rows, StorageError, random,
};
use serde_json::json;
use store::{CertificateRow, EnrollmentRow, Tx, View};
use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

use super::act::Act;
use super::issuers::NamedByEnrollment;
use super::registrations::end_pending;
use super::{Provisioning, references};
use crate::enrollment::{
    AttestationKind, CertificateSlot, EnrolledCertificate, EnrollmentDraft, EnrollmentError,
    EnrollmentKey, EnrollmentKind, EnrollmentRecord,
};
use crate::limits::MAX_KEYED_GROUPS;

/// Entries remembered at most.
const REMEMBERED: usize = 4096;

/// Entries as last read, by row id. Each use asks the database whether the etag is still the same; only the parsing is saved.
#[derive(Default)]
pub(crate) struct EnrollmentCache(Mutex<HashMap<i64, Arc<EnrollmentRecord>>>);

impl EnrollmentCache {
    fn get(&self, id: i64, etag: &str) -> Option<Arc<EnrollmentRecord>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(&id)
            .filter(|entry| entry.etag.as_str() == etag)
            .cloned()
    }

    fn put(&self, id: i64, record: &Arc<EnrollmentRecord>) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= REMEMBERED {
            entries.clear();
        }
        entries.insert(id, record.clone());
    }
}

fn kind_text(kind: EnrollmentKind) -> &'static str {
    match kind {
        EnrollmentKind::Individual => "individual",
        EnrollmentKind::Group => "group",
    }
}

pub(super) fn slot_text(slot: CertificateSlot) -> &'static str {
    match slot {
        CertificateSlot::Primary => "primary",
        CertificateSlot::Secondary => "secondary",
    }
}

/// Enrollments by kind and spelled id.
pub(super) fn parse_keys(
    view: &View<'_>,
    found: Vec<(String, String)>,
) -> Result<Vec<EnrollmentKey>, StorageError> {
    let rows = Rows { file: view.file() };
    let keys = found.into_iter();
    keys.map(|(kind, spelled)| parse_key(rows, &kind, &spelled))
        .collect()
}

pub(super) fn parse_key(
    rows: Rows<'_>,
    kind: &str,
    spelled: &str,
) -> Result<EnrollmentKey, StorageError> {
    match kind {
        "individual" => Ok(EnrollmentKey::Individual(
            rows.id("registration id", spelled.parse())?,
        )),
        _ => Ok(EnrollmentKey::Group(
            rows.id("enrollment group id", spelled.parse())?,
        )),
    }
}

fn attestation(rows: Rows<'_>, text: &str) -> Result<AttestationKind, StorageError> {
    let mut all = AttestationKind::ALL.into_iter();
    let found = all.find(|kind| kind.name() == text);
    found.ok_or_else(|| rows.damaged("attestation", "is not one"))
}

fn record(view: &View<'_>, row: EnrollmentRow) -> Result<EnrollmentRecord, StorageError> {
    let rows = Rows { file: view.file() };
    let certificate = |row: CertificateRow| EnrolledCertificate {
        slot: if row.slot == "primary" {
            CertificateSlot::Primary
        } else {
            CertificateSlot::Secondary
        },
        der: row.der,
        thumbprint: Thumbprint::from_bytes(row.thumbprint),
        subject: row.subject,
    };
    Ok(EnrollmentRecord {
        key: parse_key(rows, &row.kind, &row.spelled)?,
        etag: rows.id("etag", row.etag.try_into())?,
        enabled: row.enabled,
        // Blocks disable the entry and change its etag: what may let somebody in is not looked up.
        blocked: !row.enabled && view.is_blocked(row.id)?,
        attestation: attestation(rows, &row.attestation)?,
        document: rows.json("enrollment", &row.document)?,
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

impl Provisioning {
    /// Creates or replaces an entry.
    ///
    /// # Errors
    /// See [`EnrollmentError`].
    pub async fn put_enrollment(
        &self,
        draft: EnrollmentDraft,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<EnrollmentRecord, EnrollmentError> {
        let put = PutEnrollment {
            id_scope: self.id_scope(),
            etag: self.registry.fresh_etag(),
            // Serialised here, so that the writer's thread does not have to.
            document: draft.document.to_string(),
            draft,
            if_match: if_match.clone(),
            now,
        };
        let target = put.draft.key.to_string();
        let work = move |tx: &Tx<'_>, told: &mut Particulars| {
            let record = put.run(tx)?;
            told.insert("enabled".to_owned(), json!(record.enabled));
            let certificates = record.certificates.iter();
            let thumbprints: Vec<String> = certificates
                .map(|certificate| certificate.thumbprint.to_string())
                .collect();
            if !thumbprints.is_empty() {
                told.insert("sha256Thumbprints".to_owned(), json!(thumbprints));
            }
            Ok(record)
        };
        self.act_telling(Act::PutEnrollment, target, work).await
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn enrollment(
        &self,
        key: &EnrollmentKey,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        let (kind, folded, id_scope) = (kind_text(key.kind()), key.folded(), self.id_scope());
        self.registry.store().read(|view| {
            let version = view.enrollment_version(&id_scope, kind, &folded)?;
            version.map_or(Ok(None), |version| self.current(view, version))
        })
    }

    /// Deletes an entry; an individual one with its registration record.
    ///
    /// # Errors
    /// See [`EnrollmentError`].
    pub async fn delete_enrollment(
        &self,
        key: &EnrollmentKey,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<(), EnrollmentError> {
        let (id_scope, if_match, key) = (self.id_scope(), if_match.clone(), key.clone());
        let target = key.to_string();
        let work = move |tx: &Tx<'_>| delete(tx, &id_scope, &key, &if_match, now);
        self.act(Act::DeleteEnrollment, target, work).await
    }

    /// Lists entries of a kind by folded id.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn list_enrollments(
        &self,
        kind: EnrollmentKind,
        page: &PageRequest,
    ) -> Result<Page<Arc<EnrollmentRecord>>, StorageError> {
        let (id_scope, after, limit) = (self.id_scope(), page.key().to_owned(), page.limit());
        let scan = move |view: &View<'_>| {
            let found = view.enrollments_after(&id_scope, kind_text(kind), &after, limit)?;
            let whole = |row| record(view, row).map(Arc::new);
            let items = found.rows.into_iter().map(whole);
            Ok::<_, StorageError>((items.collect::<Result<Vec<_>, StorageError>>()?, found.more))
        };
        let (items, more) = self.registry.store().scan(scan).await?;
        Ok(Page::of(items, more, |item| {
            Continuation::after(&item.key.folded())
        }))
    }

    /// The individual entry of a registration id, whatever its case.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find_individual(
        &self,
        id: &RegistrationId,
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let version = view.enrollment_version(&id_scope, "individual", id.folded())?;
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

    /// The entry of this row id and etag, from memory when it is the remembered one.
    pub(super) fn current(
        &self,
        view: &View<'_>,
        (id, etag): (i64, String),
    ) -> Result<Option<Arc<EnrollmentRecord>>, StorageError> {
        if let Some(known) = self.inner.enrollments.get(id, &etag) {
            return Ok(Some(known));
        }
        // Row, certificates and references of one version: what is remembered under an etag is what had it.
        let whole = view.at_once(|view| {
            let row = view.enrollment_by_id(id)?;
            row.map(|row| record(view, row)).transpose()
        });
        let Some(record) = whole.map_err(|error: StorageError| error)?.map(Arc::new) else {
            return Ok(None);
        };
        self.inner.enrollments.put(id, &record);
        Ok(Some(record))
    }
}

/// One PUT of an entry on the writer's thread.
struct PutEnrollment {
    id_scope: String,
    draft: EnrollmentDraft,
    document: String,
    if_match: IfMatch,
    etag: Etag,
    now: Timestamp,
}

impl PutEnrollment {
    fn run(self, tx: &Tx<'_>) -> Result<EnrollmentRecord, EnrollmentError> {
        let rows = Rows { file: tx.file() };
        let (kind, folded) = (kind_text(self.draft.key.kind()), self.draft.key.folded());
        require_not_blocked(tx, &self.id_scope, &self.draft.key)?;
        let stored = tx.enrollment(&self.id_scope, kind, &folded)?;
        let stored_etag = stored
            .as_ref()
            .map(|row| rows.id("etag", Etag::parse(&row.etag)));
        match self.if_match.decide_put(stored_etag.transpose()?.as_ref()) {
            PutDecision::Create | PutDecision::Replace => self.write(tx, stored),
            PutDecision::Conflict => Err(EnrollmentError::Exists(self.draft.key)),
            PutDecision::Mismatch if stored.is_none() => {
                Err(EnrollmentError::NotFound(self.draft.key))
            }
            PutDecision::Mismatch => Err(EnrollmentError::PreconditionFailed(self.draft.key)),
        }
    }

    /// For one more group with keys.
    fn require_room(&self, tx: &Tx<'_>) -> Result<(), EnrollmentError> {
        let draft = &self.draft;
        let is_keyed = draft.attestation == AttestationKind::SymmetricKey;
        if draft.key.kind() == EnrollmentKind::Group
            && is_keyed
            && tx.groups_with_keys(&self.id_scope)?.len() >= MAX_KEYED_GROUPS
        {
            return Err(EnrollmentError::TooManyKeyed(MAX_KEYED_GROUPS));
        }
        Ok(())
    }

    fn write(
        self,
        tx: &Tx<'_>,
        stored: Option<EnrollmentRow>,
    ) -> Result<EnrollmentRecord, EnrollmentError> {
        let is_keyed = stored
            .as_ref()
            .is_some_and(|row| row.attestation == AttestationKind::SymmetricKey.name());
        if !is_keyed {
            self.require_room(tx)?;
        }
        let key = &self.draft.key;
        let is_new = stored.is_none();
        let mut row = stored.unwrap_or_else(|| EnrollmentRow {
            id: 0,
            kind: kind_text(key.kind()).to_owned(),
            folded: key.folded(),
            spelled: key.as_str().to_owned(),
            etag: String::new(),
            enabled: true,
            attestation: String::new(),
            document: String::new(),
            created: self.now.ticks(),
            updated: self.now.ticks(),
        });
        row.etag = self.etag.to_string();
        row.enabled = self.draft.enabled;
        self.draft
            .attestation
            .name()
            .clone_into(&mut row.attestation);
        row.document = self.document;
        row.updated = self.now.ticks();
        match is_new {
            true => row.id = tx.insert_enrollment(&self.id_scope, &row)?,
            false => tx.update_enrollment(&row)?,
        }
        let certificates = distinct(&self.draft.certificates);
        require_free(tx, &self.id_scope, row.id, &certificates)?;
        tx.replace_certificates(&self.id_scope, row.id, &certificates)?;
        references::write(tx, &self.id_scope, row.id, &self.draft)?;
        NamedByEnrollment::find(tx, &self.id_scope, &self.draft)?.write(tx, row.id)?;
        Ok(record(tx, row)?)
    }
}

/// The certificates, each once: the same one in both slots is kept as primary.
fn distinct(certificates: &[EnrolledCertificate]) -> Vec<CertificateRow> {
    let mut rows = BTreeMap::new();
    for certificate in certificates {
        let row = CertificateRow {
            thumbprint: *certificate.thumbprint.as_bytes(),
            slot: slot_text(certificate.slot).to_owned(),
            der: certificate.der.clone(),
            subject: certificate.subject.clone(),
        };
        rows.entry(row.thumbprint).or_insert(row);
    }
    rows.into_values().collect()
}

fn require_free(
    tx: &Tx<'_>,
    id_scope: &str,
    id: i64,
    certificates: &[CertificateRow],
) -> Result<(), EnrollmentError> {
    for certificate in certificates {
        let thumbprint = &certificate.thumbprint;
        let owner = tx.enrollment_of_certificate(id_scope, thumbprint)?;
        // A group that refers to the certificate by its name has it no less.
        let owner = owner.or(tx.group_of_ca_certificate(id_scope, thumbprint)?);
        if let Some((other, _)) = owner.filter(|(owner, _)| *owner != id) {
            return Err(taken(tx, thumbprint, other)?);
        }
    }
    Ok(())
}

pub(super) fn taken(
    tx: &Tx<'_>,
    thumbprint: &[u8; 32],
    other: i64,
) -> Result<EnrollmentError, EnrollmentError> {
    let rows = Rows { file: tx.file() };
    let other = tx.enrollment_by_id(other)?;
    let other = other.ok_or_else(|| rows.damaged("certificate", "its entry is not there"))?;
    Ok(EnrollmentError::CertificateTaken {
        thumbprint: Thumbprint::from_bytes(*thumbprint),
        other: parse_key(rows, &other.kind, &other.spelled)?,
    })
}

/// The entry of a blocked device is what keeps it out of its groups too.
fn require_not_blocked(
    tx: &Tx<'_>,
    id_scope: &str,
    key: &EnrollmentKey,
) -> Result<(), EnrollmentError> {
    match key {
        EnrollmentKey::Individual(id) if tx.block(id_scope, id.folded())?.is_some() => {
            Err(EnrollmentError::Blocked { key: key.clone() })
        }
        EnrollmentKey::Individual(_) | EnrollmentKey::Group(_) => Ok(()),
    }
}

fn delete(
    tx: &Tx<'_>,
    id_scope: &str,
    key: &EnrollmentKey,
    if_match: &IfMatch,
    now: Timestamp,
) -> Result<(), EnrollmentError> {
    let stored = tx.enrollment(id_scope, kind_text(key.kind()), &key.folded())?;
    let Some(stored) = stored else {
        return Err(EnrollmentError::NotFound(key.clone()));
    };
    let etag = Rows { file: tx.file() }.id("etag", Etag::parse(&stored.etag))?;
    if !if_match.allows(&etag) {
        return Err(EnrollmentError::PreconditionFailed(key.clone()));
    }
    require_not_blocked(tx, id_scope, key)?;
    tx.delete_enrollment(&stored)?;
    tx.forget_withdrawn_ca_certificates(id_scope)?;
    if key.kind() == EnrollmentKind::Individual {
        end_pending(tx, id_scope, &key.folded(), None, now)?;
        tx.delete_registration(id_scope, &key.folded())?;
    }
    Ok(())
}
