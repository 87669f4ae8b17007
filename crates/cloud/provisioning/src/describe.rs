use pki::Certificate;
use wire::certificate_info::CertificateInfo;

/// The eight members by which Azure's clients describe a certificate.
#[must_use]
pub fn describe(certificate: &Certificate) -> CertificateInfo {
    CertificateInfo {
        subject_name: certificate.subject(),
        sha1_thumbprint: certificate.sha1().to_string(),
        sha256_thumbprint: certificate.sha256().to_string(),
        issuer_name: certificate.issuer(),
        not_before_utc: certificate.not_before(),
        not_after_utc: certificate.not_after(),
        serial_number: certificate.serial_hex().to_owned(),
        version: i32::from(certificate.version()),
    }
}
