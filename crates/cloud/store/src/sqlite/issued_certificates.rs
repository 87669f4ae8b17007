use ids::{CertificateSerial, IssuerName, Thumbprint};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    CertificateOrigin, IssuedCertificateRow, IssuedFilter, IssuedState, Lock,
    RevokedCertificateRow, StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, issuer, authority, serial, spelled, thumbprint, not_before, not_after,
                 key_type, origin, username, issued, state, reason, changed
             FROM issued_certificates ",
            $rest
        )
    };
}

macro_rules! insert {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO issued_certificates (id_scope, issuer, authority, serial, folded, spelled,
                 thumbprint, not_before, not_after, key_type, origin, username, issued, state,
                 reason, changed, der, log_index)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18) ",
            $conflict
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<IssuedCertificateRow> {
    Ok(IssuedCertificateRow {
        id: row.get(0)?,
        issuer: decode::id(row, 1, "issuer")?,
        authority: decode::thumbprint(row, 2)?,
        serial: decode::serial(row, 3)?,
        common_name: row.get(4)?,
        thumbprint: decode::thumbprint(row, 5)?,
        not_before: row.get(6)?,
        not_after: row.get(7)?,
        key_type: row.get(8)?,
        origin: decode::named(row, 9, "origin", CertificateOrigin::named)?,
        username: decode::optional_id(row, 10, "username")?,
        issued: row.get(11)?,
        state: decode::named(row, 12, "state", IssuedState::named)?,
        reason: row.get(13)?,
        changed: row.get(14)?,
    })
}

fn read_count(row: &Row<'_>) -> rusqlite::Result<(Thumbprint, u64)> {
    Ok((decode::thumbprint(row, 0)?, row.get(1)?))
}

