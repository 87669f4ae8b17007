//! What a certificate says about its key and its issuer's, beside their names.

use super::Certificate;

impl Certificate {
    /// The subjectKeyIdentifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions().subject_key_id.as_deref()
    }

    /// keyIdentifier in the extension authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions().authority_key_id.as_deref()
    }
}
