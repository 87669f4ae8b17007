//! Warnings about enrollments that are accepted and do not do what they say: certificates that no
//! device can register with, and devices that stay plain ones.
//!
//! Azure accepts them without a warning, and scripts rely on it. The warning is in a header of the
//! answer, and the command line prints it before it sends.

use pki::{Certificate, may_identify, may_issue};
use provisioning::{
    EnrolledCertificate, EnrollmentKey, EnrollmentRecord, Provisioning, RegistrationState,
};
use serde_json::Value;

use crate::error::ServiceFault;

/// What speaks against a certificate as the identity of the device of an id, in words
/// that follow its name.
#[must_use]
pub fn leaf_warning(certificate: &Certificate, id: &str) -> Option<String> {
    let name = certificate.subject_common_name().unwrap_or_default();
    if !name.eq_ignore_ascii_case(id) {
        return Some(format!(
            "has the common name {name:?}; the device can only register as that, and this \
             enrollment is for {id:?}"
        ));
    }
    let fault = may_identify(certificate).err()?;
    Some(format!("cannot be a device's identity: {fault}"))
}

/// What speaks against a certificate as the issuer of devices' certificates, in words
/// that follow its name.
#[must_use]
pub fn issuer_warning(certificate: &Certificate) -> Option<String> {
    may_issue(certificate).err().map(|fault| fault.to_string())
}

/// What speaks against the certificates of an enrollment.
#[must_use]
pub(super) fn of_certificates(record: &EnrollmentRecord) -> Vec<String> {
    let warning = |enrolled: &EnrolledCertificate| {
        let certificate = Certificate::from_der(&enrolled.der).ok()?;
        let warning = match &record.key {
            EnrollmentKey::Individual(id) => leaf_warning(&certificate, id.as_str()),
            EnrollmentKey::Group(_) => issuer_warning(&certificate),
        };
        Some(format!(
            "the certificate ({}) {}",
            certificate.subject(),
            warning?
        ))
    };
    let mut warnings: Vec<String> = record.certificates.iter().filter_map(warning).collect();
    if has_same_twice(&record.document) {
        warnings.push("primary and secondary are the same certificate".to_owned());
    }
    warnings
}

/// What an individual enrollment for IoT Edge devices does not change: the device that registered
/// before, except by a reset. Devices of remote hubs are not looked at.
pub(super) async fn stays_plain(
    record: &EnrollmentRecord,
    provisioning: &Provisioning,
) -> Result<Option<String>, ServiceFault> {
    let EnrollmentKey::Individual(id) = &record.key else {
        return Ok(None);
    };
    let policy = &record.document["reprovisionPolicy"];
    let resets = policy["updateHubAssignment"] == true && policy["migrateDeviceData"] == false;
    if record.document["capabilities"]["iotEdge"] != true || resets {
        return Ok(None);
    }
    let Some(registration) = provisioning.registration(id).await? else {
        return Ok(None);
    };
    let RegistrationState::Assigned { hub, device_id, .. } = &registration.state else {
        return Ok(None);
    };
    match provisioning.registry().device(hub, device_id).await {
        Ok(device) if !device.iot_edge => Ok(Some(format!(
            "device {device_id} of hub {hub} is no IoT Edge device, and registering again does not change that; \
             muster hub device-identity update -d {device_id} --edge-enabled true does"
        ))),
        // The request for a device that does not exist or cannot be read says so; this is only
        // a hint.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// An enrollment that names the old CA of an issuer which is being rolled, and has no room for the
/// new one.
pub(super) fn without_next_ca(
    record: &EnrollmentRecord,
    provisioning: &Provisioning,
) -> Result<Option<String>, ServiceFault> {
    let issuer = provisioning.roll_to_join(record)?;
    Ok(issuer.map(|issuer| {
        format!(
            "device issuer {issuer} goes over to another CA, whose devices are refused here; free \
             the other slot and write the enrollment again"
        )
    }))
}

fn has_same_twice(document: &Value) -> bool {
    ["clientCertificates", "signingCertificates"]
        .iter()
        .any(|member| {
            let slots = &document["attestation"]["x509"][member];
            let thumbprint = |slot: &str| &slots[slot]["info"]["sha256Thumbprint"];
            thumbprint("primary").is_string() && thumbprint("primary") == thumbprint("secondary")
        })
}
