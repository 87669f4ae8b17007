use ids::{RegistrationId, Timestamp};
use pki::{Certificate, usable_anchor};
use registry::{CertificateSlot, EnrolledCertificate};
use wire::enrollment::{
    CertificatePair, CertificatePairRequest, CertificateRequest, CertificateWithInfo,
};

use super::AdminError;
use super::trust::{Uploaded, doubt};
use crate::certificate;

/// What the certificates of an enrollment are for.
pub(super) enum Purpose<'a> {
    /// To be shown by the device of this id.
    Leaf(&'a RegistrationId),
    /// To be the issuer of devices' certificates, directly or not; beside these CA certificates.
    Issuer(&'a [Uploaded<'a>]),
}

/// The certificates of an enrollment, fit for its purpose. At least one; two different ones at most.
pub(super) struct ResolvedPair {
    primary: Option<Certificate>,
    secondary: Option<Certificate>,
}

impl ResolvedPair {
    /// Reads the certificates of a request; those that are only described are taken from `stored`.
    pub(super) fn of(
        request: &CertificatePairRequest,
        purpose: &Purpose<'_>,
        stored: &[EnrolledCertificate],
        now: Timestamp,
    ) -> Result<Self, AdminError> {
        let one = |slot, request: &Option<CertificateRequest>| match request {
            Some(request) => certificate(slot, request, purpose, stored, now).map(Some),
            None => Ok(None),
        };
        let pair = Self {
            primary: one("primary", &request.primary)?,
            secondary: one("secondary", &request.secondary)?,
        };
        if pair.primary.is_some() && pair.primary == pair.secondary {
            return Err(AdminError::SameTwice);
        }
        Ok(pair)
    }

    /// As the record shows them.
    pub(super) fn described(&self) -> CertificatePair {
        let describe = |certificate: &Certificate| CertificateWithInfo {
            info: certificate::describe(certificate),
        };
        CertificatePair {
            primary: self.primary.as_ref().map(describe),
            secondary: self.secondary.as_ref().map(describe),
        }
    }

    /// As the registry keeps them.
    pub(super) fn into_certificates(self) -> Vec<EnrolledCertificate> {
        let slots = [
            (CertificateSlot::Primary, self.primary),
            (CertificateSlot::Secondary, self.secondary),
        ];
        let enrolled = |(slot, certificate): (_, Option<Certificate>)| {
            let certificate = certificate?;
            Some(EnrolledCertificate {
                slot,
                der: certificate.der().to_vec(),
                thumbprint: certificate.sha256(),
                // Only a CA continues a chain.
                subject: certificate
                    .is_ca()
                    .then(|| certificate.subject_der().to_vec()),
            })
        };
        slots.into_iter().filter_map(enrolled).collect()
    }
}

fn certificate(
    slot: &'static str,
    request: &CertificateRequest,
    purpose: &Purpose<'_>,
    stored: &[EnrolledCertificate],
    now: Timestamp,
) -> Result<Certificate, AdminError> {
    let text = match request {
        CertificateRequest::Text(text) => text,
        // What is stored was fit when it came; that it has expired since is no reason against changing something else.
        CertificateRequest::Sha256(_) | CertificateRequest::Sha1(_) => {
            return stored_one(request, stored).ok_or(AdminError::NotStored { slot });
        }
    };
    let certificate =
        certificate::read(text).map_err(|source| AdminError::Unreadable { slot, source })?;
    match fault(&certificate, purpose, now) {
        None => Ok(certificate),
        Some(problem) => Err(AdminError::Unusable {
            slot,
            subject: certificate.subject(),
            problem,
        }),
    }
}

fn stored_one(request: &CertificateRequest, stored: &[EnrolledCertificate]) -> Option<Certificate> {
    let mut parsed = stored
        .iter()
        .filter_map(|stored| Certificate::from_der(stored.der.as_slice()).ok());
    parsed.find(|certificate| match request {
        CertificateRequest::Sha256(wanted) => certificate.sha256() == *wanted,
        CertificateRequest::Sha1(wanted) => certificate.sha1() == *wanted,
        CertificateRequest::Text(_) => false,
    })
}

fn fault(certificate: &Certificate, purpose: &Purpose<'_>, now: Timestamp) -> Option<String> {
    let id = match purpose {
        Purpose::Issuer(uploaded) => {
            return match usable_anchor(certificate, now) {
                Ok(anchor) => doubt(anchor.certificate(), uploaded),
                Err(problem) => Some(problem.to_string()),
            };
        }
        Purpose::Leaf(id) => id,
    };
    if certificate.not_after() < now {
        let date = certificate.not_after();
        return Some(format!("expired at {date}; send one that is valid"));
    }
    if certificate.is_ca() {
        return Some("is a CA certificate (CA:TRUE) and cannot be a device's identity; send the device's own".to_owned());
    }
    let name = certificate.subject_common_name().unwrap_or_default();
    (!name.eq_ignore_ascii_case(id.as_str())).then(|| {
        format!("has the common name {name:?}; the device can only register as that, and this enrollment is for {id:?}", id = id.as_str())
    })
}
