//! The enrollments that name a CA of an issuer, by certificate or by the name of an uploaded one,
//! and what a roll makes of them.

use ids::{Etag, Thumbprint, Timestamp};
use serde_json::Value;
use store::{
    CaCertificateReference, CaCertificateRow, CaCertificateState, CertificateRow, CertificateSlot,
    EnrollmentKey, EnrollmentKind, EnrollmentRow, StoreError, Tx, View,
};
use wire::certificate_info::CertificateInfo;
use wire::service_api::enrollment::{
    Attestation, CaReferences, CertificatePair, CertificateWithInfo, X509Attestation,
};

use crate::limits::MAX_CA_CERTIFICATES;
use crate::roll::{NextAuthority, RollError, Slots, with_both, with_new_only, without};

/// What a roll does to slots.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Both CAs are admitted.
    Start,
    /// The new one takes the place of the old one.
    Finish,
    /// The new one goes.
    Abandon,
}

/// The CA certificates of a roll in a service.
pub(super) struct SlotRoll<'a> {
    pub(super) id_scope: &'a str,
    pub(super) old: Thumbprint,
    pub(super) new: &'a NextAuthority,
    pub(super) change: Change,
    /// The only enrollment that is changed; `None`: all that name the old CA.
    pub(super) only: Option<&'a EnrollmentKey>,
    /// Makes the new versions, each with a row id behind it.
    pub(super) etag: &'a Etag,
    pub(super) now: Timestamp,
}

/// What is written of the enrollments of a roll.
#[derive(Default)]
pub(super) struct SlotPlan {
    enrollments: Vec<EnrollmentChange>,
    /// The new CA certificate, when it has to be uploaded first.
    upload: Option<CaCertificateRow>,
    uploaded: Option<i64>,
}

struct EnrollmentChange {
    before: Etag,
    row: EnrollmentRow,
    slots: NewSlots,
}

enum NewSlots {
    Own(Vec<CertificateRow>),
    /// Row ids; `None` stands for the one that is uploaded with this.
    References(Slots<Option<i64>>),
}