impl View<'_> {
    /// The certificates of a serial number: one, but for CAs that were imported with what they
    /// had issued.
    pub fn issued_certificates(
        &self,
        id_scope: &str,
        serial: &CertificateSerial,
    ) -> Result<Vec<IssuedCertificateRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND serial = ?2 ORDER BY id");
        self.all(sql, params![id_scope, serial.as_bytes()], read)
    }

    /// The certificate of a thumbprint. Its serial number finds it: thumbprints have no index.
    pub fn issued_certificate(
        &self,
        id_scope: &str,
        serial: &CertificateSerial,
        thumbprint: &Thumbprint,
    ) -> Result<Option<IssuedCertificateRow>, StoreError> {
        let sql = select!("WHERE id_scope = ?1 AND serial = ?2 AND thumbprint = ?3");
        let values = params![id_scope, serial.as_bytes(), thumbprint.as_bytes()];
        self.one(sql, values, read)
    }

    /// The valid certificates of an issuer for a common name that have one of two thumbprints, in
    /// the order in which they were issued.
    pub fn valid_issued(
        &self,
        id_scope: &str,
        (issuer, subject): (&IssuerName, &str),
        thumbprints: [Option<Thumbprint>; 2],
    ) -> Result<Vec<IssuedCertificateRow>, StoreError> {
        let sql = select!(
            "WHERE id_scope = ?1 AND issuer = ?2 AND folded = ?3 AND state = 'valid'
             AND thumbprint IN (?4, ?5) ORDER BY id"
        );
        let [first, second] = &thumbprints;
        let bytes = |one: &Option<Thumbprint>| one.as_ref().map(|one| one.as_bytes().to_vec());
        let subject = subject.to_lowercase();
        #[rustfmt::skip]
        let values = params![id_scope, issuer.folded(), subject, bytes(first), bytes(second)];
        self.all(sql, values, read)
    }

    /// The DER of a certificate; `None` when it is not kept.
    pub fn issued_der(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT der FROM issued_certificates WHERE id = ?1";
        Ok(self.one(sql, [id], |row| row.get(0))?.flatten())
    }

    /// Certificates by common name, or all of one, after a common name in lower case and a row id;
    /// one more than `limit` says that there are more.
    pub fn issued_by_subject(
        &self,
        filter: &IssuedFilter<'_>,
        subject: Option<&str>,
        after: (&str, i64),
        limit: usize,
    ) -> Result<Vec<IssuedCertificateRow>, StoreError> {
        let state = filter.state.map(IssuedState::name);
        let (from, before) = (filter.expires_from, filter.expires_before);
        match subject {
            Some(subject) => self.all(
                select!(
                    "WHERE id_scope = ?1 AND issuer = ?2 AND folded = ?3 AND id > ?4
                     AND not_after >= ?5 AND not_after < ?6 AND (?7 IS NULL OR state = ?7)
                     ORDER BY id LIMIT ?8"
                ),
                params![
                    filter.id_scope,
                    filter.issuer,
                    subject,
                    after.1,
                    from,
                    before,
                    state,
                    limit + 1,
                ],
                read,
            ),
            None => self.all(
                select!(
                    "WHERE id_scope = ?1 AND issuer = ?2 AND (folded, id) > (?3, ?4)
                     AND not_after >= ?5 AND not_after < ?6 AND (?7 IS NULL OR state = ?7)
                     ORDER BY folded, id LIMIT ?8"
                ),
                params![
                    filter.id_scope,
                    filter.issuer,
                    after.0,
                    after.1,
                    from,
                    before,
                    state,
                    limit + 1,
                ],
                read,
            ),
        }
    }

    /// Certificates in the order in which they expire, after a `notAfter` and a row id.
    pub fn issued_by_expiry(
        &self,
        filter: &IssuedFilter<'_>,
        after: (i64, i64),
        limit: usize,
    ) -> Result<Vec<IssuedCertificateRow>, StoreError> {
        let sql = select!(
            "WHERE id_scope = ?1 AND issuer = ?2 AND not_after >= ?3 AND not_after < ?4
             AND (not_after, id) > (?5, ?6) AND (?7 IS NULL OR state = ?7)
             ORDER BY not_after, id LIMIT ?8"
        );
        let state = filter.state.map(IssuedState::name);
        #[rustfmt::skip]
        let values = params![
            filter.id_scope, filter.issuer, filter.expires_from, filter.expires_before,
            after.0, after.1, state, limit + 1,
        ];
        self.all(sql, values, read)
    }

    /// How many valid certificates end in the time of a filter, counted in the index of expiry.
    pub fn issued_expiring(&self, filter: &IssuedFilter<'_>) -> Result<u64, StoreError> {
        let range = params![
            filter.id_scope,
            filter.issuer,
            filter.expires_from,
            filter.expires_before,
        ];
        let all: u64 = self.count(
            "SELECT count(*) FROM issued_certificates
             WHERE id_scope = ?1 AND issuer = ?2 AND not_after >= ?3 AND not_after < ?4",
            range,
        )?;
        let not_valid: u64 = self.count(
            "SELECT count(*) FROM issued_certificates INDEXED BY issued_certificates_not_valid
             WHERE id_scope = ?1 AND issuer = ?2 AND state <> 'valid'
               AND not_after >= ?3 AND not_after < ?4",
            range,
        )?;
        Ok(all.saturating_sub(not_valid))
    }

    /// What revocation lists say of the certificates of an issuer that end from `expires_from`,
    /// after a row id.
    pub fn revoked_certificates(
        &self,
        id_scope: &str,
        issuer: &str,
        expires_from: i64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<RevokedCertificateRow>, StoreError> {
        let sql = "SELECT id, authority, serial, state, reason, changed
                   FROM issued_certificates
                   WHERE id_scope = ?1 AND issuer = ?2 AND state <> 'valid' AND id > ?3
                     AND not_after >= ?4
                   ORDER BY id LIMIT ?5";
        let values = params![id_scope, issuer, after, expires_from, limit];
        self.all(sql, values, |row| {
            Ok(RevokedCertificateRow {
                id: row.get(0)?,
                authority: decode::thumbprint(row, 1)?,
                serial: decode::serial(row, 2)?,
                state: decode::named(row, 3, "state", IssuedState::named)?,
                reason: row.get(4)?,
                changed: row.get(5)?,
            })
        })
    }

    /// Whether a CA of an issuer has issued a certificate.
    pub fn has_issued(
        &self,
        id_scope: &str,
        issuer: &str,
        authority: &Thumbprint,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM issued_certificates
                   WHERE id_scope = ?1 AND issuer = ?2 AND authority = ?3 LIMIT 1";
        let values = params![id_scope, issuer, authority.as_bytes()];
        Ok(self.one(sql, values, |_| Ok(()))?.is_some())
    }

    /// How many valid certificates, expiring from a time on, each CA of an issuer has.
    pub fn valid_certificates_by_authority(
        &self,
        id_scope: &str,
        issuer: &str,
        expires_from: i64,
    ) -> Result<Vec<(Thumbprint, u64)>, StoreError> {
        let sql = "SELECT authority, count(*) FROM issued_certificates
                   WHERE id_scope = ?1 AND issuer = ?2 AND not_after >= ?3 AND state = 'valid'
                   GROUP BY authority";
        self.all(sql, params![id_scope, issuer, expires_from], read_count)
    }

    /// How many registered devices use a valid certificate of each CA of an issuer: the one whose
    /// thumbprint their hub device has, else the one that was issued last.
    pub fn devices_by_authority(
        &self,
        id_scope: &str,
        issuer: &str,
        expires_from: i64,
    ) -> Result<Vec<(Thumbprint, u64)>, StoreError> {
        let sql = "SELECT authority, count(*) FROM (
                     SELECT c.authority AS authority, row_number() OVER (
                         PARTITION BY c.folded
                         ORDER BY coalesce(i.auth_primary = hex(c.thumbprint), 0) DESC, c.id DESC
                       ) AS place
                     FROM issued_certificates AS c
                     JOIN registrations AS r ON r.id_scope = c.id_scope AND r.folded = c.folded
                     LEFT JOIN identities AS i ON i.hub = r.hub AND i.device_id = r.device_id
                       AND i.module_id = ''
                     WHERE c.id_scope = ?1 AND c.issuer = ?2 AND c.not_after >= ?3
                       AND c.state = 'valid' AND r.status = 'assigned'
                   ) WHERE place = 1 GROUP BY authority";
        self.all(sql, params![id_scope, issuer, expires_from], read_count)
    }

    /// Certificates that are held or revoked, after a row id: in the order in which they were
    /// issued.
    pub fn issued_not_valid(
        &self,
        filter: &IssuedFilter<'_>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<IssuedCertificateRow>, StoreError> {
        let sql = select!(
            "WHERE id_scope = ?1 AND issuer = ?2 AND state <> 'valid' AND id > ?3
             AND not_after >= ?4 AND not_after < ?5 AND (?6 IS NULL OR state = ?6)
             ORDER BY id LIMIT ?7"
        );
        let state = filter.state.map(IssuedState::name);
        #[rustfmt::skip]
        let values = params![
            filter.id_scope, filter.issuer, after, filter.expires_from, filter.expires_before,
            state, limit + 1,
        ];
        self.all(sql, values, read)
    }
}

