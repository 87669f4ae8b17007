use ids::{IssuerName, Thumbprint};
use rusqlite::params;

use crate::sqlite::decode;
use crate::{Lock, RevokedRow, RevokingCaRow, StoreError, Tx, View};

impl View<'_> {
    /// All certificates of issuers that are revoked or on hold, of all services.
    pub fn all_revoked(&self) -> Result<Vec<RevokedRow>, StoreError> {
        let sql = "SELECT id_scope, issuer, authority, serial, reason, changed
                   FROM issued_certificates WHERE state <> 'valid'";
        self.all(sql, [], |row| {
            Ok(RevokedRow {
                id_scope: decode::id(row, 0, "ID scope")?,
                issuer: decode::id(row, 1, "issuer")?,
                authority: decode::thumbprint(row, 2)?,
                serial: decode::serial(row, 3)?,
                reason: row.get(4)?,
                changed: row.get(5)?,
            })
        })
    }

    /// The CA certificates that signed them.
    pub fn revoking_ca_certificates(&self) -> Result<Vec<RevokingCaRow>, StoreError> {
        let sql = "SELECT id_scope, issuer, authority, der FROM revoking_ca_certificates";
        self.all(sql, [], |row| {
            Ok(RevokingCaRow {
                id_scope: decode::id(row, 0, "ID scope")?,
                issuer: decode::id(row, 1, "issuer")?,
                authority: decode::thumbprint(row, 2)?,
                der: row.get(3)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Keeps a CA certificate that has certificates revoked or on hold.
    pub fn put_revoking_ca_certificate(
        &self,
        id_scope: &str,
        issuer: &IssuerName,
        authority: &Thumbprint,
        der: &[u8],
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO revoking_ca_certificates (id_scope, issuer, authority, der)
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let values = params![id_scope, issuer.folded(), authority.as_bytes(), der];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }
}
