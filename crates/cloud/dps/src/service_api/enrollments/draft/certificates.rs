use ids::Timestamp;
use pki::{Certificate, UnusableCaCertificate, supported_key, usable_ca_certificate};
use provisioning::{CertificateSlot, EnrolledCertificate};
use wire::service_api::enrollment::{
    CertificatePair, CertificatePairRequest, CertificateRequest, CertificateWithInfo,
};

use super::DraftFault;
use super::trust::{Uploaded, reason_against};
use crate::certificate;

/// What the certificates of an enrollment are for.
pub(super) enum Purpose<'a> {
    /// To be presented by its device.
    Leaf,
    /// To be the issuer of devices' certificates, directly or not; beside these CA certificates.
    Issuer(&'a [Uploaded<'a>]),
}

/// The certificates of an enrollment, fit for its purpose. At least one; the same
/// one twice counts once.
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
    ) -> Result<Self, DraftFault> {
        let one = |slot, request: &Option<CertificateRequest>| match request {
            Some(request) => certificate(slot, request, purpose, stored, now).map(Some),
            None => Ok(None),
        };
        let pair = Self {
            primary: one("primary", &request.primary)?,
            secondary: one("secondary", &request.secondary)?,
        };
        Ok(pair)
    }

    /// As the document of the enrollment has them.
    pub(super) fn described(&self) -> CertificatePair {
        let describe = |certificate: &Certificate| CertificateWithInfo {
            info: provisioning::describe(certificate),
        };
        CertificatePair {
            primary: self.primary.as_ref().map(describe),
            secondary: self.secondary.as_ref().map(describe),
        }
    }

    /// As the registry keeps them.
    pub(super) fn into_certificates(self, is_issuer: bool) -> Vec<EnrolledCertificate> {
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
                // By which a group is found, also one whose certificate is no CA: its devices shall
                // learn that.
                subject: is_issuer.then(|| certificate.subject_key().to_vec()),
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
) -> Result<Certificate, DraftFault> {
    let text = match request {
        CertificateRequest::Text(text) => text,
        // What is stored was fit when it came; that it has expired since is no reason against
        // changing something else.
        CertificateRequest::Sha256(_) | CertificateRequest::Sha1(_) => {
            return stored_one(request, stored).ok_or(DraftFault::NotStored { slot });
        }
    };
    let certificate =
        certificate::read(text).map_err(|source| DraftFault::Unreadable { slot, source })?;
    match fault(&certificate, purpose, now) {
        None => Ok(certificate),
        Some(problem) => Err(DraftFault::Unusable {
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
    match purpose {
        Purpose::Issuer(uploaded) => match usable_ca_certificate(certificate, now) {
            Ok(_) => reason_against(certificate, uploaded),
            // No chain leads to one of these, so that they are of no use, and no danger. One of
            // version 1 could be taken for a CA.
            Err(UnusableCaCertificate::NotCa | UnusableCaCertificate::MayNotIssue)
                if certificate.version() != 1 =>
            {
                reason_against(certificate, uploaded)
            }
            Err(problem) => Some(problem.to_string()),
        },
        Purpose::Leaf if certificate.not_after() < now => {
            let date = certificate.not_after();
            Some(format!("expired at {date}; send one that is valid"))
        }
        Purpose::Leaf if certificate.is_ca() => {
            let problem = "is a CA certificate (CA:TRUE) and cannot be a device's identity; \
                           send the device's own";
            Some(problem.to_owned())
        }
        Purpose::Leaf => supported_key(certificate)
            .err()
            .map(|problem| problem.to_string()),
    }
}