impl Tx<'_> {
    /// Adds a certificate with its DER, to the list and to the log. Without it, it is in the list
    /// alone.
    pub fn insert_issued_certificate(
        &self,
        id_scope: &str,
        row: &IssuedCertificateRow,
        der: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.insert_issued(id_scope, row, der, insert!(""))
            .map(drop)
    }

    /// Adds a certificate that an earlier version issued, unless it is there; whether it was added.
    pub fn insert_taken_certificate(
        &self,
        id_scope: &str,
        row: &IssuedCertificateRow,
    ) -> Result<bool, StoreError> {
        let added = self.insert_issued(id_scope, row, None, insert!("ON CONFLICT DO NOTHING"))?;
        Ok(added > 0)
    }

    fn insert_issued(
        &self,
        id_scope: &str,
        row: &IssuedCertificateRow,
        der: Option<&[u8]>,
        sql: &'static str,
    ) -> Result<usize, StoreError> {
        let append = |der| self.append_to_certificate_log(id_scope, &row.authority, der);
        let log_index = der.map(append).transpose()?;
        let username = row.username.as_ref().map(|name| name.as_str());
        #[rustfmt::skip]
        let values = params![
            id_scope, row.issuer.folded(), row.authority.as_bytes(), row.serial.as_bytes(),
            row.common_name.to_lowercase(), row.common_name, row.thumbprint.as_bytes(),
            row.not_before, row.not_after, row.key_type, row.origin.name(), username,
            row.issued, row.state.name(), row.reason, row.changed, der, log_index,
        ];
        let serial = row.serial;
        if row.state != IssuedState::Valid {
            self.bump_revocations();
        }
        self.write(Lock::IssuedCertificate { id_scope, serial }, sql, values)
    }

    /// Writes the state of a certificate that was read as `row`.
    pub fn update_issued_state(
        &self,
        id_scope: &str,
        row: &IssuedCertificateRow,
        state: IssuedState,
        reason: Option<&str>,
        changed: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE issued_certificates SET state = ?3, reason = ?4, changed = ?5
                   WHERE id = ?1 AND state = ?2";
        #[rustfmt::skip]
        let values = params![row.id, row.state.name(), state.name(), reason, changed];
        self.bump_revocations();
        let serial = row.serial;
        self.write_version(Lock::IssuedCertificate { id_scope, serial }, sql, values)
    }
}
