//! What an explanation says of the certificates that an individual enrollment pins.

use pki::Certificate;
use provisioning::{EnrolledCertificate, EnrollmentRecord, IssuedRecord, Provisioning};
use registry::StorageError;
use wire::muster_api::issuer::PinnedCertificates;

use crate::registration::assign::is_by_secondary;
use crate::registration::attest::AttestedDevice;

/// About a device that proves the secondary certificate.
pub(super) fn on_proof(
    device: &AttestedDevice,
    provisioning: &Provisioning,
) -> Result<Option<String>, StorageError> {
    let named = &device.enrollment().issuance().issuer;
    let Some(name) = named.as_ref().filter(|_| is_by_secondary(device)) else {
        return Ok(None);
    };
    let issuer = provisioning.issuer(name)?;
    let follows = issuer
        .is_some_and(|issuer| issuer.settings.pinned_certificates == PinnedCertificates::Follow);
    Ok(follows.then(|| {
        format!(
            "it proves the secondary certificate, which becomes the only one: the primary is \
             refused from then on, as device issuer {name} has pinned certificates follow"
        )
    }))
}

/// About a leaf that is not pinned although an issuer issued it to the device.
pub(super) fn on_unpinned(
    leaf: &Certificate,
    enrollment: &EnrollmentRecord,
    provisioning: &Provisioning,
) -> Result<Option<String>, StorageError> {
    let Some(issued) = issued(leaf, provisioning)? else {
        return Ok(None);
    };
    let id = enrollment.key.as_str();
    let issuer = provisioning.issuer(&issued.issuer)?;
    let Some(issuer) = issuer.filter(|_| issued.common_name.eq_ignore_ascii_case(id)) else {
        return Ok(None);
    };
    let name = &issuer.name;
    Ok(Some(match issuer.settings.pinned_certificates {
        PinnedCertificates::Keep => format!(
            "device issuer {name} issued it to the device and keeps what is pinned; make it the \
             secondary certificate, and see muster dps issuer update --pinned-certificates"
        ),
        PinnedCertificates::Follow if is_replaced(&issued, enrollment, provisioning)? => format!(
            "device issuer {name} issued it to the device, and the device has proved a later \
             certificate since; it has to use that one"
        ),
        PinnedCertificates::Follow => format!(
            "device issuer {name} issued it to the device, but not to one that proved a pinned \
             certificate, or the enrollment names another issuer; make it the secondary \
             certificate"
        ),
    }))
}

fn issued(
    certificate: &Certificate,
    provisioning: &Provisioning,
) -> Result<Option<IssuedRecord>, StorageError> {
    match certificate.serial() {
        Ok(serial) => provisioning.issued_certificate(&serial, &certificate.sha256()),
        Err(_) => Ok(None),
    }
}

/// Whether a certificate is pinned that was issued later than one that is not.
fn is_replaced(
    issued_before: &IssuedRecord,
    enrollment: &EnrollmentRecord,
    provisioning: &Provisioning,
) -> Result<bool, StorageError> {
    for EnrolledCertificate { der, .. } in &enrollment.certificates {
        let Ok(pinned) = Certificate::from_der(der) else {
            continue;
        };
        if issued(&pinned, provisioning)?.is_some_and(|one| one.issued > issued_before.issued) {
            return Ok(true);
        }
    }
    Ok(false)
}
