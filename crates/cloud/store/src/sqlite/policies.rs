use rusqlite::{Row, params};

use crate::{Lock, PolicyRow, StoreError, Tx, View};

fn read_policy(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    Ok(PolicyRow {
        name: row.get(0)?,
        primary_key: row.get(1)?,
        secondary_key: row.get(2)?,
        rights: row.get(3)?,
    })
}

impl View<'_> {
    /// The policies of a service (by ID scope) or a hub (by name).
    pub fn policies(&self, owner_kind: &str, owner: &str) -> Result<Vec<PolicyRow>, StoreError> {
        let sql = "SELECT name, primary_key, secondary_key, rights FROM policies
                   WHERE owner_kind = ?1 AND owner = ?2 ORDER BY rowid";
        self.all(sql, [owner_kind, owner], read_policy)
    }
}

impl Tx<'_> {
    /// Adds a shared access policy.
    pub fn insert_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO policies (owner_kind, owner, name, primary_key, secondary_key, rights)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let keys = (&policy.primary_key, &policy.secondary_key);
        self.write(
            lock(owner_kind, owner),
            sql,
            params![
                owner_kind,
                owner,
                policy.name,
                keys.0,
                keys.1,
                policy.rights
            ],
        )
        .map(drop)
    }

    /// Writes keys and rights of a shared access policy.
    pub fn update_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        policy: &PolicyRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE policies SET primary_key = ?4, secondary_key = ?5, rights = ?6
                   WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
        let keys = (&policy.primary_key, &policy.secondary_key);
        self.write(
            lock(owner_kind, owner),
            sql,
            params![
                owner_kind,
                owner,
                policy.name,
                keys.0,
                keys.1,
                policy.rights
            ],
        )
        .map(drop)
    }

    /// Deletes a shared access policy.
    pub fn delete_policy(
        &self,
        owner_kind: &str,
        owner: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM policies WHERE owner_kind = ?1 AND owner = ?2 AND name = ?3";
        self.write(lock(owner_kind, owner), sql, [owner_kind, owner, name])
            .map(drop)
    }
}

fn lock<'a>(owner_kind: &str, owner: &'a str) -> Lock<'a> {
    match owner_kind {
        "hub" => Lock::Hub { hub: owner },
        _ => Lock::Service { id_scope: owner },
    }
}
