//! References of enrollments to uploaded CA certificates.

use std::collections::BTreeSet;

use ids::CertificateName;
use registry::{Rows, StorageError};
use store::{CaCertificateRow, Tx, View};

use super::ca_certificates::standing;
use super::enrollments::{slot_text, taken};
use crate::ca_certificate::CaCertificateState;
use crate::enrollment::{
    CertificateSlot, EnrolledCaCertificate, EnrollmentDraft, EnrollmentError, EnrollmentKind,
};

/// The authorities that an entry refers to.
pub(super) fn read(
    view: &View<'_>,
    enrollment: i64,
) -> Result<Vec<EnrolledCaCertificate>, StorageError> {
    let rows = Rows { file: view.file() };
    let ca_certificate = |(slot, row): (String, CaCertificateRow)| {
        Ok(EnrolledCaCertificate {
            slot: match slot.as_str() {
                "primary" => CertificateSlot::Primary,
                _ => CertificateSlot::Secondary,
            },
            name: rows.id("authority", row.spelled.try_into())?,
            standing: standing(rows, &row.standing)?,
            der: row.der,
        })
    };
    let found = view.ca_certificates_of_entry(enrollment)?.into_iter();
    found.map(ca_certificate).collect()
}

/// Writes the references of a draft. A new one must be to a verified authority; one that is there already stays whatever has
/// become of the authority, so that the entry can be disabled or get another secondary.
pub(super) fn write(
    tx: &Tx<'_>,
    id_scope: &str,
    enrollment: i64,
    draft: &EnrollmentDraft,
) -> Result<(), EnrollmentError> {
    let before = tx.ca_certificates_of_entry(enrollment)?;
    if before.is_empty() && draft.ca_certificates.is_empty() {
        return Ok(());
    }
    let kept: BTreeSet<i64> = before.iter().map(|(_, row)| row.id).collect();
    let mut references = Vec::with_capacity(draft.ca_certificates.len());
    for (slot, name) in &draft.ca_certificates {
        let row = tx.ca_certificate(id_scope, &name.folded())?;
        let row = row.ok_or_else(|| EnrollmentError::NoCaCertificate(name.clone()))?;
        if !kept.contains(&row.id) {
            require_verified(name, &row)?;
        }
        if draft.key.kind() == EnrollmentKind::Group {
            require_own(tx, id_scope, enrollment, &row)?;
        }
        references.push((slot_text(*slot), row.id));
    }
    tx.replace_ca_certificates(enrollment, &references)?;
    tx.forget_withdrawn_ca_certificates(id_scope)?;
    Ok(())
}

fn require_verified(name: &CertificateName, row: &CaCertificateRow) -> Result<(), EnrollmentError> {
    let is = |standing: CaCertificateState| row.standing == standing.as_str();
    if is(CaCertificateState::Verified) {
        return Ok(());
    }
    Err(match is(CaCertificateState::Withdrawn) {
        true => EnrollmentError::NoCaCertificate(name.clone()),
        false => EnrollmentError::CaCertificateNotVerified(name.clone()),
    })
}

/// A group has its authority for itself, so that there is one answer to the question whose a device is.
fn require_own(
    tx: &Tx<'_>,
    id_scope: &str,
    enrollment: i64,
    row: &CaCertificateRow,
) -> Result<(), EnrollmentError> {
    let by_name = tx.other_group_of_ca_certificate(row.id, enrollment)?;
    let pasted = tx.enrollment_of_certificate(id_scope, &row.thumbprint)?;
    let pasted = pasted.map(|(id, _)| id).filter(|id| *id != enrollment);
    match by_name.or(pasted) {
        Some(other) => Err(taken(tx, &row.thumbprint, other)?),
        None => Ok(()),
    }
}
