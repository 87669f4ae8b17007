//! Certificate revocation lists (RFC 5280, 5): full lists, for a whole CA or for one distribution
//! point. Delta and indirect lists are refused.

mod build;
mod extensions;
mod read;
mod reason;
mod verify;

use ids::Timestamp;

pub use build::{CrlFields, build_crl, crl_to_pem};
pub use read::{CrlError, CrlNumber, Entries, UnverifiedCrl};
pub use reason::RevocationReason;
pub use verify::{CrlRefused, VerifiedCrl};

/// Longest list that is read, bytes of DER: a million entries have about 50 MB.
pub const MAX_CRL_BYTES: usize = 128 * 1024 * 1024;

/// One certificate that is revoked or held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEntry<'a> {
    /// The serial number, the highest byte first, without a sign byte.
    pub serial: &'a [u8],
    /// When it was revoked.
    pub when: Timestamp,
    /// `Unspecified` where the list says none.
    pub reason: RevocationReason,
}

/// Content of the OIDs of id-ce, 2.5.29.
mod oid {
    pub(super) const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
    pub(super) const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
    pub(super) const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
    pub(super) const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
    pub(super) const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
    pub(super) const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
    pub(super) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];
}
