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

    /// The hashes of complete subtrees of a level from a place on, as far as there are any.
    pub fn certificate_log_nodes(
        &self,
        id_scope: &str,
        level: u32,
        (first, count): (u64, u16),
    ) -> Result<Vec<LogHash>, StoreError> {
        let sql = "SELECT hash FROM certificate_log
                   WHERE id_scope = ?1 AND level = ?2 AND place >= ?3
                   ORDER BY place LIMIT ?4";
        // SQLite's numbers end at 2^63, and no log has so many certificates.
        let Ok(first) = i64::try_from(first) else {
            return Ok(Vec::new());
        };
        self.all(sql, params![id_scope, level, first, count], read_hash)
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

/// The certificates that the units of a transaction append to the logs of services. Their places
/// are known at once; the writer adds the rows at the end of the commit, with what the log holds
/// read once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LogAppends(Vec<Appended>);

#[derive(Debug, PartialEq, Eq)]
struct Appended {
    id_scope: String,
    /// The place of the first one.
    start: u64,
    leaves: Vec<LogHash>,
}

impl LogAppends {
    pub(crate) fn extend(&mut self, more: Self) {
        for more in more.0 {
            match self.of(&more.id_scope) {
                Some(own) => own.leaves.extend(more.leaves),
                None => self.0.push(more),
            }
        }
    }

    fn of(&mut self, id_scope: &str) -> Option<&mut Appended> {
        self.0.iter_mut().find(|one| one.id_scope == id_scope)
    }

    /// The place of the next certificate, when there are others before it.
    fn next_place(&self, id_scope: &str) -> Option<u64> {
        let own = self.0.iter().find(|one| one.id_scope == id_scope)?;
        Some(own.start + own.leaves.len() as u64)
    }

    /// Writes the rows.
    pub(crate) fn write(self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.0.into_iter().try_for_each(|one| one.write(tx))
    }
}

impl Appended {
    fn write(self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let mut peaks = tx.peaks(&self.id_scope, self.start)?;
        for (leaf, index) in self.leaves.into_iter().zip(self.start..) {
            let (mut level, mut place, mut node) = (0_u32, index, leaf);
            tx.insert_log_node(&self.id_scope, level, place, &node)?;
            while place & 1 == 1 {
                let left = peaks.pop().ok_or_else(hash_missing)?;
                node = hash(&[&[1], &left, &node]);
                (level, place) = (level + 1, place >> 1);
                tx.insert_log_node(&self.id_scope, level, place, &node)?;
            }
            peaks.push(node);
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// Appends a certificate, and the hashes of the subtrees that it completes: one on average.
    /// Returns its place.
    pub(crate) fn append_to_certificate_log(
        &self,
        id_scope: &str,
        authority: &Thumbprint,
        der: &[u8],
    ) -> Result<u64, StoreError> {
        self.require(Lock::CertificateLog { id_scope })?;
        let leaf = hash(&[&[0, 1], authority.as_bytes(), der]);
        self.append_leaf(id_scope, leaf)
    }

    fn append_leaf(&self, id_scope: &str, leaf: LogHash) -> Result<u64, StoreError> {
        let before = self.log_appends_before();
        let mut effects = self.effects();
        let own = &mut effects.log_appends;
        if let Some(place) = own.next_place(id_scope) {
            own.of(id_scope)
                .into_iter()
                .for_each(|own| own.leaves.push(leaf));
            return Ok(place);
        }
        let place = match before.and_then(|before| before.next_place(id_scope)) {
            Some(place) => place,
            None => self.certificate_log_size(id_scope)?,
        };
        own.0.push(Appended {
            id_scope: id_scope.to_owned(),
            start: place,
            leaves: vec![leaf],
        });
        Ok(place)
    }

    /// The hashes of the complete subtrees of a log of this size, the largest first: one for each
    /// bit of the size.
    fn peaks(&self, id_scope: &str, size: u64) -> Result<Vec<LogHash>, StoreError> {
        let levels = (0..u64::BITS).rev();
        let complete = levels.filter(|level| size >> level & 1 == 1);
        complete
            .map(|level| self.certificate_log_node(id_scope, level, (size >> level) - 1))
            .collect()
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
        self.write_at_end(sql, values).map(drop)
    }
}
