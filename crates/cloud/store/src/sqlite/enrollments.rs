use ids::{EnrollmentId, Etag, RegistrationId};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    AttestationKind, Deciding, EnrollmentKey, EnrollmentKind, EnrollmentRow, EnrollmentVersion,
    ListedRow, Lock, PageRows, StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, spelled, etag, enabled, attestation, document, created, updated,
                    issuer, trust_bundle FROM enrollments ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<EnrollmentRow> {
    Ok(EnrollmentRow {
        id: row.get(0)?,
        key: read_key(row, 1, 2)?,
        etag: decode::id(row, 3, "etag")?,
        enabled: row.get(4)?,
        attestation: decode::named(row, 5, "attestation", AttestationKind::named)?,
        document: row.get(6)?,
        created: row.get(7)?,
        updated: row.get(8)?,
        issuer: row.get(9)?,
        trust_bundle: row.get(10)?,
    })
}

fn read_key(row: &Row<'_>, kind: usize, spelled: usize) -> rusqlite::Result<EnrollmentKey> {
    Ok(
        match decode::named(row, kind, "kind", EnrollmentKind::named)? {
            EnrollmentKind::Individual => {
                EnrollmentKey::Individual(decode::id(row, spelled, "registration id")?)
            }
            EnrollmentKind::Group => {
                EnrollmentKey::Group(decode::id(row, spelled, "enrollment group id")?)
            }
        },
    )
}

/// Reads the columns `kind` and `spelled`.
pub(super) fn key(row: &Row<'_>) -> rusqlite::Result<EnrollmentKey> {
    read_key(row, 0, 1)
}

/// Reads the columns `id` and `etag`.
pub(super) fn version(row: &Row<'_>) -> rusqlite::Result<EnrollmentVersion> {
    Ok(EnrollmentVersion {
        id: row.get(0)?,
        etag: decode::id(row, 1, "etag")?,
    })
}

