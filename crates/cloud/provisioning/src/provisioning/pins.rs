//! Pinned certificates that follow their device, in the transaction of what the device does.

use ids::{CertificateSerial, Etag, IssuerName, RegistrationId, Thumbprint, Timestamp};
use pki::Certificate;
use serde_json::{Value, json};
use store::audit::AuditStream;
use store::{
    AttestationKind, CertificateRow, CertificateSlot, EnrollmentKey, EnrollmentRow, Lock,
    StoreError, Tx, View,
};
use wire::muster_api::issuer::PinnedCertificates;
use wire::service_api::enrollment::{
    Attestation, CertificatePair, CertificateWithInfo, X509Attestation,
};

use super::issuers;
use crate::describe;
use crate::issuer::IssuerRecord;
use crate::pins::{Proven, with_proven, with_successor};
use crate::roll::{Occupied, Slots};

/// A device that proved a certificate, and the enrollment that may follow.
pub(super) struct PinnedDevice<'a> {
    pub(super) id_scope: &'a str,
    pub(super) registration_id: &'a RegistrationId,
    pub(super) proven: &'a Proven,
    /// The version of the enrollment when it is written.
    pub(super) etag: &'a Etag,
    pub(super) now: Timestamp,
}

/// What becomes of the pinned certificates.
pub(super) enum PinPlan {
    Write(Box<PinChange>),
    /// The certificate cannot be pinned: an operator put another one into the secondary slot.
    Occupied {
        enrollment: EnrollmentKey,
        issuer: IssuerName,
    },
}

pub(super) struct PinChange {
    before: Etag,
    row: EnrollmentRow,
    certificates: Vec<CertificateRow>,
    issuer: IssuerName,
}

impl PinnedDevice<'_> {
    /// `None` when no enrollment pins the certificate that was proved, or it does not follow.
    pub(super) fn decide(&self, view: &View<'_>) -> Result<Option<PinPlan>, StoreError> {
        let Some((row, issuer)) = self.following(view)? else {
            return Ok(None);
        };
        let certificates = view.certificates(row.id)?;
        let slots: Slots<Thumbprint> = certificates
            .iter()
            .map(|one| (one.slot, one.thumbprint))
            .collect();
        let leaf = self.proven.leaf;
        let wanted = match &self.proven.successor {
            None => with_proven(&slots, leaf).map(Ok),
            Some(successor) => {
                let other = certificates.iter().find(|one| one.thumbprint != leaf);
                let is_free = other.map(|other| self.is_free(view, other, &issuer));
                let is_free = is_free.transpose()?.unwrap_or(true);
                with_successor(&slots, leaf, successor.thumbprint, |_| is_free)
            }
        };
        Ok(match wanted {
            None => None,
            Some(Err(Occupied)) => Some(PinPlan::Occupied {
                enrollment: row.key,
                issuer: issuer.name,
            }),
            Some(Ok(wanted)) => {
                let change = self.change(view, row, issuer.name, (&certificates, wanted))?;
                Some(PinPlan::Write(Box::new(change)))
            }
        })
    }

    /// The individual enrollment of the device, and the issuer that it names and that has its
    /// pinned certificates follow.
    fn following(
        &self,
        view: &View<'_>,
    ) -> Result<Option<(EnrollmentRow, IssuerRecord)>, StoreError> {
        let version = view.individual_enrollment_version(self.id_scope, self.registration_id)?;
        let Some(version) = version else {
            return Ok(None);
        };
        let row = view.enrollment_by_id(version.id)?;
        let row = row.filter(|row| row.attestation == AttestationKind::X509);
        let Some(row) = row else { return Ok(None) };
        let Some(id) = row.issuer else {
            return Ok(None);
        };
        let named = view.issuers(self.id_scope)?;
        let Some(named) = named.into_iter().find(|issuer| issuer.id == id) else {
            return Ok(None);
        };
        let issuer = issuers::record(view, named)?;
        let issued_by = self.proven.successor.as_ref().map(|one| &one.issuer);
        let follows = issuer.settings.pinned_certificates == PinnedCertificates::Follow
            && issued_by.is_none_or(|name| *name == issuer.name);
        Ok(follows.then_some((row, issuer)))
    }

    /// The enrollment that does not pin the certificate that was proved, although its issuer issued
    /// that to the device: another one has taken its place, so that nothing is issued for it.
    pub(super) fn replaced_in(
        &self,
        view: &View<'_>,
        serial: Option<CertificateSerial>,
    ) -> Result<Option<EnrollmentKey>, StoreError> {
        let (Some(serial), Some((row, issuer))) = (serial, self.following(view)?) else {
            return Ok(None);
        };
        let pinned = view.certificates(row.id)?;
        let leaf = self.proven.leaf;
        if pinned.is_empty() || pinned.iter().any(|one| one.thumbprint == leaf) {
            return Ok(None);
        }
        let is_own = self.is_issued(view, (&serial, &leaf), &issuer)?;
        Ok(is_own.then_some(row.key))
    }

    /// Whether a certificate that the device has not proved may leave its slot: one that was issued
    /// to it, whose answer was lost, and one that has expired. An operator put the others there.
    fn is_free(
        &self,
        view: &View<'_>,
        pinned: &CertificateRow,
        issuer: &IssuerRecord,
    ) -> Result<bool, StoreError> {
        let Ok(certificate) = Certificate::from_der(&pinned.der) else {
            return Ok(false);
        };
        if certificate.not_after() <= self.now {
            return Ok(true);
        }
        let Ok(serial) = certificate.serial() else {
            return Ok(false);
        };
        self.is_issued(view, (&serial, &pinned.thumbprint), issuer)
    }

    /// Whether the issuer issued a certificate to the device.
    fn is_issued(
        &self,
        view: &View<'_>,
        (serial, thumbprint): (&CertificateSerial, &Thumbprint),
        issuer: &IssuerRecord,
    ) -> Result<bool, StoreError> {
        let listed = view.issued_certificate(self.id_scope, serial, thumbprint)?;
        let id = self.registration_id.as_str();
        Ok(listed.is_some_and(|row| {
            row.issuer == issuer.name && row.common_name.eq_ignore_ascii_case(id)
        }))
    }

    fn change(
        &self,
        view: &View<'_>,
        mut row: EnrollmentRow,
        issuer: IssuerName,
        (before, wanted): (&[CertificateRow], Slots<Thumbprint>),
    ) -> Result<PinChange, StoreError> {
        let successor = self.proven.successor.as_deref();
        let mut certificates = Vec::new();
        for (slot, thumbprint) in &wanted {
            let kept = before.iter().find(|one| one.thumbprint == *thumbprint);
            let der = match (kept, successor) {
                (Some(kept), _) => kept.der.clone(),
                (None, Some(successor)) => successor.der.clone(),
                (None, None) => continue,
            };
            certificates.push(CertificateRow {
                thumbprint: *thumbprint,
                slot: *slot,
                der,
                subject: None,
            });
        }
        row.document = document(view, &row, &certificates)?;
        let etag = std::mem::replace(&mut row.etag, self.etag.clone());
        row.updated = self.now.ticks();
        Ok(PinChange {
            before: etag,
            row,
            certificates,
            issuer,
        })
    }
}

