use ids::{Etag, IssuerName, IssuerUserName};
use rusqlite::{Row, params};

use crate::sqlite::decode;
use crate::{IssuerUserRow, Lock, StoreError, Tx, View};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, spelled, password, uses_left, expires, etag, created, updated
             FROM issuer_users ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> rusqlite::Result<IssuerUserRow> {
    Ok(IssuerUserRow {
        id: row.get(0)?,
        name: decode::id(row, 1, "username")?,
        password: row.get(2)?,
        uses_left: row.get(3)?,
        expires: row.get(4)?,
        etag: decode::id(row, 5, "etag")?,
        created: row.get(6)?,
        updated: row.get(7)?,
    })
}

impl View<'_> {
    /// A user of the issuer of a row id.
    pub fn issuer_user(
        &self,
        issuer: i64,
        name: &IssuerUserName,
    ) -> Result<Option<IssuerUserRow>, StoreError> {
        let sql = select!("WHERE issuer = ?1 AND folded = ?2");
        self.one(sql, params![issuer, name.folded()], read)
    }

    /// Users of an issuer whose name in lower case comes after `after`, in order; one more than
    /// `limit` says that there are more.
    pub fn issuer_users(
        &self,
        issuer: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<IssuerUserRow>, StoreError> {
        let sql = select!("WHERE issuer = ?1 AND folded > ?2 ORDER BY folded LIMIT ?3");
        self.all(sql, params![issuer, after, limit + 1], read)
    }

    pub fn issuer_user_count(&self, issuer: i64) -> Result<usize, StoreError> {
        self.count(
            "SELECT count(*) FROM issuer_users WHERE issuer = ?1",
            [issuer],
        )
    }
}

/// The issuer that a user belongs to.
#[derive(Debug, Clone, Copy)]
pub struct UserOwner<'a> {
    pub id_scope: &'a str,
    pub issuer: &'a IssuerName,
    /// Row id of the issuer.
    pub row: i64,
}

impl Tx<'_> {
    pub fn insert_issuer_user(
        &self,
        owner: UserOwner<'_>,
        row: &IssuerUserRow,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO issuer_users (issuer, folded, spelled, password, uses_left, expires,
                       etag, created, updated)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let (issuer, folded) = (owner.issuer.folded(), row.name.folded());
        #[rustfmt::skip]
        let values = params![
            owner.row, folded, row.name.as_str(), row.password, row.uses_left,
            row.expires, row.etag.as_str(), row.created, row.updated,
        ];
        self.write(lock(&owner, &issuer, &folded), sql, values)
            .map(drop)
    }

    /// Writes all of a user but its name and creation date; it was read with the etag `before`.
    pub fn update_issuer_user(
        &self,
        owner: UserOwner<'_>,
        before: &Etag,
        row: &IssuerUserRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE issuer_users SET password = ?3, uses_left = ?4, expires = ?5, etag = ?6,
                       updated = ?7
                   WHERE id = ?1 AND etag = ?2";
        let (issuer, folded) = (owner.issuer.folded(), row.name.folded());
        #[rustfmt::skip]
        let values = params![
            row.id, before.as_str(), row.password, row.uses_left, row.expires,
            row.etag.as_str(), row.updated,
        ];
        self.write_version(lock(&owner, &issuer, &folded), sql, values)
    }

    /// Takes one of the uses that are left.
    pub fn spend_issuer_user(
        &self,
        owner: UserOwner<'_>,
        row: &IssuerUserRow,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE issuer_users SET uses_left = uses_left - 1
                   WHERE id = ?1 AND etag = ?2 AND uses_left > 0";
        let (issuer, folded) = (owner.issuer.folded(), row.name.folded());
        let values = params![row.id, row.etag.as_str()];
        self.write_version(lock(&owner, &issuer, &folded), sql, values)
    }

    pub fn delete_issuer_user(
        &self,
        owner: UserOwner<'_>,
        row: &IssuerUserRow,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM issuer_users WHERE id = ?1 AND etag = ?2";
        let (issuer, folded) = (owner.issuer.folded(), row.name.folded());
        let values = params![row.id, row.etag.as_str()];
        self.write_version(lock(&owner, &issuer, &folded), sql, values)
    }
}

fn lock<'a>(owner: &UserOwner<'a>, issuer: &'a str, folded: &'a str) -> Lock<'a> {
    Lock::IssuerUser {
        id_scope: owner.id_scope,
        issuer,
        folded,
    }
}