impl SlotRoll<'_> {
    pub(super) fn decide(&self, view: &View<'_>) -> Result<SlotPlan, RollError> {
        let mut plan = SlotPlan::default();
        let new = self.new.generation.thumbprint;
        let mut own = Vec::new();
        for thumbprint in [self.old, new] {
            let owner = view.enrollment_of_certificate(self.id_scope, &thumbprint)?;
            own.extend(
                owner
                    .map(|version| version.id)
                    .filter(|id| !own.contains(id)),
            );
        }
        for id in own {
            let row = view.enrollment_by_id(id)?;
            let row =
                row.ok_or_else(|| view.damaged("certificate", "its enrollment is missing"))?;
            if self.is_meant(&row) {
                plan.enrollments.extend(self.own(view, row)?);
            }
        }
        self.referring(view, &mut plan)?;
        Ok(plan)
    }

    fn is_meant(&self, row: &EnrollmentRow) -> bool {
        self.only.is_none_or(|only| *only == row.key)
    }

    /// An enrollment that has the certificate itself.
    fn own(
        &self,
        view: &View<'_>,
        mut row: EnrollmentRow,
    ) -> Result<Option<EnrollmentChange>, RollError> {
        let new = self.new.generation.thumbprint;
        let certificates = view.certificates(row.id)?;
        let slots: Slots<Thumbprint> = certificates
            .iter()
            .map(|one| (one.slot, one.thumbprint))
            .collect();
        let has = |wanted| slots.iter().any(|(_, one)| *one == wanted);
        if !has(self.old) {
            return match self.change {
                Change::Start => Err(RollError::CertificateTaken { other: row.key }),
                Change::Finish | Change::Abandon => Ok(None),
            };
        }
        let wanted = self.wanted(&slots, self.old, new, &row)?;
        if wanted == slots {
            return Ok(None);
        }
        let owner = view.enrollment_of_certificate(self.id_scope, &new)?;
        self.require_free(view, &row, owner.map(|version| version.id))?;
        let mut document = DocumentSlots::read(view, &row)?;
        document.write_own(&slots, &wanted, new, &self.new.info);
        row.document = document.text();
        let rows = wanted.into_iter().map(|(slot, thumbprint)| {
            let kept = certificates.iter().find(|one| one.thumbprint == thumbprint);
            let added = || CertificateRow {
                thumbprint,
                slot,
                der: self.new.der.clone(),
                subject: Some(self.new.subject.clone()),
            };
            let row = kept.cloned().unwrap_or_else(added);
            CertificateRow { slot, ..row }
        });
        Ok(Some(self.changed(row, NewSlots::Own(rows.collect()))))
    }

    /// The enrollments that name an uploaded certificate.
    fn referring(&self, view: &View<'_>, plan: &mut SlotPlan) -> Result<(), RollError> {
        let new = self.new.generation.thumbprint;
        let old = view.ca_certificate_of_certificate(self.id_scope, &self.old)?;
        let Some(old) = old else {
            return Ok(());
        };
        let referring = view.enrollments_of_ca_certificate(old.id, usize::MAX >> 1)?;
        if referring.is_empty() {
            return Ok(());
        }
        let uploaded = view.ca_certificate_of_certificate(self.id_scope, &new)?;
        let (name, id) = match (&uploaded, self.change) {
            (Some(row), _) if row.state == CaCertificateState::Verified => {
                (row.name.clone(), Some(row.id))
            }
            (Some(row), _) => return Err(RollError::NotVerified(row.name.clone())),
            // Nothing refers to what is not there.
            (None, Change::Abandon) => return Ok(()),
            (None, Change::Start | Change::Finish) => {
                let row = self.upload(view, &old)?;
                let name = row.name.clone();
                plan.upload = Some(row);
                (name, None)
            }
        };
        plan.uploaded = id;
        for key in referring {
            let row = view.enrollment(self.id_scope, &key)?;
            let Some(mut row) = row.filter(|row| self.is_meant(row)) else {
                continue;
            };
            let referred = view.ca_certificates_of_enrollment(row.id)?;
            let slots = referred.iter().map(|one| (one.slot, Some(one.row.id)));
            let slots: Slots<Option<i64>> = slots.collect();
            let wanted = self.wanted(&slots, Some(old.id), id, &row)?;
            if wanted == slots {
                continue;
            }
            let owner = match (row.key.kind(), id) {
                (EnrollmentKind::Group, Some(id)) => {
                    view.other_group_of_ca_certificate(id, row.id)?
                }
                _ => None,
            };
            self.require_free(view, &row, owner)?;
            let names = wanted.iter().map(|(slot, id)| {
                let known = referred.iter().find(|one| Some(one.row.id) == *id);
                (*slot, known.map_or(&name, |one| &one.row.name).clone())
            });
            let mut document = DocumentSlots::read(view, &row)?;
            document.write_references(names.collect());
            row.document = document.text();
            plan.enrollments
                .push(self.changed(row, NewSlots::References(wanted)));
        }
        Ok(())
    }

    /// A certificate leads to one group.
    fn require_free(
        &self,
        view: &View<'_>,
        row: &EnrollmentRow,
        owner: Option<i64>,
    ) -> Result<(), RollError> {
        let Some(owner) = owner.filter(|owner| *owner != row.id) else {
            return Ok(());
        };
        let other = view.enrollment_by_id(owner)?;
        match (other, self.change) {
            (Some(other), Change::Start | Change::Finish) => {
                Err(RollError::CertificateTaken { other: other.key })
            }
            _ => Ok(()),
        }
    }

    fn wanted<T: Copy + PartialEq>(
        &self,
        slots: &Slots<T>,
        old: T,
        new: T,
        row: &EnrollmentRow,
    ) -> Result<Slots<T>, RollError> {
        match self.change {
            Change::Start => with_both(slots, old, new).map_err(|_| RollError::SlotTaken {
                enrollment: row.key.clone(),
            }),
            Change::Finish => Ok(with_new_only(slots, old, new)),
            Change::Abandon => Ok(without(slots, new)),
        }
    }

    fn changed(&self, mut row: EnrollmentRow, slots: NewSlots) -> EnrollmentChange {
        let etag = Etag::parse(&format!("{}-{}", self.etag, row.id));
        let etag = etag.unwrap_or_else(|_| self.etag.clone());
        let before = std::mem::replace(&mut row.etag, etag);
        row.updated = self.now.ticks();
        EnrollmentChange { before, row, slots }
    }

    /// The new CA certificate beside the old one. The server has its key: it is verified.
    fn upload(
        &self,
        view: &View<'_>,
        old: &CaCertificateRow,
    ) -> Result<CaCertificateRow, RollError> {
        if view.ca_certificate_count(self.id_scope)? >= MAX_CA_CERTIFICATES {
            return Err(RollError::TooManyCaCertificates(MAX_CA_CERTIFICATES));
        }
        let thumbprint = self.new.generation.thumbprint;
        let start: String = old.name.as_str().chars().take(50).collect();
        let digits: String = thumbprint.to_string().chars().take(12).collect();
        let name = format!("{start}-{digits}");
        Ok(CaCertificateRow {
            id: 0,
            name: view.decoded("name", name.parse())?,
            thumbprint,
            subject: self.new.subject.clone(),
            der: self.new.der.clone(),
            state: CaCertificateState::Verified,
            code: None,
            etag: self.etag.clone(),
            created: self.now.ticks(),
            updated: self.now.ticks(),
        })
    }
}

