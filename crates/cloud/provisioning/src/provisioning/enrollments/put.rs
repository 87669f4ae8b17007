//! Creating and replacing an enrollment.

use std::collections::BTreeMap;

use ids::{Etag, Thumbprint, Timestamp};
use registry::{IfMatch, Particulars, PutDecision};
use serde_json::json;
use store::{
    AttestationKind, CertificateRow, EnrollmentKind, EnrollmentRow, Lock, StoreError, Tx, Unit,
    View,
};

use super::super::issuers::named_rows;
use super::super::references::{self, References};
use super::{lock, record, require_not_blocked};
use crate::enrollment::{EnrolledCertificate, EnrollmentDraft, EnrollmentError, EnrollmentRecord};
use crate::limits::MAX_KEYED_GROUPS;

/// One PUT of an enrollment.
pub(super) struct PutEnrollment {
    id_scope: String,
    draft: EnrollmentDraft,
    /// The id in lower case.
    folded: String,
    document: String,
    certificates: Vec<CertificateRow>,
    if_match: IfMatch,
    etag: Etag,
    now: Timestamp,
}

/// What is written of an enrollment.
pub(super) struct PutPlan {
    row: EnrollmentRow,
    /// The etag of the row that was read; `None` for a new enrollment.
    before: Option<Etag>,
    /// References to CA certificates; `None` leaves that there are none.
    references: Option<References>,
}

impl PutEnrollment {
    pub(super) fn new(
        id_scope: String,
        draft: EnrollmentDraft,
        if_match: IfMatch,
        etag: Etag,
        now: Timestamp,
    ) -> Self {
        Self {
            id_scope,
            folded: draft.key.folded().into_owned(),
            // Serialised here, so that the writer's thread does not have to.
            document: draft.document.to_string(),
            certificates: distinct(&draft.certificates),
            draft,
            if_match,
            etag,
            now,
        }
    }

    /// What is stored of the enrollment, when it may be written.
    fn stored(&self, view: &View<'_>) -> Result<Option<EnrollmentRow>, EnrollmentError> {
        let key = &self.draft.key;
        require_not_blocked(view, &self.id_scope, key)?;
        let stored = view.enrollment(&self.id_scope, key)?;
        match self
            .if_match
            .decide_put(stored.as_ref().map(|row| &row.etag))
        {
            PutDecision::Create | PutDecision::Replace => Ok(stored),
            PutDecision::Conflict => Err(EnrollmentError::Exists(key.clone())),
            PutDecision::Mismatch if stored.is_none() => {
                Err(EnrollmentError::NotFound(key.clone()))
            }
            PutDecision::Mismatch => Err(EnrollmentError::PreconditionFailed(key.clone())),
        }
    }

    /// The row to be written over the stored one.
    fn row(
        &self,
        stored: Option<&EnrollmentRow>,
        (issuer, trust_bundle): (Option<i64>, Option<i64>),
    ) -> EnrollmentRow {
        EnrollmentRow {
            id: stored.map_or(0, |row| row.id),
            key: stored.map_or(&self.draft.key, |row| &row.key).clone(),
            etag: self.etag.clone(),
            enabled: self.draft.enabled,
            attestation: self.draft.attestation,
            document: self.document.clone(),
            issuer,
            trust_bundle,
            created: stored.map_or(self.now.ticks(), |row| row.created),
            updated: self.now.ticks(),
        }
    }

    /// Refuses one more group with keys than a token can be tried with.
    fn require_room(
        &self,
        view: &View<'_>,
        stored: Option<&EnrollmentRow>,
    ) -> Result<(), EnrollmentError> {
        let keyed = AttestationKind::SymmetricKey;
        let becomes_keyed = self.draft.attestation == keyed
            && stored.is_none_or(|stored| stored.attestation != keyed);
        if self.draft.key.kind() == EnrollmentKind::Group
            && becomes_keyed
            && view.groups_with_keys(&self.id_scope)?.len() >= MAX_KEYED_GROUPS
        {
            return Err(EnrollmentError::TooManyKeyed(MAX_KEYED_GROUPS));
        }
        Ok(())
    }

