//! Certificates in the forms that clients send.

use pki::{Certificate, PemError};

/// Reads a certificate in any form that clients send: PEM, base64 of PEM, base64 of DER.
///
/// # Errors
/// When the text is in no such form, or holds more than one certificate.
pub fn read(text: &str) -> Result<Certificate, PemError> {
    Certificate::parse_one(text.as_bytes())
}
