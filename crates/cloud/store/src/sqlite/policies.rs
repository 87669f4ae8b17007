use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{PolicyOwner, PolicyRow, Right, StoreError, Tx, View};

fn read_policy(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    Ok(PolicyRow {
        name: row.get(0)?,
        primary_key: row.get(1)?,
        secondary_key: row.get(2)?,
        rights: decode::named(row, 3, "rights", parse_rights)?,
    })
}

/// The column of rights: their names, separated by commas.
fn parse_rights(text: &str) -> Option<Vec<Right>> {
    text.split(',').map(Right::named).collect()
}

fn rights_text(rights: &[Right]) -> String {
    let names: Vec<_> = rights.iter().map(|right| right.name()).collect();
    names.join(",")
}

impl View<'_> {
    /// The policies of a service or a hub.
    pub fn policies(&self, owner: PolicyOwner<'_>) -> Result<Vec<PolicyRow>, StoreError> {
        let sql = "SELECT name, primary_key, secondary_key, rights FROM policies
                   WHERE owner_kind = ?1 AND owner = ?2 ORDER BY rowid";
        self.all(sql, [owner.kind(), owner.name()], read_policy)
    }
}

impl Tx<'_> {
    /// Adds a shared access policy.
    pub fn insert_policy(
        &self,
        owner: PolicyOwner<'_>,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO policies (owner_kind, owner, name, primary_key, secondary_key, rights)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        #[rustfmt::skip]
        let values = params![
            owner.kind(), owner.name(), policy.name, policy.primary_key, policy.secondary_key,
            rights_text(&policy.rights),
        ];
        self.write(owner.lock(), sql, values).map(drop)
    }

    /// Writes keys and rights of a shared access policy.
    pub fn update_policy(
        &self,
        owner: PolicyOwner<'_>,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE policies SET primary_key = ?4, secondary_key = ?5, rights = ?6
                   WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
        #[rustfmt::skip]
        let values = params![
            owner.kind(), owner.name(), policy.name, policy.primary_key, policy.secondary_key,
            rights_text(&policy.rights),
        ];
        self.write(owner.lock(), sql, values).map(drop)
    }

    /// Deletes a shared access policy.
    pub fn delete_policy(&self, owner: PolicyOwner<'_>, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM policies WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
        self.write(owner.lock(), sql, [owner.kind(), owner.name(), name])
            .map(drop)
    }
}
