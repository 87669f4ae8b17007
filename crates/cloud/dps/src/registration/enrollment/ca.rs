//! The CA certificates of an enrollment.

use ids::CertificateName;
use pki::{Certificate, CertificateError, PresentedChain};
use provisioning::{CaCertificateState, EnrollmentRecord};

use crate::registration::refusal::RefusalReason;

/// A CA certificate that the chains of an enrollment's devices may lead to, and why it is trusted.
#[derive(Debug, Clone)]
pub struct EnrollmentCa {
    certificate: Certificate,
    trust: Trust,
}

#[derive(Debug, Clone)]
enum Trust {
    /// A root that the operator put into the group.
    Root,
    /// An intermediate that the operator put into the group.
    Intermediate,
    /// An uploaded CA certificate that the enrollment refers to.
    Uploaded(CertificateName, CaCertificateState),
}

impl EnrollmentCa {
    /// The CA certificates of a stored enrollment, primary first.
    ///
    /// Fails when a certificate cannot be parsed.
    pub fn all(record: &EnrollmentRecord) -> Result<Vec<Self>, CertificateError> {
        let own = record.certificates.iter().map(|enrolled| {
            let certificate = Certificate::from_der(enrolled.der.as_slice())?;
            let trust = match certificate.is_self_issued() {
                true => Trust::Root,
                false => Trust::Intermediate,
            };
            Ok(Self { certificate, trust })
        });
        let uploaded = record.ca_certificates.iter().map(|uploaded| {
            Ok(Self {
                certificate: Certificate::from_der(uploaded.der.as_slice())?,
                trust: Trust::Uploaded(uploaded.name.clone(), uploaded.state),
            })
        });
        own.chain(uploaded).collect()
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it was uploaded and then deleted.
    pub fn is_withdrawn(&self) -> bool {
        matches!(
            self.trust,
            Trust::Uploaded(_, CaCertificateState::Withdrawn)
        )
    }

    /// Whether a chain that leads here counts. Devices present everything up to a certificate that
    /// is trusted for itself (Azure's `concepts-x509-attestation.md`): a root or a verified CA
    /// certificate may be left out, an intermediate may not.
    ///
    /// Fails when the CA certificate is not verified or was deleted, or
    /// the intermediate was left out.
    pub fn require_trusted(&self, presented: &PresentedChain) -> Result<(), RefusalReason> {
        match &self.trust {
            Trust::Root | Trust::Uploaded(_, CaCertificateState::Verified) => Ok(()),
            Trust::Uploaded(name, CaCertificateState::Unverified) => {
                Err(RefusalReason::CaCertificateNotVerified(name.clone()))
            }
            Trust::Uploaded(name, CaCertificateState::Withdrawn) => {
                Err(RefusalReason::CaCertificateDeleted(name.clone()))
            }
            Trust::Intermediate if presented.issuers().contains(&self.certificate) => Ok(()),
            Trust::Intermediate => Err(RefusalReason::IntermediateNotPresented {
                subject: self.certificate.subject(),
            }),
        }
    }
}
