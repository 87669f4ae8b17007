use rusqlite::{Row, params};

use crate::{PageRows, StoreError, Tx, View};

/// An enrollment entry.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentRow {
    /// Row id; 0 before it is inserted.
    pub id: i64,
    /// `individual` or `group`.
    pub kind: String,
    /// The id in lower case.
    pub folded: String,
    /// The id as spelled.
    pub spelled: String,
    /// Its version.
    pub etag: String,
    /// Whether devices may register through it.
    pub enabled: bool,
    /// How devices prove themselves: `x509`, `symmetricKey` or `tpm`.
    pub attestation: String,
    /// JSON. May carry symmetric keys.
    pub document: String,
    /// When it was created, 100 ns since 1970.
    pub created: i64,
    /// When it was last written, 100 ns since 1970.
    pub updated: i64,
}

/// The etags of what can decide about a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deciding {
    /// Of its individual entry.
    pub individual: Option<String>,
    /// Of the group that was asked for.
    pub group: Option<String>,
}

/// A certificate of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// SHA-256 of `der`.
    pub thumbprint: [u8; 32],
    /// `primary` or `secondary`.
    pub slot: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// The subject of a group's certificate in the form in which names are compared (earlier versions wrote its DER), by which a chain is continued that ends before it.
    pub subject: Option<Vec<u8>>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, kind, folded, spelled, etag, enabled, attestation, document, created, updated FROM enrollments ", $rest)
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
    /// The entry of this kind and folded id.
    ///
    /// # Errors
    /// When the storage fails.
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

    /// Row id and etag of the entry of this kind and folded id: enough to know whether a remembered entry is current.
    ///
    /// # Errors
    /// When the storage fails.
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

    /// The etags of the entries that can decide about a registration (folded): its individual one, which decides if there is one, and
    /// this group.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn deciding_enrollments(
        &self,
        id_scope: &str,
        registration: &str,
        group: Option<&str>,
    ) -> Result<Deciding, StoreError> {
        // Two point reads of the unique index; one condition for both would walk through the service's entries.
        let sql = "SELECT
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'individual' AND folded = ?2),
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group' AND folded = ?3)";
        let found = self.one(sql, params![id_scope, registration, group], |row| {
            Ok(Deciding {
                individual: row.get(0)?,
                group: row.get(1)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Entries of a kind whose folded id comes after `after`, in order.
    ///
    /// # Errors
    /// When the storage fails.
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

    /// Row id and etag of the entry that has this certificate.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enrollment_of_certificate(
        &self,
        id_scope: &str,
        thumbprint: &[u8; 32],
    ) -> Result<Option<(i64, String)>, StoreError> {
        let sql = "SELECT e.id, e.etag FROM enrollment_certificates AS c JOIN enrollments AS e ON e.id = c.enrollment
                   WHERE c.id_scope = ?1 AND c.thumbprint = ?2";
        self.one(sql, params![id_scope, thumbprint], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Row id and etag of all groups whose devices prove themselves by derived keys, by folded id.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn groups_with_keys(&self, id_scope: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let sql = "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group'
                   AND attestation = 'symmetricKey' ORDER BY folded";
        self.all(sql, [id_scope], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The same of groups whose devices prove themselves by certificates; at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
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

    /// The entry of a row id.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn enrollment_by_id(&self, id: i64) -> Result<Option<EnrollmentRow>, StoreError> {
        self.one(select!("WHERE id = ?1"), [id], read)
    }

    /// The entry's certificates, primary first.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn certificates(&self, enrollment: i64) -> Result<Vec<CertificateRow>, StoreError> {
        let sql = "SELECT thumbprint, slot, der, subject FROM enrollment_certificates WHERE enrollment = ?1 ORDER BY slot";
        self.all(sql, [enrollment], |row| {
            Ok(CertificateRow {
                thumbprint: row.get(0)?,
                slot: row.get(1)?,
                der: row.get(2)?,
                subject: row.get(3)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Adds an entry; returns its row id.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn insert_enrollment(
        &self,
        id_scope: &str,
        row: &EnrollmentRow,
    ) -> Result<i64, StoreError> {
        let sql = "INSERT INTO enrollments (id_scope, kind, folded, spelled, etag, enabled, attestation, document, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let names = (&row.kind, &row.folded, &row.spelled);
        let written = (row.created, row.updated);
        self.run(
            sql,
            params![
                id_scope,
                names.0,
                names.1,
                names.2,
                row.etag,
                row.enabled,
                row.attestation,
                row.document,
                written.0,
                written.1
            ],
        )?;
        self.note_kind(&row.kind);
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes etag, status, document and date of an entry.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn update_enrollment(&self, row: &EnrollmentRow) -> Result<(), StoreError> {
        self.note_kind(&row.kind);
        let sql = "UPDATE enrollments SET etag = ?2, enabled = ?3, attestation = ?4, document = ?5, updated = ?6 WHERE id = ?1";
        self.run(
            sql,
            params![
                row.id,
                row.etag,
                row.enabled,
                row.attestation,
                row.document,
                row.updated
            ],
        )
        .map(drop)
    }

    /// Makes these the entry's certificates.
    ///
    /// # Errors
    /// When the storage fails, or another entry has one of them.
    pub fn replace_certificates(
        &self,
        id_scope: &str,
        enrollment: i64,
        certificates: &[CertificateRow],
    ) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM enrollment_certificates WHERE enrollment = ?1",
            [enrollment],
        )?;
        let sql =
            "INSERT INTO enrollment_certificates (id_scope, thumbprint, enrollment, slot, der, subject)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        certificates.iter().try_for_each(|row| {
            self.run(
                sql,
                params![
                    id_scope,
                    row.thumbprint,
                    enrollment,
                    row.slot,
                    row.der,
                    row.subject
                ],
            )
            .map(drop)
        })
    }

    /// Certificates are only replaced together with their entry, so that this sees every change of a group.
    fn note_kind(&self, kind: &str) {
        if kind == "group" {
            self.bump_group_generation();
        }
    }

    /// Deletes an entry with its certificates.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delete_enrollment(&self, row: &EnrollmentRow) -> Result<(), StoreError> {
        self.note_kind(&row.kind);
        self.run("DELETE FROM enrollments WHERE id = ?1", [row.id])
            .map(drop)
    }
}
