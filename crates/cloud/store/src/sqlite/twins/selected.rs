//! Twins with those documents only that are asked for.

use ids::HubName;
use rusqlite::params;

use super::{bytes, read};
use crate::sqlite::identities::{identity_columns, read_listed};
use crate::{
    DeviceRange, IdentityKind, IdentityRow, Listed, PageRows, StoreError, TwinParts, TwinRow, View,
};

/// The first five parameters say which documents are read. Those left out look empty.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            identity_columns!(),
            ", twin_version, desired_version, reported_version, twin_written,
             CASE WHEN ?1 AND length(tags) <= 262144 THEN json(tags) END,
             CASE WHEN ?2 AND length(desired) <= 262144 THEN json(desired) END,
             CASE WHEN ?3 AND length(reported) <= 262144 THEN json(reported) END,
             CASE WHEN ?4 THEN json(configurations) END,
             CASE WHEN ?5 AND ?2 AND length(desired) <= 262144 THEN desired_metadata END,
             CASE WHEN ?5 AND ?3 AND length(reported) <= 262144 THEN reported_metadata END,
             coalesce(length(tags) > 262144, 0), coalesce(length(desired) > 262144, 0),
             coalesce(length(reported) > 262144, 0) FROM identities ",
            $rest
        )
    };
}

impl View<'_> {
    /// The device or module of a row, when there is one.
    pub fn twin_in_row(
        &self,
        identity: i64,
        parts: TwinParts,
    ) -> Result<Option<Listed<(IdentityRow, TwinRow)>>, StoreError> {
        let sql = select!("WHERE id = ?6");
        let TwinParts {
            tags,
            desired,
            reported,
            configurations,
            metadata,
        } = parts;
        let values = params![tags, desired, reported, configurations, metadata, identity];
        self.one(sql, values, |row| read_listed(self.file, row, read))
    }

    /// Devices of a range of ids, or their modules, after one, in order.
    pub fn twins_in_range(
        &self,
        (hub, kind): (&HubName, IdentityKind),
        range: &DeviceRange,
        after: (&str, &str),
        parts: TwinParts,
        limit: usize,
    ) -> Result<PageRows<Listed<(IdentityRow, TwinRow)>>, StoreError> {
        let sql = match kind {
            // The key after the one before is the next device.
            IdentityKind::Device => select!(
                "WHERE hub = ?6 AND device_id >= ?7 AND device_id <= ?8
                   AND (device_id, module_id) > (?9, ?10) AND module_id = ''
                 ORDER BY device_id LIMIT ?11"
            ),
            IdentityKind::Module => select!(
                "WHERE hub = ?6 AND device_id >= ?7 AND device_id <= ?8
                   AND (device_id, module_id) > (?9, ?10) AND module_id > ''
                 ORDER BY device_id, module_id LIMIT ?11"
            ),
        };
        let from = range.from.as_str().max(after.0);
        let TwinParts {
            tags,
            desired,
            reported,
            configurations,
            metadata,
        } = parts;
        let values = params![
            tags,
            desired,
            reported,
            configurations,
            metadata,
            hub.as_str(),
            from,
            range.to,
            after.0,
            after.1,
            limit + 1,
        ];
        self.page(
            sql,
            values,
            limit,
            |row| read_listed(self.file, row, read),
            bytes,
        )
    }
}
