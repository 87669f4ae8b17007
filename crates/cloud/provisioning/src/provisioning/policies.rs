//! Shared access policies of a provisioning service.

use registry::{SharedAccessPolicy, generate_key, read_policy};
use store::{Lock, PolicyOwner, PolicyRow, Secret, View, unit};
use wire::service_api::identity::KeyText;

use super::Provisioning;
use super::act::Act;
use super::init::OWNER_POLICY;
use crate::limits::MAX_POLICIES;
use crate::policy::{KeyChoice, PolicyDraft};
use crate::service::ServiceSetupError;

fn owner(id_scope: &str) -> PolicyOwner<'_> {
    PolicyOwner::Service { id_scope }
}

impl Provisioning {
    /// Adds a policy; keys that were not given are generated.
    pub async fn create_policy(
        &self,
        draft: PolicyDraft,
    ) -> Result<SharedAccessPolicy, ServiceSetupError> {
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
            rights,
        };
        let target = row.name.clone();
        let create = unit(
            (id_scope, row),
            |(id_scope, _)| vec![Lock::Service { id_scope }],
            |(id_scope, row), view| {
                let policies = view.policies(owner(id_scope))?;
                if policies.iter().any(|policy| is_named(policy, &row.name)) {
                    return Err(ServiceSetupError::PolicyExists(row.name.clone()));
                }
                match policies.len() {
                    MAX_POLICIES.. => Err(ServiceSetupError::TooMany {
                        what: "policies",
                        limit: MAX_POLICIES,
                    }),
                    _ => Ok(()),
                }
            },
            move |(id_scope, row), tx, ()| {
                tx.insert_policy(owner(id_scope), row)?;
                follower.follow(tx)?;
                read_policy(tx, row.clone())
            },
        );
        self.act(Act::CreatePolicy, target, create).await
    }

    /// Gives a policy a fresh key. Tokens that the old one signed are refused from now on.
    pub async fn regenerate_key(
        &self,
        name: &str,
        choice: KeyChoice,
    ) -> Result<SharedAccessPolicy, ServiceSetupError> {
        let (follower, id_scope, name) =
            (self.service_follower(), self.id_scope(), name.to_owned());
        let target = format!("{name}: {choice:?}");
        let fresh = Secret::new(generate_key(&**self.registry.entropy()).reveal());
        let regenerate = unit(
            id_scope,
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let mut row = find(view, id_scope, &name)?;
                match choice {
                    KeyChoice::Primary => row.primary_key = fresh.clone(),
                    KeyChoice::Secondary => row.secondary_key = fresh.clone(),
                    KeyChoice::Swap => std::mem::swap(&mut row.primary_key, &mut row.secondary_key),
                }
                Ok::<_, ServiceSetupError>(row)
            },
            move |id_scope, tx, row| {
                tx.update_policy(owner(id_scope), &row)?;
                follower.follow(tx)?;
                read_policy(tx, row)
            },
        );
        self.act(Act::RegeneratePolicyKey, target, regenerate).await
    }

    /// Deletes a policy. Tokens of its keys are refused from now on.
    ///
    /// # Errors
    /// When there is no such policy, it is the owner's, or the storage fails.
    pub async fn delete_policy(&self, name: &str) -> Result<(), ServiceSetupError> {
        let (follower, id_scope, name) =
            (self.service_follower(), self.id_scope(), name.to_owned());
        let target = name.clone();
        let delete = unit(
            id_scope,
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = find(view, id_scope, &name)?;
                match row.name == OWNER_POLICY {
                    true => Err(ServiceSetupError::OwnerPolicy(row.name)),
                    false => Ok(row),
                }
            },
            move |id_scope, tx, row: PolicyRow| {
                tx.delete_policy(owner(id_scope), &row.name)?;
                follower.follow(tx)
            },
        );
        self.act(Act::DeletePolicy, target, delete).await
    }
}

fn is_named(policy: &PolicyRow, name: &str) -> bool {
    policy.name.eq_ignore_ascii_case(name)
}

fn find(view: &View<'_>, id_scope: &str, name: &str) -> Result<PolicyRow, ServiceSetupError> {
    let mut policies = view.policies(owner(id_scope))?.into_iter();
    let found = policies.find(|policy| is_named(policy, name));
    found.ok_or_else(|| ServiceSetupError::NoSuchPolicy(name.to_owned()))
}
