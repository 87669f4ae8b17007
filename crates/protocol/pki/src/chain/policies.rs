//! Certificate policies (RFC 5280, 6.1), asked with any policy as the initial set. Nobody here asks
//! for a certain policy, so that they matter only where an issuer says that there must be one
//! (policyConstraints). What is kept of the tree is therefore its lowest level: the policies that
//! the next certificate may go on with.

use std::collections::BTreeSet;

use crate::Certificate;
use crate::cert::{ANY_POLICY, Oid, Policies};

use super::ChainError;
use super::path::Path;

/// The lowest level of the tree of valid policies.
struct Level {
    /// Policies that the next certificate's are compared with.
    expected: BTreeSet<Oid>,
    /// Whether any policy is accepted (anyPolicy).
    any: bool,
}

impl Level {
    fn is_empty(&self) -> bool {
        self.expected.is_empty() && !self.any
    }
}

struct State {
    level: Level,
    /// Certificates until there must be a policy, until none may be mapped, and until "any
    /// policy" counts no more.
    explicit: u32,
    mapping: u32,
    any_policy: u32,
}

/// Follows the policies from the anchor to the leaf.
pub(super) fn require_acceptable(path: &Path<'_>) -> Result<(), ChainError> {
    let mut all = path.issuers.iter().chain([&path.leaf, &path.trust_anchor]);
    if !all.any(|certificate| certificate.extensions().policies.constrains) {
        return Ok(());
    }
    let longest = u32::try_from(path.issuers.len() + 2).unwrap_or(u32::MAX);
    let mut state = State::of_anchor(path.trust_anchor, longest);
    for issuer in path.issuers.iter().rev() {
        state.process(issuer, issuer.is_self_issued())?;
        state.prepare_next(issuer)?;
    }
    state.process(path.leaf, false)?;
    state.explicit = state.explicit.saturating_sub(1);
    if path.leaf.extensions().policies.require_explicit == Some(0) {
        state.explicit = 0;
    }
    state.require_policy(path.leaf)
}

impl State {
    /// What an anchor says of policies limits what is below it (RFC 5937).
    fn of_anchor(trust_anchor: &Certificate, longest: u32) -> Self {
        let policies = &trust_anchor.extensions().policies;
        let named = policies.named.as_ref();
        let any = named.is_none_or(|named| named.contains(ANY_POLICY));
        let mut state = Self {
            level: Level {
                expected: named.filter(|_| !any).cloned().unwrap_or_default(),
                any,
            },
            explicit: longest,
            mapping: longest,
            any_policy: longest,
        };
        state.limit(policies);
        state
    }

    /// RFC 5280, 6.1.3 (d) to (f).
    fn process(
        &mut self,
        certificate: &Certificate,
        is_self_issued: bool,
    ) -> Result<(), ChainError> {
        let named = certificate.extensions().policies.named.as_ref();
        let level = &mut self.level;
        let Some(named) = named else {
            *level = Level {
                expected: BTreeSet::new(),
                any: false,
            };
            return self.require_policy(certificate);
        };
        let any_counts = named.contains(ANY_POLICY) && (self.any_policy > 0 || is_self_issued);
        let goes_on = |policy: &&Oid| {
            ***policy != *ANY_POLICY && (level.any || level.expected.contains(*policy))
        };
        let mut expected: BTreeSet<Oid> = named.iter().filter(goes_on).cloned().collect();
        if any_counts {
            expected.extend(level.expected.iter().cloned());
        }
        *level = Level {
            expected,
            any: level.any && any_counts,
        };
        self.require_policy(certificate)
    }

    fn require_policy(&self, certificate: &Certificate) -> Result<(), ChainError> {
        if self.explicit > 0 || !self.level.is_empty() {
            return Ok(());
        }
        Err(ChainError::Policy {
            subject: certificate.subject(),
        })
    }

    /// RFC 5280, 6.1.4 (a) to (j), what of it is about policies.
    fn prepare_next(&mut self, issuer: &Certificate) -> Result<(), ChainError> {
        let policies = &issuer.extensions().policies;
        self.map(issuer, policies)?;
        if !issuer.is_self_issued() {
            for counter in [&mut self.explicit, &mut self.mapping, &mut self.any_policy] {
                *counter = counter.saturating_sub(1);
            }
        }
        self.limit(policies);
        Ok(())
    }

    fn limit(&mut self, policies: &Policies) {
        let limits = [
            (&mut self.explicit, policies.require_explicit),
            (&mut self.mapping, policies.inhibit_mapping),
            (&mut self.any_policy, policies.inhibit_any),
        ];
        for (counter, limit) in limits {
            *counter = limit.map_or(*counter, |limit| limit.min(*counter));
        }
    }

    /// The issuer's policies become those that they are called below it.
    fn map(&mut self, issuer: &Certificate, policies: &Policies) -> Result<(), ChainError> {
        let is_any = |oid: &Oid| **oid == *ANY_POLICY;
        if policies
            .mappings
            .iter()
            .any(|(from, to)| is_any(from) || is_any(to))
        {
            return Err(ChainError::NotUnderstood {
                subject: issuer.subject(),
                problem: "its policyMappings map to or from any policy".to_owned(),
            });
        }
        let (level, may_map) = (&mut self.level, self.mapping > 0);
        let before = level.expected.clone();
        for (from, _) in &policies.mappings {
            level.expected.remove(from);
        }
        if may_map {
            let mapped = policies.mappings.iter();
            let mapped = mapped.filter(|(from, _)| level.any || before.contains(from));
            level.expected.extend(mapped.map(|(_, to)| to.clone()));
        }
        Ok(())
    }
}
