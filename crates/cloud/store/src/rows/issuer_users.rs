use ids::{Etag, IssuerUserName};

use crate::Secret;

/// A user of an issuer: who may have certificates issued with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerUserRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    pub name: IssuerUserName,
    /// A PHC string, or `sha256:` and hexadecimal; never the password.
    pub password: Secret,
    /// Certificates that may still be issued; `None`: as many as wanted.
    pub uses_left: Option<u32>,
    /// Until when, 100 ns since 1970.
    pub expires: Option<i64>,
    pub etag: Etag,
    /// 100 ns since 1970.
    pub created: i64,
    /// When it was last written by an operator, 100 ns since 1970.
    pub updated: i64,
}
