//! Creating and replacing an enrollment.

use std::collections::BTreeMap;

use ids::{Etag, Thumbprint, Timestamp};
use registry::{IfMatch, Particulars, PutDecision};
use serde_json::json;
use store::{CertificateRow, EnrollmentRow, Lock, StoreError, Tx, Unit, View};

use super::super::issuers::NamedByEnrollment;
use super::super::names::{kind_name, parse_key, slot_name};
use super::super::references::{self, References};
use super::{lock, record, require_not_blocked};
use crate::enrollment::{
    AttestationKind, EnrolledCertificate, EnrollmentDraft, EnrollmentError, EnrollmentKind,
    EnrollmentRecord,
};
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
    before: Option<String>,
    /// References to CA certificates; `None` leaves that there are none.
    references: Option<References>,
    /// The issuer and the trust bundle.
    named: NamedByEnrollment,
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
            folded: draft.key.folded(),
            // Serialised here, so that the writer's thread does not have to.
            document: draft.document.to_string(),
            certificates: distinct(&draft.certificates),
            draft,
            if_match,
            etag,
            now,
        }
    }

    /// The row of the enrollment when it may be written; without an id when it is new.
    fn base(&self, view: &View<'_>) -> Result<EnrollmentRow, EnrollmentError> {
        let key = &self.draft.key;
        require_not_blocked(view, &self.id_scope, key)?;
        let stored = view.enrollment(&self.id_scope, kind_name(key.kind()), &self.folded)?;
        let etag = stored.as_ref();
        let etag = etag.map(|row| view.decoded("etag", Etag::parse(&row.etag)));
        match self.if_match.decide_put(etag.transpose()?.as_ref()) {
            PutDecision::Create | PutDecision::Replace => {}
            PutDecision::Conflict => return Err(EnrollmentError::Exists(key.clone())),
            PutDecision::Mismatch if stored.is_none() => {
                return Err(EnrollmentError::NotFound(key.clone()));
            }
            PutDecision::Mismatch => {
                return Err(EnrollmentError::PreconditionFailed(key.clone()));
            }
        }
        Ok(stored.unwrap_or_else(|| self.new_row()))
    }

    fn new_row(&self) -> EnrollmentRow {
        let key = &self.draft.key;
        EnrollmentRow {
            id: 0,
            kind: kind_name(key.kind()).to_owned(),
            folded: self.folded.clone(),
            spelled: key.as_str().to_owned(),
            etag: String::new(),
            enabled: true,
            attestation: String::new(),
            document: String::new(),
            created: self.now.ticks(),
            updated: self.now.ticks(),
        }
    }

    /// Refuses one more group with keys than a token can be tried with.
    fn require_room(&self, view: &View<'_>, stored: &EnrollmentRow) -> Result<(), EnrollmentError> {
        let keyed = AttestationKind::SymmetricKey;
        let becomes_keyed = self.draft.attestation == keyed && stored.attestation != keyed.name();
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
            if let Some((other, _)) = owner.filter(|(owner, _)| *owner != id) {
                return Err(taken(view, thumbprint, other)?);
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
        let mut row = self.base(view)?;
        self.require_room(view, &row)?;
        self.require_free(view, row.id)?;
        let references = references::decide(view, &self.id_scope, row.id, &self.draft)?;
        let named = NamedByEnrollment::find(view, &self.id_scope, &self.draft)?;
        let before = std::mem::replace(&mut row.etag, self.etag.to_string());
        let before = (row.id != 0).then_some(before);
        row.enabled = self.draft.enabled;
        self.draft
            .attestation
            .name()
            .clone_into(&mut row.attestation);
        row.document.clone_from(&self.document);
        row.updated = self.now.ticks();
        Ok(PutPlan {
            row,
            before,
            references,
            named,
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: PutPlan) -> Result<Self::Output, StoreError> {
        let PutPlan {
            mut row,
            before,
            references,
            named,
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
        named.write(tx, id_scope, row.id)?;
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
            thumbprint: *certificate.thumbprint.as_bytes(),
            slot: slot_name(certificate.slot).to_owned(),
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
    thumbprint: &[u8; 32],
    other: i64,
) -> Result<EnrollmentError, EnrollmentError> {
    let other = view.enrollment_by_id(other)?;
    let other = other.ok_or_else(|| view.damaged("certificate", "its enrollment is missing"))?;
    Ok(EnrollmentError::CertificateTaken {
        thumbprint: Thumbprint::from_bytes(*thumbprint),
        other: parse_key(view, &other.kind, &other.spelled)?,
    })
}
