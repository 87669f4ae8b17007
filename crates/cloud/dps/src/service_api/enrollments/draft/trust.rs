//! Whether a certificate that an operator puts into a group reaches a CA that is trusted.
//!
//! Putting it there is an operator's own word for it, so a root or an intermediate of a hierarchy
//! that nobody uploaded is trusted. Where its hierarchy was uploaded, that word is not enough: it
//! must lead to a CA certificate that was verified.

use pki::{Certificate, CertificateError};
use provisioning::{CaCertificate, CaCertificateState};

/// An uploaded CA certificate, parsed.
pub(in crate::service_api) struct Uploaded<'a> {
    ca_certificate: &'a CaCertificate,
    certificate: Certificate,
}

impl<'a> Uploaded<'a> {
    /// Parses what was uploaded.
    pub(in crate::service_api) fn all(
        stored: &'a [CaCertificate],
    ) -> Result<Vec<Self>, CertificateError> {
        let parse = |ca_certificate: &'a CaCertificate| {
            let certificate = Certificate::from_der(&ca_certificate.der)?;
            Ok(Self {
                ca_certificate,
                certificate,
            })
        };
        stored.iter().map(parse).collect()
    }

    fn is_verified(&self) -> bool {
        self.ca_certificate.state == CaCertificateState::Verified
    }

    fn issued(&self, certificate: &Certificate) -> bool {
        certificate.is_issued_by_name(&self.certificate)
            && certificate.is_signed_by(&self.certificate)
    }
}

/// What speaks against a group's certificate, in words that follow its name.
pub(super) fn reason_against(
    certificate: &Certificate,
    uploaded: &[Uploaded<'_>],
) -> Option<String> {
    if let Some(same) = uploaded.iter().find(|u| u.certificate == *certificate) {
        let name = &same.ca_certificate.name;
        return (!same.is_verified()).then(|| {
            format!(
                "was uploaded as CA certificate {name}, which is not verified; prove possession \
                 of its key first, or upload it as verified"
            )
        });
    }
    let mut path: Vec<&Uploaded<'_>> = Vec::new();
    let mut below = certificate;
    while let Some(issuer) = uploaded.iter().find(|u| u.issued(below)) {
        if issuer.is_verified() {
            return None;
        }
        // A root has issued itself, and hierarchies may certify each other in a circle.
        if path.iter().any(|known| std::ptr::eq(*known, issuer)) {
            break;
        }
        path.push(issuer);
        below = &issuer.certificate;
    }
    let name = &path.first()?.ca_certificate.name;
    Some(format!(
        "was issued by CA certificate {name}, which is not verified, so that its path reaches no \
         trusted CA; prove possession of that key first, or upload it as verified"
    ))
}
