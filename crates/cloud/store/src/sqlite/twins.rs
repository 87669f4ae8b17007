use ids::{DeviceId, HubName};
use rusqlite::{Row, params};

use crate::sqlite::identities::{identity_columns, key_texts, lock, module_text, read_identity};
use crate::sqlite::identity_counts::Counted;
use crate::{
    IdentityKey, IdentityRow, IdentityVersion, Listed, Oversized, StoreError, TwinRow, TwinWrite,
    Tx, View,
};

mod selected;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            identity_columns!(),
            ", twin_version, desired_version, reported_version, twin_written,
             CASE WHEN length(tags) > 262144 THEN NULL ELSE json(tags) END,
             CASE WHEN length(desired) > 262144 THEN NULL ELSE json(desired) END,
             CASE WHEN length(reported) > 262144 THEN NULL ELSE json(reported) END,
             json(configurations),
             CASE WHEN length(desired) > 262144 THEN NULL ELSE desired_metadata END,
             CASE WHEN length(reported) > 262144 THEN NULL ELSE reported_metadata END,
             coalesce(length(tags) > 262144, 0), coalesce(length(desired) > 262144, 0),
             coalesce(length(reported) > 262144, 0) FROM identities ",
            $rest
        )
    };
}

/// How long the documents of a twin are.
fn bytes(listed: &Listed<(IdentityRow, TwinRow)>) -> usize {
    let Ok((_, twin)) = &listed.row else {
        return 0;
    };
    let documents = [
        &twin.tags,
        &twin.desired,
        &twin.reported,
        &twin.configurations,
        &twin.desired_metadata,
        &twin.reported_metadata,
    ];
    documents.into_iter().flatten().map(String::len).sum()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(IdentityRow, TwinRow)> {
    let twin = TwinRow {
        version: row.get(16)?,
        desired_version: row.get(17)?,
        reported_version: row.get(18)?,
        written: row.get(19)?,
        tags: row.get(20)?,
        desired: row.get(21)?,
        reported: row.get(22)?,
        configurations: row.get(23)?,
        desired_metadata: row.get(24)?,
        reported_metadata: row.get(25)?,
        oversized: Oversized {
            tags: row.get(26)?,
            desired: row.get(27)?,
            reported: row.get(28)?,
        },
    };
    Ok((read_identity(row)?, twin))
}

impl View<'_> {
    /// An identity with its twin.
    pub fn twin(&self, key: IdentityKey<'_>) -> Result<Option<(IdentityRow, TwinRow)>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2 AND module_id = ?3");
        self.one(sql, key_texts(&key), read)
    }

    /// A device and its modules with their twins, the device first.
    pub fn device_and_modules(
        &self,
        hub: &HubName,
        device_id: &DeviceId,
    ) -> Result<Vec<(IdentityRow, TwinRow)>, StoreError> {
        let sql = select!("WHERE hub = ?1 AND device_id = ?2 ORDER BY module_id");
        self.all(sql, [hub.as_str(), device_id.as_str()], read)
    }

    /// What tells whether a device, a module of it, or the twin of one has changed, the device
    /// first.
    pub fn device_versions(
        &self,
        hub: &HubName,
        device_id: &str,
    ) -> Result<Vec<IdentityVersion>, StoreError> {
        let sql = "SELECT id, revision, twin_version FROM identities
                   WHERE hub = ?1 AND device_id = ?2 ORDER BY module_id";
        self.all(sql, [hub.as_str(), device_id], |row| {
            Ok(IdentityVersion {
                id: row.get(0)?,
                revision: row.get(1)?,
                twin_version: row.get(2)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Adds a device or module with its twin.
    pub fn insert_identity(&self, row: &IdentityRow, twin: &TwinRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO identities (hub, device_id, module_id, generation_id, revision,
                   enabled, status_reason,
                       status_updated, auth_kind, auth_primary, auth_secondary, iot_edge,
                       managed_by, device_scope,
                       parent_scopes, twin_version, desired_version, reported_version,
                       twin_written, tags, desired)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                   ?17, ?18, ?19,
                       jsonb(?20), jsonb(?21))";
        #[rustfmt::skip]
        let values = params![
            row.hub.as_str(), row.device_id.as_str(), module_text(row.module_id.as_ref()),
            row.generation_id.as_str(), row.revision, row.enabled, row.status_reason,
            row.status_updated, row.auth_kind.name(), row.auth_primary, row.auth_secondary,
            row.iot_edge, row.managed_by,
            row.device_scope, row.parent_scopes, twin.version, twin.desired_version,
            twin.reported_version,
            twin.written, twin.tags, twin.desired,
        ];
        self.write(lock(row), sql, values)?;
        self.count(&row.hub, Counted::of(row));
        match &twin.tags {
            Some(tags) => self.index_inserted(row, tags),
            None => Ok(()),
        }
    }

    /// Writes the parts of a twin that change.
    pub fn update_twin(
        &self,
        row: &IdentityRow,
        version: u64,
        write: &TwinWrite,
    ) -> Result<(), StoreError> {
        if let Some(tags) = &write.tags {
            self.reindex(row.key(), row.id, Some(tags))?;
        }
        let sql = "UPDATE identities SET twin_version = ?2, tags = coalesce(jsonb(?3), tags),
                       desired = coalesce(jsonb(?4), desired), desired_metadata = coalesce(?5,
                       desired_metadata),
                       desired_version = coalesce(?6, desired_version), reported =
                       coalesce(jsonb(?7), reported),
                       reported_metadata = coalesce(?8, reported_metadata),
                       reported_version = coalesce(?9, reported_version),
                       configurations = coalesce(jsonb(?10), configurations)
                   WHERE id = ?1 AND twin_version = ?11";
        let (desired, reported) = (write.desired.as_ref(), write.reported.as_ref());
        #[rustfmt::skip]
        let values = params![
            row.id, write.version, write.tags,
            desired.map(|s| &s.document), desired.map(|s| &s.metadata), desired.map(|s| s.version),
            reported.map(|s| &s.document), reported.map(|s| &s.metadata), reported.map(|s|
            s.version),
            write.configurations, version,
        ];
        self.write_version(lock(row), sql, values)
    }

    /// Writes a twin whole: documents, versions and date. Metadata goes, so that
    /// everything dates from `twin.written`.
    pub fn reset_twin(
        &self,
        row: &IdentityRow,
        version: u64,
        twin: &TwinRow,
    ) -> Result<(), StoreError> {
        self.reindex(row.key(), row.id, twin.tags.as_deref())?;
        let sql =
            "UPDATE identities SET twin_version = ?2, desired_version = ?3, reported_version = ?4,
                       twin_written = ?5, tags = jsonb(?6), desired = jsonb(?7), reported = NULL,
                       configurations = NULL, desired_metadata = NULL, reported_metadata = NULL
                   WHERE id = ?1 AND twin_version = ?8";
        let versions = (twin.version, twin.desired_version, twin.reported_version);
        let values = params![
            row.id,
            versions.0,
            versions.1,
            versions.2,
            twin.written,
            twin.tags,
            twin.desired,
            version
        ];
        self.write_version(lock(row), sql, values)
    }
}
