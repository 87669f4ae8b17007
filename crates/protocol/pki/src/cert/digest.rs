use aws_lc_rs::digest;
use ids::Thumbprint;

/// The SHA-256 of any bytes.
#[must_use]
pub fn sha256(der: &[u8]) -> Thumbprint {
    let hash = digest::digest(&digest::SHA256, der);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    Thumbprint::from_bytes(bytes)
}

/// Where formats demand it; no trust rests on it.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(hash.as_ref());
    bytes
}
