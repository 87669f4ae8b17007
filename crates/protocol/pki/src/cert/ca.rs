//! What a CA's certificate says about what it may sign.

use super::Certificate;
use super::digest::sha1;

impl Certificate {
    /// The subjectKeyIdentifier; the SHA-1 of the public key where there is none (RFC 5280,
    /// 4.2.1.2).
    #[must_use]
    pub fn key_identifier(&self) -> Box<[u8]> {
        let own = self.extensions().subject_key_id.clone();
        own.unwrap_or_else(|| sha1(self.key_bits()).into())
    }

    /// How many CAs may follow below this CA; `None` is any number.
    #[must_use]
    pub fn path_length(&self) -> Option<u32> {
        self.0.extensions.path_length
    }

    /// Whether it is a CA whose keyUsage, where it has one, has cRLSign.
    #[must_use]
    pub fn may_sign_crls(&self) -> bool {
        let extensions = self.extensions();
        extensions.is_ca && extensions.key_usage.is_none_or(|usage| usage.crl_sign)
    }
}
