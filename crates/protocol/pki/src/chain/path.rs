//! Which paths lead from the leaf to the anchor by name, and whether each element may
//! be where it is.

use ids::{Thumbprint, Timestamp};

use crate::Certificate;
use crate::cert::Purposes;

use super::{ChainError, PathRules, PresentedChain, Purpose};

/// Paths tried before a chain is given up: more than cross-signing needs, few enough to bound the
/// work a stranger causes.
const MAX_CANDIDATES: usize = 8;

/// A way from the leaf to the anchor: each element is named as issuer by the one before it.
#[derive(Debug, Clone)]
pub(super) struct Path<'a> {
    pub(super) leaf: &'a Certificate,
    /// Nearest to the leaf first; the anchor is not among them.
    pub(super) issuers: Vec<&'a Certificate>,
    pub(super) trust_anchor: &'a Certificate,
}

impl<'a> Path<'a> {
    /// The leaf's issuer: the first intermediate, or the anchor.
    pub(super) fn leaf_issuer(&self) -> &'a Certificate {
        self.issuers.first().copied().unwrap_or(self.trust_anchor)
    }

    /// All of it, from the leaf to the anchor.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &'a Certificate> {
        let issuers = self.issuers.iter().copied();
        std::iter::once(self.leaf)
            .chain(issuers)
            .chain(std::iter::once(self.trust_anchor))
    }

    /// The thumbprints of everything above the leaf, anchor first.
    pub(super) fn above_leaf(&self) -> Vec<Thumbprint> {
        let issuers = self.issuers.iter().rev();
        std::iter::once(&self.trust_anchor)
            .chain(issuers)
            .map(|c| c.sha256())
            .collect()
    }
}

/// A path whose elements may all be where they are, now; its signatures are not verified yet.
pub(super) struct Checked<'a>(pub(super) Path<'a>);

impl<'a> Checked<'a> {
    pub(super) fn new(
        path: Path<'a>,
        rules: &PathRules<'_>,
        now: Timestamp,
    ) -> Result<Self, ChainError> {
        let purpose = rules.purpose;
        require_valid_at(path.leaf, now)?;
        require_purpose(path.leaf, purpose)?;
        require_netscape(path.leaf, purpose)?;
        let mut below = 0;
        for issuer in &path.issuers {
            require_valid_at(issuer, now)?;
            require_may_issue(issuer, below)?;
            require_purpose(issuer, purpose)?;
            require_netscape(issuer, purpose)?;
            // RFC 5280, 6.1.4 (l): a CA that renews its own certificate does not count.
            below += u32::from(!issuer.is_self_issued());
        }
        require_valid_at(path.trust_anchor, now)?;
        // A root of version 1 cannot say that it is a CA; the operator that trusts it does.
        if path.trust_anchor.version() != 1 {
            require_may_issue(path.trust_anchor, below)?;
        }
        if let Some(allowed) = rules.max_issuers.filter(|allowed| below > *allowed) {
            let subject = path.leaf.subject();
            return Err(ChainError::TooDeep {
                subject,
                allowed,
                found: below,
            });
        }
        Ok(Self(path))
    }
}

/// Every way by name from the leaf to the anchor, likely ones first, at most [`MAX_CANDIDATES`].
pub(super) fn candidates<'a>(
    presented: &'a PresentedChain,
    trust_anchor: &'a Certificate,
) -> Result<Vec<Path<'a>>, ChainError> {
    let pool: Vec<&Certificate> = presented
        .issuers()
        .iter()
        .filter(|c| *c != trust_anchor && *c != presented.leaf())
        .collect();
    let mut search = Search {
        pool,
        trust_anchor,
        leaf: presented.leaf(),
        trail: Vec::new(),
        found: Vec::new(),
        steps: 0,
        dead_end: presented.leaf(),
    };
    search.extend(presented.leaf());
    if search.found.is_empty() {
        return Err(ChainError::MissingIssuer {
            subject: search.dead_end.subject(),
            issuer_wanted: search.dead_end.issuer(),
        });
    }
    Ok(search.found)
}

/// Steps of the search, so that ten certificates of one name cannot make it long.
const MAX_STEPS: usize = 100;

struct Search<'a> {
    pool: Vec<&'a Certificate>,
    trust_anchor: &'a Certificate,
    leaf: &'a Certificate,
    trail: Vec<&'a Certificate>,
    found: Vec<Path<'a>>,
    steps: usize,
    /// The certificate farthest from the leaf whose issuer was not found.
    dead_end: &'a Certificate,
}

