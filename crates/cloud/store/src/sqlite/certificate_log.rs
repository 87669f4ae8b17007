use aws_lc_rs::digest::{Context, SHA256};
use ids::Thumbprint;
use rusqlite::{Row, params};

use crate::{IssuedCertificateRow, Lock, StoreError, Tx, View};

/// The hash of a certificate in the log, or of a subtree of it.
pub type LogHash = [u8; 32];

/// Leaves and nodes are hashed as `pki::log` says, which proves them: its proofs of what is stored
/// here hold only if both agree.
fn hash(parts: &[&[u8]]) -> LogHash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn read_hash(row: &Row<'_>) -> rusqlite::Result<LogHash> {
    row.get(0)
}

fn hash_missing() -> StoreError {
    StoreError::damaged_document("certificate log", "the hash of a subtree is missing")
}

impl View<'_> {
    /// How many certificates the log of a service has.
    pub fn certificate_log_size(&self, id_scope: &str) -> Result<u64, StoreError> {
        let sql = "SELECT place FROM certificate_log WHERE id_scope = ?1 AND level = 0
                   ORDER BY place DESC LIMIT 1";
        let last = self.one(sql, [id_scope], |row| row.get::<_, u64>(0))?;
        Ok(last.map_or(0, |last| last + 1))
    }

    /// The hash of a complete subtree of the log.
    pub fn certificate_log_node(
        &self,
        id_scope: &str,
        level: u32,
        place: u64,
    ) -> Result<LogHash, StoreError> {
        let sql = "SELECT hash FROM certificate_log
                   WHERE id_scope = ?1 AND level = ?2 AND place = ?3";
        let found = self.one(sql, params![id_scope, level, place], read_hash)?;
        found.ok_or_else(hash_missing)
    }

    /// The place of a certificate in the log; `None` when it is not in it.
    pub fn certificate_log_index(
        &self,
        row: &IssuedCertificateRow,
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT log_index FROM issued_certificates WHERE id = ?1";
        Ok(self.one(sql, [row.id], |row| row.get(0))?.flatten())
    }
}

impl Tx<'_> {
    /// Appends a certificate and the hashes of the subtrees that it completes: one on average.
    pub(crate) fn append_to_certificate_log(
        &self,
        id_scope: &str,
        authority: &Thumbprint,
        der: &[u8],
    ) -> Result<u64, StoreError> {
        let index = self.certificate_log_size(id_scope)?;
        let (mut level, mut place) = (0_u32, index);
        let mut node = hash(&[&[0, 1], authority.as_bytes(), der]);
        self.insert_log_node(id_scope, level, place, &node)?;
        while place & 1 == 1 {
            let left = self.certificate_log_node(id_scope, level, place - 1)?;
            node = hash(&[&[1], &left, &node]);
            (level, place) = (level + 1, place >> 1);
            self.insert_log_node(id_scope, level, place, &node)?;
        }
        Ok(index)
    }

    fn insert_log_node(
        &self,
        id_scope: &str,
        level: u32,
        place: u64,
        hash: &LogHash,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO certificate_log (id_scope, level, place, hash)
                   VALUES (?1, ?2, ?3, ?4)";
        let values = params![id_scope, level, place, hash];
        self.write(Lock::CertificateLog { id_scope }, sql, values)
            .map(drop)
    }
}