impl SlotPlan {
    pub(super) fn apply(self, tx: &Tx<'_>, id_scope: &str) -> Result<(), StoreError> {
        let uploaded = match &self.upload {
            Some(row) => Some(tx.insert_ca_certificate(id_scope, row)?),
            None => self.uploaded,
        };
        for EnrollmentChange { before, row, slots } in self.enrollments {
            tx.update_enrollment(id_scope, &before, &row)?;
            match slots {
                NewSlots::Own(rows) => tx.replace_certificates(id_scope, row.id, &rows)?,
                NewSlots::References(slots) => {
                    let references = slots.into_iter().filter_map(|(slot, id)| {
                        let ca_certificate = id.or(uploaded)?;
                        Some(CaCertificateReference {
                            slot,
                            ca_certificate,
                        })
                    });
                    let references: Vec<_> = references.collect();
                    tx.replace_ca_certificates(id_scope, row.id, &references)?;
                }
            }
        }
        tx.forget_withdrawn_ca_certificates(id_scope)
    }
}

/// The certificates that the document of an enrollment describes.
struct DocumentSlots {
    document: Value,
    attestation: Attestation,
}

impl DocumentSlots {
    fn read(view: &View<'_>, row: &EnrollmentRow) -> Result<Self, StoreError> {
        let document: Value = view.decoded("enrollment", serde_json::from_str(&row.document))?;
        let attestation = document.get("attestation").cloned().unwrap_or_default();
        Ok(Self {
            attestation: view.decoded("attestation", serde_json::from_value(attestation))?,
            document,
        })
    }

    fn write_own(
        &mut self,
        before: &Slots<Thumbprint>,
        wanted: &Slots<Thumbprint>,
        new: Thumbprint,
        info: &CertificateInfo,
    ) {
        let Attestation::X509 { x509 } = &mut self.attestation else {
            return;
        };
        let X509Attestation::SigningCertificates(pair) = x509.as_mut() else {
            return;
        };
        let described = |slot| match slot {
            CertificateSlot::Primary => pair.primary.clone(),
            CertificateSlot::Secondary => pair.secondary.clone(),
        };
        let at = |slot| {
            let (_, thumbprint) = wanted.iter().find(|(wanted, _)| *wanted == slot)?;
            match before.iter().find(|(_, one)| one == thumbprint) {
                Some((slot, _)) => described(*slot),
                None if *thumbprint == new => Some(CertificateWithInfo { info: info.clone() }),
                None => None,
            }
        };
        let (primary, secondary) = (at(CertificateSlot::Primary), at(CertificateSlot::Secondary));
        *pair = CertificatePair { primary, secondary };
    }

    fn write_references(&mut self, names: Slots<ids::CertificateName>) {
        let mut references = CaReferences {
            primary: None,
            secondary: None,
        };
        for (slot, name) in names {
            match slot {
                CertificateSlot::Primary => references.primary = Some(name),
                CertificateSlot::Secondary => references.secondary = Some(name),
            }
        }
        self.attestation = Attestation::X509 {
            x509: Box::new(X509Attestation::CaReferences(references)),
        };
    }

    fn text(mut self) -> String {
        // Our own types have no maps with keys that are not text.
        self.document["attestation"] = serde_json::to_value(&self.attestation).unwrap_or_default();
        self.document.to_string()
    }
}