    /// Refuses certificates that another enrollment has.
    fn require_free(&self, view: &View<'_>, id: i64) -> Result<(), EnrollmentError> {
        for certificate in &self.certificates {
            let thumbprint = &certificate.thumbprint;
            let owner = view.enrollment_of_certificate(&self.id_scope, thumbprint)?;
            // A group that refers to the certificate by its name has it no less.
            let owner = owner.or(view.group_of_ca_certificate(&self.id_scope, thumbprint)?);
            if let Some(other) = owner.filter(|owner| owner.id != id) {
                return Err(taken(view, thumbprint, other.id)?);
            }
        }
        Ok(())
    }
}

impl Unit for PutEnrollment {
    type Plan = PutPlan;
    type Output = (EnrollmentRecord, Particulars);
    type Error = EnrollmentError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        // The service, because a certificate belongs to one enrollment of it.
        vec![
            Lock::Service { id_scope },
            lock(id_scope, self.draft.key.kind(), &self.folded),
        ]
    }

    fn decide(&self, view: &View<'_>) -> Result<PutPlan, EnrollmentError> {
        let stored = self.stored(view)?;
        let id = stored.as_ref().map_or(0, |row| row.id);
        self.require_room(view, stored.as_ref())?;
        self.require_free(view, id)?;
        let references = references::decide(view, &self.id_scope, id, &self.draft)?;
        let named = named_rows(view, &self.id_scope, &self.draft)?;
        Ok(PutPlan {
            row: self.row(stored.as_ref(), named),
            before: stored.map(|row| row.etag),
            references,
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: PutPlan) -> Result<Self::Output, StoreError> {
        let PutPlan {
            mut row,
            before,
            references,
        } = plan;
        let id_scope = &self.id_scope;
        match before {
            None => row.id = tx.insert_enrollment(id_scope, &row)?,
            Some(before) => tx.update_enrollment(id_scope, &before, &row)?,
        }
        tx.replace_certificates(id_scope, row.id, &self.certificates)?;
        if let Some(references) = references {
            references.write(tx, id_scope, row.id)?;
        }
        let record = record(tx, row)?;
        let particulars = particulars(&record);
        Ok((record, particulars))
    }
}

/// What the audit says of a written enrollment.
fn particulars(record: &EnrollmentRecord) -> Particulars {
    let mut particulars = Particulars::new();
    particulars.insert("enabled".to_owned(), json!(record.enabled));
    let certificates = record.certificates.iter();
    let thumbprints: Vec<String> = certificates
        .map(|certificate| certificate.thumbprint.to_string())
        .collect();
    if !thumbprints.is_empty() {
        particulars.insert("sha256Thumbprints".to_owned(), json!(thumbprints));
    }
    particulars
}

/// The certificates, each once: the same one in both slots is kept as primary.
fn distinct(certificates: &[EnrolledCertificate]) -> Vec<CertificateRow> {
    let mut rows = BTreeMap::new();
    for certificate in certificates {
        let row = CertificateRow {
            thumbprint: certificate.thumbprint,
            slot: certificate.slot,
            der: certificate.der.clone(),
            subject: certificate.subject.clone(),
        };
        rows.entry(row.thumbprint).or_insert(row);
    }
    rows.into_values().collect()
}

/// The refusal of a certificate that the enrollment `other` has.
pub(in super::super) fn taken(
    view: &View<'_>,
    thumbprint: &Thumbprint,
    other: i64,
) -> Result<EnrollmentError, EnrollmentError> {
    let other = view.enrollment_by_id(other)?;
    let other = other.ok_or_else(|| view.damaged("certificate", "its enrollment is missing"))?;
    Ok(EnrollmentError::CertificateTaken {
        thumbprint: *thumbprint,
        other: other.key,
    })
}