impl<'a> Search<'a> {
    fn extend(&mut self, from: &'a Certificate) {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.found.len() >= MAX_CANDIDATES {
            return;
        }
        let mut issuers: Vec<&'a Certificate> = std::iter::once(self.trust_anchor)
            .chain(self.pool.iter().copied())
            .filter(|c| from.is_issued_by_name(c) && !self.trail.contains(c))
            .collect();
        if issuers.is_empty() && !self.trail.is_empty() {
            self.dead_end = from;
        }
        // Identifiers only order the search: a wrong key then ends as a bad signature, which says
        // more than "missing".
        issuers.sort_by_key(|issuer| !key_ids_agree(issuer, from));
        for issuer in issuers {
            if issuer == self.trust_anchor {
                self.found.push(Path {
                    leaf: self.leaf,
                    issuers: self.trail.clone(),
                    trust_anchor: self.trust_anchor,
                });
                continue;
            }
            self.trail.push(issuer);
            self.extend(issuer);
            self.trail.pop();
        }
    }
}

fn key_ids_agree(issuer: &Certificate, certificate: &Certificate) -> bool {
    let wanted = &certificate.extensions().authority_key_id;
    wanted.is_some() && *wanted == issuer.extensions().subject_key_id
}

pub(super) fn require_valid_at(
    certificate: &Certificate,
    now: Timestamp,
) -> Result<(), ChainError> {
    // Certificates count whole seconds and are valid throughout the last one.
    let second = now.unix_seconds();
    if second > certificate.not_after().unix_seconds() {
        return Err(ChainError::Expired {
            subject: certificate.subject(),
            not_after: certificate.not_after(),
        });
    }
    if second < certificate.not_before().unix_seconds() {
        return Err(ChainError::NotYetValid {
            subject: certificate.subject(),
            not_before: certificate.not_before(),
        });
    }
    Ok(())
}

/// Purposes restrict when they are there (RFC 5280, 4.2.1.12), on issuers too, as OpenSSL
/// and webpki read them.
pub(super) fn require_purpose(
    certificate: &Certificate,
    purpose: Purpose,
) -> Result<(), ChainError> {
    let usage = certificate.extensions();
    let allows = |found: Purposes| match purpose {
        Purpose::ClientAuth => found.client_auth || found.any,
        Purpose::ServerAuth => found.server_auth || found.any,
        Purpose::Issue | Purpose::Any => true,
    };
    let problem = match (usage.purposes, usage.key_usage) {
        (Some(found), _) if !allows(found) => match purpose {
            Purpose::ClientAuth => "its extendedKeyUsage does not include clientAuth",
            _ => "its extendedKeyUsage does not include serverAuth",
        },
        (_, Some(key)) if key.key_cert_sign && !usage.is_ca => {
            "its keyUsage has keyCertSign although it is no CA"
        }
        _ => return Ok(()),
    };
    Err(ChainError::WrongUsage {
        subject: certificate.subject(),
        problem,
    })
}

/// A critical Netscape certificate type, read as OpenSSL does.
fn require_netscape(certificate: &Certificate, purpose: Purpose) -> Result<(), ChainError> {
    let usage = certificate.extensions();
    let allows = usage.netscape_type.is_none_or(|found| match purpose {
        Purpose::Issue | Purpose::Any => true,
        _ if usage.is_ca => found.ssl_ca,
        Purpose::ClientAuth => found.ssl_client,
        Purpose::ServerAuth => found.ssl_server,
    });
    match allows {
        true => Ok(()),
        false => Err(ChainError::WrongUsage {
            subject: certificate.subject(),
            problem: "its Netscape certificate type, which is critical, does not allow it",
        }),
    }
}

/// Requires that basicConstraints and keyUsage let a certificate issue others.
pub(super) fn require_issuer(issuer: &Certificate) -> Result<(), ChainError> {
    let usage = issuer.extensions();
    if !usage.is_ca {
        return Err(ChainError::IssuerNotCa {
            subject: issuer.subject(),
        });
    }
    if usage.key_usage.is_some_and(|key| !key.key_cert_sign) {
        return Err(ChainError::WrongUsage {
            subject: issuer.subject(),
            problem: "its keyUsage lacks keyCertSign, so that it may not issue certificates",
        });
    }
    Ok(())
}

fn require_may_issue(issuer: &Certificate, below: u32) -> Result<(), ChainError> {
    require_issuer(issuer)?;
    match issuer.extensions().path_length {
        Some(allowed) if below > allowed => Err(ChainError::PathLength {
            subject: issuer.subject(),
            allowed,
            found: below,
        }),
        _ => Ok(()),
    }
}
