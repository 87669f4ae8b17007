//! References of enrollments to uploaded CA certificates.

use std::collections::BTreeSet;

use ids::CertificateName;
use store::{
    CaCertificateReference, CaCertificateRow, CaCertificateState, EnrollmentKind,
    ReferredCaCertificate, StoreError, Tx, View,
};

use super::enrollments::taken;
use crate::enrollment::{EnrolledCaCertificate, EnrollmentDraft, EnrollmentError};

/// The CA certificates that an enrollment refers to.
pub(super) fn read(
    view: &View<'_>,
    enrollment: i64,
) -> Result<Vec<EnrolledCaCertificate>, StoreError> {
    let found = view.ca_certificates_of_enrollment(enrollment)?.into_iter();
    let ca_certificates = found.map(
        |ReferredCaCertificate { slot, row }| EnrolledCaCertificate {
            slot,
            name: row.name,
            state: row.state,
            der: row.der,
        },
    );
    Ok(ca_certificates.collect())
}

/// References to be written.
pub(super) struct References(Vec<CaCertificateReference>);

impl References {
    pub(super) fn write(
        self,
        tx: &Tx<'_>,
        id_scope: &str,
        enrollment: i64,
    ) -> Result<(), StoreError> {
        tx.replace_ca_certificates(id_scope, enrollment, &self.0)?;
        tx.forget_withdrawn_ca_certificates(id_scope)
    }
}

/// Decides the references of a draft. A new one must be to a verified CA certificate; one that is
/// there already stays whatever has become of the CA certificate, so that the enrollment can be
/// disabled or get another secondary. `None` when there are none and shall be none.
pub(super) fn decide(
    view: &View<'_>,
    id_scope: &str,
    enrollment: i64,
    draft: &EnrollmentDraft,
) -> Result<Option<References>, EnrollmentError> {
    let before = view.ca_certificates_of_enrollment(enrollment)?;
    if before.is_empty() && draft.ca_certificates.is_empty() {
        return Ok(None);
    }
    let kept: BTreeSet<i64> = before.iter().map(|referred| referred.row.id).collect();
    let mut references = Vec::with_capacity(draft.ca_certificates.len());
    for (slot, name) in &draft.ca_certificates {
        let row = view.ca_certificate(id_scope, name)?;
        let row = row.ok_or_else(|| EnrollmentError::NoCaCertificate(name.clone()))?;
        if !kept.contains(&row.id) {
            require_verified(name, &row)?;
        }
        if draft.key.kind() == EnrollmentKind::Group {
            require_own(view, id_scope, enrollment, &row)?;
        }
        references.push(CaCertificateReference {
            slot: *slot,
            ca_certificate: row.id,
        });
    }
    Ok(Some(References(references)))
}

fn require_verified(name: &CertificateName, row: &CaCertificateRow) -> Result<(), EnrollmentError> {
    match row.state {
        CaCertificateState::Verified => Ok(()),
        CaCertificateState::Unverified => {
            Err(EnrollmentError::CaCertificateNotVerified(name.clone()))
        }
        CaCertificateState::Withdrawn => Err(EnrollmentError::NoCaCertificate(name.clone())),
    }
}

/// A group does not share its CA certificate: a certificate leads to one group.
fn require_own(
    view: &View<'_>,
    id_scope: &str,
    enrollment: i64,
    row: &CaCertificateRow,
) -> Result<(), EnrollmentError> {
    let by_name = view.other_group_of_ca_certificate(row.id, enrollment)?;
    let pasted = view.enrollment_of_certificate(id_scope, &row.thumbprint)?;
    let pasted = pasted
        .map(|version| version.id)
        .filter(|id| *id != enrollment);
    match by_name.or(pasted) {
        Some(other) => Err(taken(view, &row.thumbprint, other)?),
        None => Ok(()),
    }
}
