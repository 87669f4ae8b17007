use rusqlite::{Row, params};

use crate::{Deciding, EnrollmentRow, Lock, PageRows, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, folded, spelled, etag, enabled, attestation, document, created,
        updated FROM enrollments ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<EnrollmentRow> {
    Ok(EnrollmentRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        folded: row.get(2)?,
        spelled: row.get(3)?,
        etag: row.get(4)?,
        enabled: row.get(5)?,
        attestation: row.get(6)?,
        document: row.get(7)?,
        created: row.get(8)?,
        updated: row.get(9)?,
    })
}

impl View<'_> {
    /// The enrollment of this kind and folded id.
    pub fn enrollment(
        &self,
        id_scope: &str,
        kind: &str,
        folded: &str,
    ) -> Result<Option<EnrollmentRow>, StoreError> {
        self.one(
            select!("WHERE id_scope = ?1 AND kind = ?2 AND folded = ?3"),
            [id_scope, kind, folded],
            read,
        )
    }

    /// Row id and etag of the enrollment of this kind and folded id: enough to know whether a
    /// remembered entry is current.
    pub fn enrollment_version(
        &self,
        id_scope: &str,
        kind: &str,
        folded: &str,
    ) -> Result<Option<(i64, String)>, StoreError> {
        let sql =
            "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = ?2 AND folded = ?3";
        self.one(sql, [id_scope, kind, folded], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The etags of the enrollments that can decide about a registration (folded): its individual
    /// one, which decides if there is one, and this group.
    pub fn deciding_enrollments(
        &self,
        id_scope: &str,
        registration: &str,
        group: Option<&str>,
    ) -> Result<Deciding, StoreError> {
        // Two point reads of the unique index; one condition for both would walk through the
        // service's enrollments.
        let sql = "SELECT
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'individual' AND
                folded = ?2),
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group' AND folded =
                ?3)";
        let found = self.one(sql, params![id_scope, registration, group], |row| {
            Ok(Deciding {
                individual: row.get(0)?,
                group: row.get(1)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Enrollments of a kind whose folded id comes after `after`, in order.
    pub fn enrollments_after(
        &self,
        id_scope: &str,
        kind: &str,
        after: &str,
        limit: usize,
    ) -> Result<PageRows<EnrollmentRow>, StoreError> {
        let sql =
            select!("WHERE id_scope = ?1 AND kind = ?2 AND folded > ?3 ORDER BY folded LIMIT ?4");
        let values = params![id_scope, kind, after, limit + 1];
        self.page(sql, values, limit, read, |row| row.document.len())
    }

    /// Row id and etag of all groups whose devices prove themselves by derived keys, by folded id.
    pub fn groups_with_keys(&self, id_scope: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let sql = "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group'
                   AND attestation = 'symmetricKey' ORDER BY folded";
        self.all(sql, [id_scope], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The same of groups whose devices prove themselves by certificates; at most `limit`.
    pub fn groups_with_certificates(
        &self,
        id_scope: &str,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        // By the unique index, in which the groups of a service stand beside each other.
        let sql = "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group'
                   AND attestation = 'x509' ORDER BY folded LIMIT ?2";
        self.all(sql, params![id_scope, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// The enrollment of a row id.
    pub fn enrollment_by_id(&self, id: i64) -> Result<Option<EnrollmentRow>, StoreError> {
        self.one(select!("WHERE id = ?1"), [id], read)
    }
}

impl Tx<'_> {
    /// Adds an enrollment; returns its row id.
    pub fn insert_enrollment(
        &self,
        id_scope: &str,
        row: &EnrollmentRow,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO enrollments (id_scope, kind, folded, spelled, etag, enabled,
                   attestation, document, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        #[rustfmt::skip]
        let values = params![
            id_scope, row.kind, row.folded, row.spelled, row.etag, row.enabled, row.attestation,
            row.document, row.created, row.updated,
        ];
        self.write(lock(id_scope, row), sql, values)?;
        self.note_kind(&row.kind);
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes etag, status, document and date of an enrollment that was read with the etag
    /// `before`.
    pub fn update_enrollment(
        &self,
        id_scope: &str,
        before: &str,
        row: &EnrollmentRow,
    ) -> Result<(), StoreError> {
        self.note_kind(&row.kind);
        let sql = "UPDATE enrollments SET etag = ?2, enabled = ?3, attestation = ?4, document =
                   ?5, updated = ?6 WHERE id = ?1 AND etag = ?7";
        #[rustfmt::skip]
        let values = params![
            row.id, row.etag, row.enabled, row.attestation, row.document, row.updated, before,
        ];
        self.write_version(lock(id_scope, row), sql, values)
    }

    /// Certificates are only replaced together with their entry, so that this sees every
    /// change of a group.
    fn note_kind(&self, kind: &str) {
        if kind == "group" {
            self.bump_group_generation();
        }
    }

    /// Writes which issuer and which trust bundle an enrollment names. They belong to the service,
    /// which says whether they may be deleted.
    pub fn set_issuer_and_trust_bundle(
        &self,
        id_scope: &str,
        enrollment: i64,
        issuer: Option<i64>,
        trust_bundle: Option<i64>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE enrollments SET issuer = ?2, trust_bundle = ?3 WHERE id = ?1";
        let values = params![enrollment, issuer, trust_bundle];
        self.write(Lock::Service { id_scope }, sql, values)
            .map(drop)
    }

    /// Deletes an enrollment with its certificates.
    pub fn delete_enrollment(&self, id_scope: &str, row: &EnrollmentRow) -> Result<(), StoreError> {
        self.note_kind(&row.kind);
        let sql = "DELETE FROM enrollments WHERE id = ?1 AND etag = ?2";
        self.write_version(lock(id_scope, row), sql, params![row.id, row.etag])
    }
}

fn lock<'a>(id_scope: &'a str, row: &'a EnrollmentRow) -> Lock<'a> {
    let folded = row.folded.as_str();
    match row.kind.as_str() {
        "group" => Lock::EnrollmentGroup { id_scope, folded },
        _ => Lock::Enrollment { id_scope, folded },
    }
}
