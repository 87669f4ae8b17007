//! The check of shared access policy tokens: which policy, whose key, until when, for
//! what, with which right.

use ids::Timestamp;
use wire::sas::{CLOCK_SKEW, KeyError, SasError, SharedAccessKey, UnverifiedToken};
use wire::service_api::identity::KeyText;

/// A shared access policy of a service, as the check sees it. `R` is the rights
/// that its service knows.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'p, R> {
    /// The name of the policy, for example `iothubowner`.
    pub name: &'p str,
    /// The primary and the secondary key; either may sign.
    pub keys: [&'p KeyText; 2],
    /// What a bearer of either key may do.
    pub rights: &'p [R],
}

/// The rights that a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand<R: 'static> {
    /// Every one of these.
    All(&'static [R]),
    /// At least one of these.
    Any(&'static [R]),
}

/// Proof that a token of a shared access policy allows what was demanded. Only [`admit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPermit<R> {
    policy: String,
    rights: Vec<R>,
    expiry: Timestamp,
}

impl<R: PartialEq> PolicyPermit<R> {
    /// The name of the policy, as it is stored.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Whether the policy has this right too.
    #[must_use]
    pub fn grants(&self, right: &R) -> bool {
        self.rights.contains(right)
    }

    /// Until when the token is valid.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }
}

/// Why a token of a policy is not accepted. For the log, but for [`PolicyError::Lacks`], which
/// is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError<R: std::fmt::Debug + 'static> {
    /// The token's form, time, resource or signature is wrong.
    #[error(transparent)]
    Token(#[from] SasError),
    /// The token is signed by a device's own key, most likely.
    #[error("the token names no policy (skn); it may be one of a device")]
    Unnamed,
    /// The policy was deleted, or belongs to another service.
    #[error("the token names the policy {0:?}, which this service does not have")]
    NoPolicy(String),
    /// A stored key of the policy is damaged.
    #[error("a key of the policy cannot be read")]
    Key(#[from] KeyError),
    /// The token is good, its policy does not have the rights.
    #[error("the policy {policy:?} {}", lacking_text(rights))]
    Lacks {
        /// The name of the policy, as it is stored.
        policy: String,
        /// The right that is missing, or those of which one is needed.
        rights: Vec<R>,
    },
}

/// Rights are spelled as their variants are.
fn lacking_text(rights: &[impl std::fmt::Debug]) -> String {
    let names: Vec<String> = rights.iter().map(|right| format!("{right:?}")).collect();
    match names.as_slice() {
        [] => "may not call this".to_owned(),
        [name] => format!("lacks the right {name}"),
        names => format!("has none of the rights {}", names.join(", ")),
    }
}

/// Checks a token against the policies of the service that it is sent to, for
/// `resource`, such as `hub.example/devices`.
///
/// Names of policies match in any letter case, as they do in Azure's resource manager, and as
/// they are unique here.
///
/// # Errors
/// Says what is wrong with the token, or which rights its policy lacks.
pub fn admit<'p, R: Copy + PartialEq + std::fmt::Debug>(
    token: &UnverifiedToken,
    policies: impl IntoIterator<Item = Policy<'p, R>>,
    demand: Demand<R>,
    resource: &str,
    now: Timestamp,
) -> Result<PolicyPermit<R>, PolicyError<R>> {
    let name = token.policy().ok_or(PolicyError::Unnamed)?;
    let mut policies = policies.into_iter();
    let policy = policies.find(|policy| policy.name.eq_ignore_ascii_case(name));
    let policy = policy.ok_or_else(|| PolicyError::NoPolicy(name.to_owned()))?;
    let [primary, secondary] = policy.keys.map(SharedAccessKey::try_from);
    let verified = token.verify(&[primary?, secondary?], resource, now, CLOCK_SKEW)?;
    let lacking = demand.lacking(policy.rights);
    // A route that demands no right admits no policy.
    if demand.is_empty() || !lacking.is_empty() {
        return Err(PolicyError::Lacks {
            policy: policy.name.to_owned(),
            rights: lacking,
        });
    }
    Ok(PolicyPermit {
        policy: policy.name.to_owned(),
        rights: policy.rights.to_vec(),
        expiry: verified.expiry(),
    })
}

impl<R: Copy + PartialEq> Demand<R> {
    fn is_empty(self) -> bool {
        match self {
            Self::All(demanded) | Self::Any(demanded) => demanded.is_empty(),
        }
    }

    fn lacking(self, rights: &[R]) -> Vec<R> {
        let is_missing = |right: &&R| !rights.contains(right);
        match self {
            Self::All(demanded) => demanded
                .iter()
                .filter(is_missing)
                .take(1)
                .copied()
                .collect(),
            Self::Any(demanded) if demanded.iter().all(|right| is_missing(&right)) => {
                demanded.to_vec()
            }
            Self::Any(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