impl View<'_> {
    pub fn enrollment(
        &self,
        id_scope: &str,
        key: &EnrollmentKey,
    ) -> Result<Option<EnrollmentRow>, StoreError> {
        self.one(
            select!("WHERE id_scope = ?1 AND kind = ?2 AND folded = ?3"),
            [id_scope, key.kind().name(), &key.folded()],
            read,
        )
    }

    /// The version of an enrollment: enough to know whether a remembered one is current.
    pub fn enrollment_version(
        &self,
        id_scope: &str,
        key: &EnrollmentKey,
    ) -> Result<Option<EnrollmentVersion>, StoreError> {
        let sql =
            "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = ?2 AND folded = ?3";
        self.one(sql, [id_scope, key.kind().name(), &key.folded()], version)
    }

    /// The version of the individual enrollment of a registration.
    pub fn individual_enrollment_version(
        &self,
        id_scope: &str,
        id: &RegistrationId,
    ) -> Result<Option<EnrollmentVersion>, StoreError> {
        let sql = "SELECT id, etag FROM enrollments
                   WHERE id_scope = ?1 AND kind = 'individual' AND folded = ?2";
        self.one(sql, [id_scope, id.folded()], version)
    }

    /// The etags of the enrollments that can decide about a registration: its individual one,
    /// which decides if there is one, and this group.
    pub fn deciding_enrollments(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        group: Option<&EnrollmentId>,
    ) -> Result<Deciding, StoreError> {
        // Two point reads of the unique index; one condition for both would walk through the
        // service's enrollments.
        let sql = "SELECT
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'individual' AND
                folded = ?2),
                (SELECT etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group' AND folded =
                ?3)";
        let values = params![id_scope, id.folded(), group.map(EnrollmentId::folded)];
        let found = self.one(sql, values, |row| {
            Ok(Deciding {
                individual: decode::optional_id(row, 0, "etag")?,
                group: decode::optional_id(row, 1, "etag")?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Enrollments of a kind whose id in lower case comes after `after`, in order.
    pub fn enrollments_after(
        &self,
        id_scope: &str,
        kind: EnrollmentKind,
        after: &str,
        limit: usize,
    ) -> Result<PageRows<ListedRow<EnrollmentRow>>, StoreError> {
        let sql =
            select!("WHERE id_scope = ?1 AND kind = ?2 AND folded > ?3 ORDER BY folded LIMIT ?4");
        let values = params![id_scope, kind.name(), after, limit + 1];
        let bytes = |listed: &ListedRow<EnrollmentRow>| {
            let row = listed.row.as_ref();
            row.map_or(0, |row| row.document.len())
        };
        // The next page begins after the key: it is read as it is.
        let read_listed = |row: &Row<'_>| self.list_row(row, row.get(2)?, read);
        self.page(sql, values, limit, read_listed, bytes)
    }

    /// All groups whose devices prove themselves by derived keys, by id.
    pub fn groups_with_keys(&self, id_scope: &str) -> Result<Vec<EnrollmentVersion>, StoreError> {
        let sql = "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group'
                   AND attestation = 'symmetricKey' ORDER BY folded";
        self.all(sql, [id_scope], version)
    }

    /// The same of groups whose devices prove themselves by certificates; at most `limit`.
    pub fn groups_with_certificates(
        &self,
        id_scope: &str,
        limit: usize,
    ) -> Result<Vec<EnrollmentVersion>, StoreError> {
        // By the unique index, in which the groups of a service stand beside each other.
        let sql = "SELECT id, etag FROM enrollments WHERE id_scope = ?1 AND kind = 'group'
                   AND attestation = 'x509' ORDER BY folded LIMIT ?2";
        self.all(sql, params![id_scope, limit], version)
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
                       attestation, document, created, updated, issuer, trust_bundle)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let folded = row.key.folded();
        #[rustfmt::skip]
        let values = params![
            id_scope, row.key.kind().name(), folded, row.key.as_str(), row.etag.as_str(),
            row.enabled, row.attestation.name(), row.document, row.created, row.updated,
            row.issuer, row.trust_bundle,
        ];
        self.note_kind(row.key.kind());
        self.write(lock(id_scope, &row.key, &folded), sql, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes all of an enrollment but its key and creation date; it was read with the etag
    /// `before`.
    pub fn update_enrollment(
        &self,
        id_scope: &str,
        before: &Etag,
        row: &EnrollmentRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE enrollments SET etag = ?3, enabled = ?4, attestation = ?5, document = ?6,
                       updated = ?7, issuer = ?8, trust_bundle = ?9
                   WHERE id = ?1 AND etag = ?2";
        #[rustfmt::skip]
        let values = params![
            row.id, before.as_str(), row.etag.as_str(), row.enabled, row.attestation.name(),
            row.document, row.updated, row.issuer, row.trust_bundle,
        ];
        self.note_kind(row.key.kind());
        self.write_version(lock(id_scope, &row.key, &row.key.folded()), sql, values)
    }

    /// Certificates are only replaced together with their enrollment, so that this sees every
    /// change of a group.
    fn note_kind(&self, kind: EnrollmentKind) {
        if kind == EnrollmentKind::Group {
            self.bump_group_generation();
        }
    }

    /// Deletes an enrollment with its certificates.
    pub fn delete_enrollment(
        &self,
        id_scope: &str,
        key: &EnrollmentKey,
        version: &EnrollmentVersion,
    ) -> Result<(), StoreError> {
        self.note_kind(key.kind());
        let sql = "DELETE FROM enrollments WHERE id = ?1 AND etag = ?2";
        let values = params![version.id, version.etag.as_str()];
        self.write_version(lock(id_scope, key, &key.folded()), sql, values)
    }
}

fn lock<'a>(id_scope: &'a str, key: &EnrollmentKey, folded: &'a str) -> Lock<'a> {
    match key.kind() {
        EnrollmentKind::Group => Lock::EnrollmentGroup { id_scope, folded },
        EnrollmentKind::Individual => Lock::Enrollment { id_scope, folded },
    }
}