/// The document of an enrollment with these certificates.
fn document(
    view: &View<'_>,
    row: &EnrollmentRow,
    pinned: &[CertificateRow],
) -> Result<String, StoreError> {
    let described = |slot| {
        let row = pinned.iter().find(|one| one.slot == slot);
        let described = row.map(|row| {
            let certificate = view.decoded("certificate", Certificate::from_der(&row.der))?;
            let info = describe(&certificate);
            Ok::<_, StoreError>(CertificateWithInfo { info })
        });
        described.transpose()
    };
    let pair = CertificatePair {
        primary: described(CertificateSlot::Primary)?,
        secondary: described(CertificateSlot::Secondary)?,
    };
    let x509 = Box::new(X509Attestation::ClientCertificates(pair));
    let mut document: Value = view.decoded("enrollment", serde_json::from_str(&row.document))?;
    // Our own types have no maps with keys that are not text.
    document["attestation"] = serde_json::to_value(Attestation::X509 { x509 }).unwrap_or_default();
    Ok(document.to_string())
}

impl PinPlan {
    /// The version that the enrollment gets.
    pub(super) fn etag(&self) -> Option<&Etag> {
        match self {
            Self::Write(change) => Some(&change.row.etag),
            Self::Occupied { .. } => None,
        }
    }

    /// What is written beside the registration or the certificate: a certificate belongs to one
    /// enrollment of the service.
    pub(super) fn locks<'a>(&'a self, id_scope: &'a str) -> Vec<Lock<'a>> {
        match self {
            Self::Write(change) => match &change.row.key {
                EnrollmentKey::Individual(id) => vec![
                    Lock::Service { id_scope },
                    Lock::Enrollment {
                        id_scope,
                        folded: id.folded(),
                    },
                ],
                EnrollmentKey::Group(_) => Vec::new(),
            },
            Self::Occupied { .. } => Vec::new(),
        }
    }

    pub(super) fn apply(self, tx: &Tx<'_>, device: &PinnedDevice<'_>) -> Result<(), StoreError> {
        let successor = device.proven.successor.as_ref();
        let mut record = json!({
            "idScope": device.id_scope, "registrationId": device.registration_id,
            "provedSha256Thumbprint": device.proven.leaf.to_string(),
            "issuedSha256Thumbprint": successor.map(|one| one.thumbprint.to_string()),
        });
        match self {
            Self::Write(change) => {
                tx.update_enrollment(device.id_scope, &change.before, &change.row)?;
                let pinned = &change.certificates;
                tx.replace_certificates(device.id_scope, change.row.id, pinned)?;
                let pinned = pinned.iter().map(|one| one.thumbprint.to_string());
                record["kind"] = json!("enrollment.pinFollowed");
                record["issuer"] = json!(change.issuer);
                record["pinnedSha256Thumbprints"] = pinned.collect();
            }
            Self::Occupied { issuer, .. } => {
                record["kind"] = json!("enrollment.pinNotFollowed");
                record["issuer"] = json!(issuer);
            }
        }
        let body = record.to_string().into_bytes();
        tx.audit(AuditStream::Decisions, device.now.ticks(), body)
    }
}
