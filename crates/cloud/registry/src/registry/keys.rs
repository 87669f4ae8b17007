//! New keys for an identity.

use std::sync::Arc;

use ids::Identity;
use store::{IdentityKey, IdentityRow, Lock, StoreError, Tx, Unit, View};
use wire::service_api::identity::{Authentication, KeyText};
use wire::service_api::key_rotation::RotatedKey;

use super::Registry;
use super::act::Act;
use super::modules::not_found;
use super::watchers::Watchers;
use crate::change::Change;
use crate::entropy::generate_key;
use crate::identity::IdentityError;
use crate::rows::{self, lock, set_authentication};

impl Registry {
    /// Replaces one key or both of an identity with symmetric keys; returns them, the primary
    /// first.
    pub async fn rotate_keys(
        &self,
        identity: &Identity,
        which: RotatedKey,
    ) -> Result<(KeyText, KeyText), IdentityError> {
        let target = format!("{}/{identity}", identity.hub);
        let entropy = &*self.inner.entropy;
        let primary = which != RotatedKey::Secondary;
        let secondary = which != RotatedKey::Primary;
        let rotate = RotateKeys {
            identity: identity.clone(),
            primary: primary.then(|| generate_key(entropy)),
            secondary: secondary.then(|| generate_key(entropy)),
            watchers: self.inner.watchers.clone(),
        };
        self.act(Act::RotateKeys, target, rotate).await
    }
}

struct RotateKeys {
    identity: Identity,
    primary: Option<KeyText>,
    secondary: Option<KeyText>,
    watchers: Arc<Watchers>,
}

impl Unit for RotateKeys {
    type Plan = (IdentityRow, KeyText, KeyText);
    type Output = (KeyText, KeyText);
    type Error = IdentityError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.identity)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IdentityError> {
        let key = IdentityKey::from(&self.identity);
        let row = view.identity(key)?.ok_or_else(|| not_found(view, key))?;
        match rows::authentication(view, &row)? {
            Authentication::Sas { primary, secondary } => Ok((
                row,
                self.primary.clone().unwrap_or(primary),
                self.secondary.clone().unwrap_or(secondary),
            )),
            other => {
                let kind = other.type_name();
                let text = format!("{} has no keys; it proves itself by {kind}", self.identity);
                Err(IdentityError::Invalid(text))
            }
        }
    }

    fn apply(
        &self,
        tx: &Tx<'_>,
        (mut row, primary, secondary): Self::Plan,
    ) -> Result<Self::Output, StoreError> {
        let keys = Authentication::Sas {
            primary: primary.clone(),
            secondary: secondary.clone(),
        };
        set_authentication(&mut row, &keys);
        row.revision += 1;
        tx.update_identity(&row)?;
        let identity = self.identity.clone();
        self.watchers
            .tell(tx, Change::CredentialsChanged { identity });
        Ok((primary, secondary))
    }
}
