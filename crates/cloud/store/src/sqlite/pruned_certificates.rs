use rusqlite::params;

use crate::{Lock, StoreError, Tx, View};

impl View<'_> {
    /// The next service and issuer, in lower case, that have certificates, in order. Issuers that
    /// are deleted have them too.
    pub fn next_issuer_of_certificates(
        &self,
        id_scope: &str,
        issuer: &str,
    ) -> Result<Option<(String, String)>, StoreError> {
        // A step in the index for each issuer; DISTINCT would walk through all certificates.
        let sql = "SELECT id_scope, issuer FROM issued_certificates
                   WHERE (id_scope, issuer) > (?1, ?2) ORDER BY id_scope, issuer LIMIT 1";
        self.one(sql, [id_scope, issuer], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}

impl Tx<'_> {
    /// Deletes some of the certificates of an issuer that ended before `before`, the first ones
    /// first; says how many.
    pub fn prune_issued(
        &self,
        id_scope: &str,
        issuer: &str,
        before: i64,
    ) -> Result<usize, StoreError> {
        let sql = "DELETE FROM issued_certificates WHERE id IN
                   (SELECT id FROM issued_certificates
                    WHERE id_scope = ?1 AND issuer = ?2 AND not_after < ?3
                    ORDER BY not_after LIMIT 1000)";
        self.write(Lock::Directory, sql, params![id_scope, issuer, before])
    }
}
