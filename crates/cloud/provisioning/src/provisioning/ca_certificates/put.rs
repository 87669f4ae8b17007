//! Uploading or replacing a CA certificate.

use ids::Thumbprint;
use registry::{Particulars, PutDecision};
use serde_json::json;
use store::{CaCertificateRow, CaCertificateState, Lock, StoreError, Tx, Unit, View};

use super::stored::Change;
use super::{THUMBPRINT, enrollments, is_there};
use crate::ca_certificate::{CaCertificate, CaCertificateDraft, CaCertificateError};
use crate::limits::MAX_CA_CERTIFICATES;

pub(super) struct PutCaCertificate {
    pub(super) change: Change,
    pub(super) draft: CaCertificateDraft,
}

/// The row to be written, and the certificate that had the name before, also one that was deleted
/// while enrollments referred to it.
pub(super) struct PutPlan {
    row: CaCertificateRow,
    before: Option<Thumbprint>,
}

impl PutCaCertificate {
    fn base(
        &self,
        view: &View<'_>,
        stored: Option<CaCertificateRow>,
    ) -> Result<CaCertificateRow, CaCertificateError> {
        let name = &self.draft.name;
        let etag = stored.as_ref().filter(|row| is_there(row));
        let etag = etag.map(|row| row.etag.clone());
        match self.change.if_match.decide_put(etag.as_ref()) {
            PutDecision::Create => self.new_row(view, stored),
            PutDecision::Replace => match stored {
                Some(row) => self.replaced(view, row),
                None => Err(CaCertificateError::NotFound(name.clone())),
            },
            PutDecision::Conflict => Err(CaCertificateError::Exists(name.clone())),
            PutDecision::Mismatch if etag.is_none() => {
                Err(CaCertificateError::NotFound(name.clone()))
            }
            PutDecision::Mismatch => Err(CaCertificateError::PreconditionFailed(name.clone())),
        }
    }

    /// `withdrawn` is left of a deleted one of this name: the enrollments that refer to
    /// it follow the name.
    fn new_row(
        &self,
        view: &View<'_>,
        withdrawn: Option<CaCertificateRow>,
    ) -> Result<CaCertificateRow, CaCertificateError> {
        let there = view.ca_certificate_count(&self.change.id_scope)?;
        if there >= MAX_CA_CERTIFICATES {
            return Err(CaCertificateError::TooMany(MAX_CA_CERTIFICATES));
        }
        let now = self.change.now.ticks();
        let (id, etag) = match withdrawn {
            Some(row) => (row.id, row.etag),
            None => (0, self.change.etag.clone()),
        };
        Ok(CaCertificateRow {
            id,
            name: self.draft.name.clone(),
            thumbprint: self.draft.thumbprint,
            subject: Vec::new(),
            der: Vec::new(),
            state: CaCertificateState::Unverified,
            code: None,
            etag,
            created: now,
            updated: now,
        })
    }

    fn replaced(
        &self,
        view: &View<'_>,
        mut row: CaCertificateRow,
    ) -> Result<CaCertificateRow, CaCertificateError> {
        let is_same = row.thumbprint == self.draft.thumbprint;
        let is_relied_on = row.state == CaCertificateState::Verified;
        if is_relied_on && !(is_same && self.draft.verified != Some(false)) {
            let enrollments = enrollments(view, row.id)?;
            if !enrollments.is_empty() {
                let name = self.draft.name.clone();
                return Err(CaCertificateError::InUse { name, enrollments });
            }
        }
        if !is_same {
            (row.state, row.code) = (CaCertificateState::Unverified, None);
        }
        Ok(row)
    }

    /// One certificate has one name.
    fn require_free(
        &self,
        view: &View<'_>,
        row: &CaCertificateRow,
    ) -> Result<(), CaCertificateError> {
        let (id_scope, thumbprint) = (&self.change.id_scope, self.draft.thumbprint);
        let other = view.ca_certificate_of_certificate(id_scope, &thumbprint)?;
        match other.filter(|other| other.id != row.id) {
            Some(other) => Err(CaCertificateError::CertificateTaken {
                thumbprint,
                other: other.name,
            }),
            None => Ok(()),
        }
    }
}

impl Unit for PutCaCertificate {
    type Plan = PutPlan;
    type Output = (CaCertificate, Particulars);
    type Error = CaCertificateError;

    fn locks(&self) -> Vec<Lock<'_>> {
        self.change.locks()
    }

    fn decide(&self, view: &View<'_>) -> Result<PutPlan, CaCertificateError> {
        let Self { change, draft } = self;
        let stored = view.ca_certificate(&change.id_scope, &draft.name)?;
        let before = stored.as_ref().map(|row| row.thumbprint);
        let mut row = self.base(view, stored)?;
        self.require_free(view, &row)?;
        match draft.verified {
            Some(true) => row.state = CaCertificateState::Verified,
            Some(false) => row.state = CaCertificateState::Unverified,
            None => {}
        }
        row.thumbprint = draft.thumbprint;
        row.subject.clone_from(&draft.subject);
        row.der.clone_from(&draft.der);
        Ok(PutPlan { row, before })
    }

    fn apply(&self, tx: &Tx<'_>, plan: PutPlan) -> Result<Self::Output, StoreError> {
        let PutPlan { row, before } = plan;
        let Self { change, draft } = self;
        if row.id != 0 {
            change.touch_enrollments(tx, &row)?;
        }
        let written = change.write(tx, row)?;
        let mut particulars = Particulars::new();
        let thumbprint = draft.thumbprint;
        particulars.insert(THUMBPRINT.to_owned(), json!(thumbprint.to_string()));
        particulars.insert("standing".to_owned(), json!(written.state.name()));
        if let Some(before) = before.filter(|before| *before != thumbprint) {
            particulars.insert("replacedThumbprint".to_owned(), json!(before.to_string()));
        }
        Ok((written, particulars))
    }
}
