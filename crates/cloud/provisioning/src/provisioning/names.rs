//! How kinds and slots are written in the store.

use store::{StoreError, View};

use crate::ca_certificate::CaCertificateState;
use crate::enrollment::{AttestationKind, CertificateSlot, EnrollmentKey, EnrollmentKind};

/// The kind of individual enrollments.
pub(super) const INDIVIDUAL: &str = "individual";

pub(super) fn kind_name(kind: EnrollmentKind) -> &'static str {
    match kind {
        EnrollmentKind::Individual => INDIVIDUAL,
        EnrollmentKind::Group => "group",
    }
}

pub(super) fn slot_name(slot: CertificateSlot) -> &'static str {
    match slot {
        CertificateSlot::Primary => "primary",
        CertificateSlot::Secondary => "secondary",
    }
}

pub(super) fn parse_slot(name: &str) -> CertificateSlot {
    match name {
        "primary" => CertificateSlot::Primary,
        _ => CertificateSlot::Secondary,
    }
}

pub(super) fn parse_key(
    view: &View<'_>,
    kind: &str,
    spelled: &str,
) -> Result<EnrollmentKey, StoreError> {
    match kind {
        INDIVIDUAL => Ok(EnrollmentKey::Individual(
            view.decoded("registration id", spelled.parse())?,
        )),
        _ => Ok(EnrollmentKey::Group(
            view.decoded("enrollment group id", spelled.parse())?,
        )),
    }
}

/// Enrollments by kind and spelled id.
pub(super) fn parse_keys(
    view: &View<'_>,
    found: Vec<(String, String)>,
) -> Result<Vec<EnrollmentKey>, StoreError> {
    let keys = found.into_iter();
    keys.map(|(kind, spelled)| parse_key(view, &kind, &spelled))
        .collect()
}

pub(super) fn parse_attestation(
    view: &View<'_>,
    name: &str,
) -> Result<AttestationKind, StoreError> {
    let mut all = AttestationKind::ALL.into_iter();
    let found = all.find(|kind| kind.name() == name);
    found.ok_or_else(|| view.damaged("attestation", "not a kind of attestation"))
}

pub(super) fn parse_standing(
    view: &View<'_>,
    name: &str,
) -> Result<CaCertificateState, StoreError> {
    let all = [
        CaCertificateState::Unverified,
        CaCertificateState::Verified,
        CaCertificateState::Withdrawn,
    ];
    let found = all.into_iter().find(|state| state.as_str() == name);
    found.ok_or_else(|| view.damaged("standing", "not a standing of a CA certificate"))
}
