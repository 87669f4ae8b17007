use ids::Timestamp;

use super::signatures;
use crate::Certificate;

/// Why no chain could ever lead to a certificate that an operator wants as
/// an anchor. For operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableCaCertificate {
    /// basicConstraints does not say that it is a CA.
    #[error(
        "is not a CA certificate (basicConstraints CA:TRUE is missing), so that it cannot issue \
         device certificates"
    )]
    NotCa,
    /// Its keyUsage does not include keyCertSign.
    #[error("is a CA certificate that may not issue: its keyUsage lacks keyCertSign")]
    MayNotIssue,
    /// It expired: this is its `notAfter`.
    #[error("expired at {0}; send one that is valid")]
    Expired(Timestamp),
    /// Signatures of its kind of key are not verified.
    #[error(
        "has {0}, which is not accepted (algorithm_unsupported); use RSA of 2048 to 8192 bits, \
         P-256, P-384, P-521 or Ed25519"
    )]
    UnsupportedKey(String),
    /// A critical part of it is not understood.
    #[error("has something that is not understood and must not be ignored: {0}")]
    NotUnderstood(String),
}

/// Proof that chains to this CA certificate can be valid. Only [`usable_ca_certificate`] makes one.
#[derive(Debug, Clone)]
pub struct UsableCaCertificate(Certificate);

impl UsableCaCertificate {
    /// The CA certificate that was checked.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// The CA certificate that was checked.
    #[must_use]
    pub fn into_certificate(self) -> Certificate {
        self.0
    }
}

/// Looks at what an operator offers as the anchor of chains: an uploaded CA certificate, or a
/// group's. One that becomes valid later is fine, because people prepare a rollover ahead.
///
/// # Errors
/// When no chain that leads to it would ever verify.
pub fn usable_ca_certificate(
    certificate: &Certificate,
    now: Timestamp,
) -> Result<UsableCaCertificate, UnusableCaCertificate> {
    if certificate.not_after() < now {
        return Err(UnusableCaCertificate::Expired(certificate.not_after()));
    }
    may_issue(certificate)?;
    supported_key(certificate)?;
    signatures::strictness(certificate).map_err(UnusableCaCertificate::NotUnderstood)?;
    Ok(UsableCaCertificate(certificate.clone()))
}

/// Requires that a certificate may issue others.
///
/// # Errors
/// When it is not a CA, or its keyUsage does not include keyCertSign.
pub fn may_issue(certificate: &Certificate) -> Result<(), UnusableCaCertificate> {
    if !certificate.is_ca() {
        return Err(UnusableCaCertificate::NotCa);
    }
    let usage = certificate.extensions().key_usage;
    match usage.is_some_and(|usage| !usage.key_cert_sign) {
        true => Err(UnusableCaCertificate::MayNotIssue),
        false => Ok(()),
    }
}

/// Whether signatures of a certificate's key are verified here: those of an issuer below
/// certificates, those of a device in the TLS handshake.
pub fn supported_key(certificate: &Certificate) -> Result<(), UnusableCaCertificate> {
    match certificate.has_supported_key() {
        true => Ok(()),
        false => Err(UnusableCaCertificate::UnsupportedKey(
            certificate.key_in_words(),
        )),
    }
}
