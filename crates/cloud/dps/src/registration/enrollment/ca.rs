use ids::CertificateName;
use pki::{Certificate, CertificateError, PresentedChain};
use provisioning::{CaCertificateState, EnrollmentRecord};

use crate::registration::refusal::RefusalReason;

/// A CA certificate that the chains of an entry's devices may lead to, and why it is believed.
#[derive(Debug, Clone)]
pub struct Anchor {
    certificate: Certificate,
    trust: Trust,
}

/// Why a certificate is believed.
#[derive(Debug, Clone)]
enum Trust {
    /// A root that the operator put into the group.
    Root,
    /// An intermediate that the operator put into the group.
    Intermediate,
    /// An uploaded CA certificate that the entry refers to.
    CaCertificate(CertificateName, CaCertificateState),
}

impl Anchor {
    /// The anchors of a stored entry, primary first.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn of_entry(record: &EnrollmentRecord) -> Result<Vec<Self>, CertificateError> {
        let own = record.certificates.iter().map(|enrolled| {
            let certificate = Certificate::from_der(enrolled.der.as_slice())?;
            let trust = match certificate.is_self_issued() {
                true => Trust::Root,
                false => Trust::Intermediate,
            };
            Ok(Self { certificate, trust })
        });
        let ca_certificates = record.ca_certificates.iter().map(|ca_certificate| {
            Ok(Self {
                certificate: Certificate::from_der(ca_certificate.der.as_slice())?,
                trust: Trust::CaCertificate(ca_certificate.name.clone(), ca_certificate.standing),
            })
        });
        own.chain(ca_certificates).collect()
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it is the certificate of an authority that was deleted.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        matches!(
            self.trust,
            Trust::CaCertificate(_, CaCertificateState::Withdrawn)
        )
    }

    /// Whether a chain that leads here counts. Devices show everything up to a certificate that is trusted for itself
    /// (Azure's `concepts-x509-attestation.md`): a root or a verified CA certificate need not be among it, an intermediate must.
    ///
    /// # Errors
    /// When the authority is not verified (any more), or the intermediate was not shown.
    pub fn require_trusted(&self, shown: &PresentedChain) -> Result<(), RefusalReason> {
        match &self.trust {
            Trust::Root | Trust::CaCertificate(_, CaCertificateState::Verified) => Ok(()),
            Trust::CaCertificate(name, CaCertificateState::Unverified) => {
                Err(RefusalReason::CaCertificateNotVerified(name.clone()))
            }
            Trust::CaCertificate(name, CaCertificateState::Withdrawn) => {
                Err(RefusalReason::CaCertificateDeleted(name.clone()))
            }
            Trust::Intermediate if shown.issuers().contains(&self.certificate) => Ok(()),
            Trust::Intermediate => Err(RefusalReason::IntermediateNotShown {
                subject: self.certificate.subject(),
            }),
        }
    }
}
