use ids::{ConfigurationId, HubName};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{
    ConfigurationHead, ConfigurationRow, ConfigurationVersion, ContentKind, ListedRow, Lock,
    StoreError, Tx, View,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, configuration_id, revision, priority, kind, target_condition,
            reads_reported, document, created,
                    updated FROM configurations ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<ConfigurationRow> {
    Ok(ConfigurationRow {
        id: row.get(0)?,
        configuration_id: decode::id(row, 1, "configuration id")?,
        revision: row.get(2)?,
        priority: row.get(3)?,
        kind: decode::named(row, 4, "kind of a configuration", ContentKind::named)?,
        target_condition: row.get(5)?,
        reads_reported: row.get(6)?,
        document: row.get(7)?,
        created: row.get(8)?,
        updated: row.get(9)?,
    })
}

impl View<'_> {
    pub fn configuration(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<Option<ConfigurationRow>, StoreError> {
        self.one(
            select!("WHERE hub = ?1 AND configuration_id = ?2"),
            [hub.as_str(), id.as_str()],
            read,
        )
    }

    /// Whether there is a configuration, also one that cannot be read whole.
    pub fn configuration_head(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<Option<ConfigurationHead>, StoreError> {
        let sql =
            "SELECT revision, kind FROM configurations WHERE hub = ?1 AND configuration_id = ?2";
        self.one(sql, [hub.as_str(), id.as_str()], |row| {
            Ok(ConfigurationHead {
                revision: row.get(0)?,
                kind: row.get_ref(1)?.as_str().ok().and_then(ContentKind::named),
            })
        })
    }

    /// All configurations of a hub, by id.
    pub fn configurations(
        &self,
        hub: &HubName,
    ) -> Result<Vec<ListedRow<ConfigurationRow>>, StoreError> {
        let sql = select!("WHERE hub = ?1 ORDER BY configuration_id");
        self.all(sql, [hub.as_str()], |row| {
            self.list_row(row, decode::lossy(row, 1)?, read)
        })
    }

    /// The versions of all configurations of a hub, and of the rollouts that hold one back, which
    /// have negative row ids: enough to know whether remembered ones are current. What is no number
    /// counts as one, so that a damaged row hides no other.
    pub fn configuration_versions(
        &self,
        hub: &HubName,
    ) -> Result<Vec<ConfigurationVersion>, StoreError> {
        let sql = "SELECT id, CAST(revision AS INTEGER) FROM configurations
                   WHERE hub = ?1 UNION ALL
                   SELECT -r.id, CAST(r.hold AS INTEGER) FROM rollouts AS r JOIN configurations AS c
                       ON c.id = r.configuration WHERE r.hub = ?1 AND r.hold > 0 ORDER BY 1";
        self.all(sql, [hub.as_str()], |row| {
            Ok(ConfigurationVersion {
                id: row.get(0)?,
                revision: row.get(1)?,
            })
        })
    }

    /// What the custom metrics of a configuration counted last, as JSON; `None` when that was
    /// never done since it was written.
    pub fn metric_results(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT metric_results FROM configurations
                   WHERE hub = ?1 AND configuration_id = ?2";
        let found = self.one(sql, [hub.as_str(), id.as_str()], |row| row.get(0))?;
        Ok(found.flatten())
    }
}

impl Tx<'_> {
    pub fn insert_configuration(
        &self,
        hub: &HubName,
        row: &ConfigurationRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO configurations (hub, configuration_id, revision, priority, kind,
                   target_condition,
                       reads_reported, document, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        #[rustfmt::skip]
        let values = params![
            hub.as_str(), row.configuration_id.as_str(), row.revision, row.priority,
            row.kind.name(), row.target_condition,
            row.reads_reported, row.document, row.created, row.updated,
        ];
        self.write(Lock::hub(hub), sql, values).map(drop)
    }

    /// Writes all of a configuration but its id, kind and creation date.
    pub fn update_configuration(
        &self,
        hub: &HubName,
        row: &ConfigurationRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE configurations SET revision = ?2, priority = ?3, target_condition = ?4,
                   reads_reported = ?5,
                       document = ?6, updated = ?7, metric_results = NULL
                   WHERE id = ?1 AND revision = ?2 - 1";
        let condition = (&row.target_condition, row.reads_reported);
        let values = params![
            row.id,
            row.revision,
            row.priority,
            condition.0,
            condition.1,
            row.document,
            row.updated
        ];
        self.write_version(Lock::hub(hub), sql, values)
    }

    /// Notes what the custom metrics of a configuration counted, unless it has been written since.
    /// It is no change of the configuration.
    pub fn write_metric_results(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
        updated: i64,
        results: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE configurations SET metric_results = ?4
                   WHERE hub = ?1 AND configuration_id = ?2 AND updated = ?3";
        let values = params![hub.as_str(), id.as_str(), updated, results];
        self.write(Lock::hub(hub), sql, values).map(drop)
    }

    /// Deletes a configuration, when it has this revision. The next full pass removes what it
    /// left on devices.
    pub fn delete_configuration(
        &self,
        hub: &HubName,
        id: &ConfigurationId,
        revision: i64,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM configurations
                   WHERE hub = ?1 AND configuration_id = ?2 AND revision = ?3";
        let values = params![hub.as_str(), id.as_str(), revision];
        self.write_version(Lock::hub(hub), sql, values)
    }
}
