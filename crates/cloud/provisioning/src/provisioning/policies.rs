//! Shared access policies of a provisioning service.

use registry::{Rows, SharedAccessPolicy, generate_key, read_policy, rights_text};
use store::{PolicyRow, Secret, Tx};
use wire::service_api::identity::KeyText;

use super::Provisioning;
use super::act::Act;
use super::init::OWNER_POLICY;
use crate::limits::MAX_POLICIES;
use crate::policy::{KeyChoice, PolicyDraft};
use crate::service::ServingError;

const OWNER_KIND: &str = "service";

impl Provisioning {
    /// Adds a policy; keys that were not given are generated.
    ///
    /// # Errors
    /// When the name is taken, there are too many, or the storage fails.
    pub async fn create_policy(
        &self,
        draft: PolicyDraft,
    ) -> Result<SharedAccessPolicy, ServingError> {
        let (follower, id_scope) = (self.service_follower(), self.id_scope());
        let key = |given: Option<KeyText>| {
            let key = given.unwrap_or_else(|| generate_key(&**self.registry.entropy()));
            Secret::new(key.reveal())
        };
        let (name, rights, [primary, secondary]) = draft.into_parts();
        let row = PolicyRow {
            name,
            primary_key: key(primary),
            secondary_key: key(secondary),
            rights: rights_text(&rights),
        };
        let target = row.name.clone();
        let create = move |tx: &Tx<'_>| {
            let policies = tx.policies(OWNER_KIND, &id_scope)?;
            if policies.iter().any(|policy| is_named(policy, &row.name)) {
                return Err(ServingError::PolicyExists(row.name));
            }
            if policies.len() >= MAX_POLICIES {
                return Err(ServingError::TooMany {
                    what: "policies",
                    limit: MAX_POLICIES,
                });
            }
            tx.insert_policy(OWNER_KIND, &id_scope, &row)?;
            follower.follow(tx)?;
            Ok(read_policy(Rows { file: tx.file() }, row)?)
        };
        self.act(Act::CreatePolicy, target, create).await
    }

    /// Gives a policy a fresh key. Tokens that the old one signed are refused from now on.
    ///
    /// # Errors
    /// When there is no such policy, or the storage fails.
    pub async fn regenerate_key(
        &self,
        name: &str,
        choice: KeyChoice,
    ) -> Result<SharedAccessPolicy, ServingError> {
        let (follower, id_scope, name) =
            (self.service_follower(), self.id_scope(), name.to_owned());
        let target = format!("{name}: {choice:?}");
        let regenerate = move |tx: &Tx<'_>| {
            let mut row = find(tx, &id_scope, &name)?;
            let fresh = || Secret::new(generate_key(&*follower.entropy).reveal());
            match choice {
                KeyChoice::Primary => row.primary_key = fresh(),
                KeyChoice::Secondary => row.secondary_key = fresh(),
                KeyChoice::Swap => std::mem::swap(&mut row.primary_key, &mut row.secondary_key),
            }
            tx.update_policy(OWNER_KIND, &id_scope, &row)?;
            follower.follow(tx)?;
            Ok(read_policy(Rows { file: tx.file() }, row)?)
        };
        self.act(Act::RegeneratePolicyKey, target, regenerate).await
    }

    /// Deletes a policy. Tokens of its keys are refused from now on.
    ///
    /// # Errors
    /// When there is no such policy, it is the owner's, or the storage fails.
    pub async fn delete_policy(&self, name: &str) -> Result<(), ServingError> {
        let (follower, id_scope, name) =
            (self.service_follower(), self.id_scope(), name.to_owned());
        let target = name.clone();
        let delete = move |tx: &Tx<'_>| {
            let row = find(tx, &id_scope, &name)?;
            if row.name == OWNER_POLICY {
                return Err(ServingError::OwnerPolicy(row.name));
            }
            tx.delete_policy(OWNER_KIND, &id_scope, &row.name)?;
            Ok(follower.follow(tx)?)
        };
        self.act(Act::DeletePolicy, target, delete).await
    }
}

fn is_named(policy: &PolicyRow, name: &str) -> bool {
    policy.name.eq_ignore_ascii_case(name)
}

fn find(tx: &Tx<'_>, id_scope: &str, name: &str) -> Result<PolicyRow, ServingError> {
    let mut policies = tx.policies(OWNER_KIND, id_scope)?.into_iter();
    let found = policies.find(|policy| is_named(policy, name));
    found.ok_or_else(|| ServingError::NoSuchPolicy(name.to_owned()))
}
