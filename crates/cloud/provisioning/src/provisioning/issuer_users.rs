//! Users of issuers: who may have certificates issued with a password.

use ids::{Etag, IssuerName, IssuerUserName, Timestamp};
use registry::{Continuation, Page, PageRequest, StorageError};
use store::{IssuerUserRow, Lock, Tx, UserOwner, View, unit};

use super::Provisioning;
use super::act::Act;
use super::issuers::existing;
use crate::issuer::{IssuerUser, IssuerUserDraft, IssuerUserError, IssuerUserReset};
use crate::limits::MAX_ISSUER_USERS;

impl Provisioning {
    pub async fn create_issuer_user(
        &self,
        issuer: &IssuerName,
        draft: IssuerUserDraft,
        now: Timestamp,
    ) -> Result<IssuerUser, IssuerUserError> {
        let target = target(issuer, &draft.name);
        let row = IssuerUserRow {
            id: 0,
            name: draft.name,
            password: draft.password,
            uses_left: draft.uses,
            expires: draft.expires.map(Timestamp::ticks),
            etag: self.registry.fresh_etag(),
            created: now.ticks(),
            updated: now.ticks(),
        };
        let create = unit(
            (self.owner(issuer, &row.name), row),
            |(of, _): &(UserKey, IssuerUserRow)| of.locks(),
            |(of, row), view| {
                let issuer = of.issuer_row(view)?;
                if view.issuer_user(issuer, &row.name)?.is_some() {
                    return Err(IssuerUserError::Exists {
                        issuer: of.issuer.clone(),
                        user: row.name.clone(),
                    });
                }
                match view.issuer_user_count(issuer)? {
                    MAX_ISSUER_USERS.. => Err(IssuerUserError::TooMany {
                        issuer: of.issuer.clone(),
                        limit: MAX_ISSUER_USERS,
                    }),
                    _ => Ok(issuer),
                }
            },
            |(of, row), tx, issuer| {
                tx.insert_issuer_user(of.owner(issuer), row)?;
                Ok(user(row.clone()))
            },
        );
        self.act(Act::CreateIssuerUser, target, create).await
    }

    /// Gives a user another password, and as many uses and as long as the reset says.
    pub async fn reset_issuer_user(
        &self,
        issuer: &IssuerName,
        reset: IssuerUserReset,
        now: Timestamp,
    ) -> Result<IssuerUser, IssuerUserError> {
        let target = target(issuer, &reset.name);
        let (key, etag) = (self.owner(issuer, &reset.name), self.registry.fresh_etag());
        let write = unit(
            (key, reset, etag),
            |(of, ..): &(UserKey, IssuerUserReset, Etag)| of.locks(),
            |(of, ..), view| of.user_row(view),
            move |(of, reset, etag), tx, (issuer, mut row)| {
                let before = std::mem::replace(&mut row.etag, etag.clone());
                row.password = reset.password.clone();
                row.uses_left = reset.uses.or(row.uses_left);
                row.expires = reset.expires.map(Timestamp::ticks).or(row.expires);
                row.updated = now.ticks();
                tx.update_issuer_user(of.owner(issuer), &before, &row)?;
                Ok(user(row))
            },
        );
        self.act(Act::ResetIssuerUser, target, write).await
    }

    pub async fn delete_issuer_user(
        &self,
        issuer: &IssuerName,
        name: &IssuerUserName,
    ) -> Result<(), IssuerUserError> {
        let delete = unit(
            self.owner(issuer, name),
            UserKey::locks,
            UserKey::user_row,
            |of, tx: &Tx<'_>, (issuer, row): (i64, IssuerUserRow)| {
                tx.delete_issuer_user(of.owner(issuer), &row)
            },
        );
        self.act(Act::DeleteIssuerUser, target(issuer, name), delete)
            .await
    }

    /// A user of an issuer; `None` when one of the two does not exist.
    pub fn issuer_user(
        &self,
        issuer: &IssuerName,
        name: &IssuerUserName,
    ) -> Result<Option<IssuerUser>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let Some(issuer) = view.issuer(&id_scope, issuer)? else {
                return Ok(None);
            };
            Ok(view.issuer_user(issuer.id, name)?.map(user))
        })
    }

    /// The users of an issuer by name.
    pub fn issuer_users(
        &self,
        issuer: &IssuerName,
        page: &PageRequest,
    ) -> Result<Page<IssuerUser>, IssuerUserError> {
        let id_scope = self.id_scope();
        let found: Vec<IssuerUserRow> = self.registry.store().read(|view| {
            let row = existing(view, &id_scope, issuer)?;
            let users = view.issuer_users(row.id, page.key(), page.limit())?;
            Ok::<_, IssuerUserError>(users)
        })?;
        let page = Page::cut(found, page.limit(), |row| {
            Continuation::after(&row.name.folded())
        });
        Ok(page.keep(|row| Some(user(row))))
    }

    fn owner(&self, issuer: &IssuerName, name: &IssuerUserName) -> UserKey {
        UserKey {
            id_scope: self.id_scope(),
            folded_issuer: issuer.folded(),
            issuer: issuer.clone(),
            folded: name.folded(),
            name: name.clone(),
        }
    }
}

/// Which user of which issuer a unit writes.
struct UserKey {
    id_scope: String,
    issuer: IssuerName,
    folded_issuer: String,
    name: IssuerUserName,
    folded: String,
}

impl UserKey {
    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::IssuerUser {
            id_scope: &self.id_scope,
            issuer: &self.folded_issuer,
            folded: &self.folded,
        }]
    }

    fn owner(&self, row: i64) -> UserOwner<'_> {
        UserOwner {
            id_scope: &self.id_scope,
            issuer: &self.issuer,
            row,
        }
    }

    /// The row id of the issuer.
    fn issuer_row(&self, view: &View<'_>) -> Result<i64, IssuerUserError> {
        Ok(existing(view, &self.id_scope, &self.issuer)?.id)
    }

    fn user_row(&self, view: &View<'_>) -> Result<(i64, IssuerUserRow), IssuerUserError> {
        let issuer = self.issuer_row(view)?;
        let missing = || IssuerUserError::NotFound {
            issuer: self.issuer.clone(),
            user: self.name.clone(),
        };
        let row = view.issuer_user(issuer, &self.name)?;
        Ok((issuer, row.ok_or_else(missing)?))
    }
}

fn target(issuer: &IssuerName, name: &IssuerUserName) -> String {
    format!("user {name} of device issuer {issuer}")
}

fn user(row: IssuerUserRow) -> IssuerUser {
    IssuerUser {
        name: row.name,
        password: row.password,
        uses_left: row.uses_left,
        expires: row.expires.map(Timestamp::from_ticks),
        etag: row.etag,
        created: Timestamp::from_ticks(row.created),
        updated: Timestamp::from_ticks(row.updated),
    }
}
