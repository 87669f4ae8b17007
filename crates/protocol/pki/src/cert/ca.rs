//! What a CA's certificate says to those that read its lists and OCSP answers.

use aws_lc_rs::digest;

use super::Certificate;

impl Certificate {
    /// The subjectKeyIdentifier; the SHA-1 of the public key where there is none (RFC 5280,
    /// 4.2.1.2).
    #[must_use]
    pub fn key_identifier(&self) -> Box<[u8]> {
        let own = self.extensions().subject_key_id.clone();
        own.unwrap_or_else(|| sha1(self.key_bits()).into())
    }

    /// Whether it is a CA whose keyUsage, where it has one, has cRLSign.
    #[must_use]
    pub fn may_sign_crls(&self) -> bool {
        let extensions = self.extensions();
        extensions.is_ca && extensions.key_usage.is_none_or(|usage| usage.crl_sign)
    }
}

/// Where formats demand it; no trust rests on it.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(hash.as_ref());
    bytes
}
