use store::{PolicyOwner, PolicyRow, Right, Secret, StoreError, View};
use wire::service_api::identity::KeyText;

use crate::entropy::{Entropy, generate_key};

/// A named pair of keys and what they allow: the `SharedAccessKeyName` and `SharedAccessKey`
/// of a connection string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAccessPolicy {
    pub name: String,
    /// The key in daily use.
    pub primary: KeyText,
    /// The key to roll over to.
    pub secondary: KeyText,
    /// What a bearer of either key may do.
    pub rights: Vec<Right>,
}

impl SharedAccessPolicy {
    /// Whether bearers may do this.
    #[must_use]
    pub fn grants(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

/// Policies with fresh keys, to be inserted.
#[must_use]
pub fn new_policies(policies: &[(&str, &[Right])], entropy: &dyn Entropy) -> Vec<PolicyRow> {
    let fresh_key = || Secret::new(generate_key(entropy).reveal());
    let new = policies.iter().map(|(name, rights)| PolicyRow {
        name: (*name).to_owned(),
        primary_key: fresh_key(),
        secondary_key: fresh_key(),
        rights: rights.to_vec(),
    });
    new.collect()
}

/// Reads a stored key.
pub fn read_key(view: &View<'_>, text: &Secret) -> Result<KeyText, StoreError> {
    view.decoded("key", KeyText::parse(text.reveal()))
}

/// The policies of a hub or a service.
pub fn read_policies(
    view: &View<'_>,
    owner: PolicyOwner<'_>,
) -> Result<Vec<SharedAccessPolicy>, StoreError> {
    let policies = view.policies(owner)?.into_iter();
    policies.map(|row| read_policy(view, row)).collect()
}

/// Reads a stored policy.
pub fn read_policy(view: &View<'_>, row: PolicyRow) -> Result<SharedAccessPolicy, StoreError> {
    Ok(SharedAccessPolicy {
        primary: read_key(view, &row.primary_key)?,
        secondary: read_key(view, &row.secondary_key)?,
        rights: row.rights,
        name: row.name,
    })
}
