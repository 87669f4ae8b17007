use ids::{IssuerName, Thumbprint};

use super::IssuedState;

/// How many ends of a certificate's life are told apart: before each of the bounds, and after them.
pub const EXPIRY_BOUNDS: usize = 5;

/// Issued certificates that a report counts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCountRow {
    pub issuer: IssuerName,
    /// SHA-256 of the CA certificate that signed them.
    pub authority: Thumbprint,
    /// The kind of their keys, as operators name it.
    pub key_type: Option<String>,
    pub state: IssuedState,
    /// How many of the bounds they end at or after.
    pub bounds_passed: usize,
    pub count: u64,
    /// Row id of one of them whose DER is kept, if any is.
    pub with_der: Option<i64>,
}

/// The part of a table that is counted at a time.
#[derive(Debug, Clone, Copy)]
pub struct CountedRange<'a> {
    pub id_scope: &'a str,
    /// The row id before the first one.
    pub after: i64,
    /// The last row id.
    pub last: i64,
}
