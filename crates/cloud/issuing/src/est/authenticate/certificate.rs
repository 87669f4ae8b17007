use ids::ProfileKind;
use pki::{
    Certificate, ChainError, PathRules, PeerChain, PresentedChain, Purpose, VerifiedChain,
    verify_path,
};
use provisioning::CaCertificateState;
use registry::revocation::ProvenPath;

use crate::est::edge_ca_name;
use crate::est::enroll::Call;
use crate::est::fault::{EstFault, EstReason};

/// A client whose certificate is of the issuer, or of a CA that the issuer trusts, and is neither
/// expired nor revoked. The TLS handshake proved that it has the key. Only this file makes one.
#[derive(Debug)]
pub(in crate::est) struct ProvenClient {
    leaf: Certificate,
    path: ProvenPath,
}

impl ProvenClient {
    /// The common name of its certificate; empty without one, and then no name is its own.
    pub(in crate::est) fn name(&self) -> &str {
        self.leaf.subject_common_name().unwrap_or_default()
    }

    pub(in crate::est) fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// What must still be in force when a certificate is issued to it.
    pub(in crate::est) fn path(&self) -> &ProvenPath {
        &self.path
    }

    /// Whether a name is its own: the same in any letter case, and for an edge CA with what Azure's
    /// daemon puts before it.
    pub(in crate::est) fn may_have(&self, requested: &str, kind: ProfileKind) -> bool {
        let own = self.name();
        if own.is_empty() {
            return false;
        }
        let without_prefix = match kind {
            ProfileKind::EdgeCa => edge_ca_name::without_prefix(requested),
            _ => None,
        };
        requested.eq_ignore_ascii_case(own)
            || without_prefix.is_some_and(|name| name.eq_ignore_ascii_case(own))
    }
}

/// The client of a certificate. `None` when it presented none; an error in `Some` when the one that
/// it presented is not accepted.
pub(super) fn prove(
    call: &Call<'_>,
    chain: &PeerChain,
) -> Result<Option<Result<ProvenClient, EstReason>>, EstFault> {
    if let Some(unread) = chain.not_read() {
        return Ok(Some(Err(EstReason::Chain(unread.error().clone()))));
    }
    let Some(presented) = chain.presented() else {
        return Ok(None);
    };
    let verified = verify(call, presented)?;
    Ok(Some(verified.and_then(|chain| in_force(call, &chain))))
}

/// Verifies a chain up to the first CA that it leads to, and that the issuer's own CA, where the
/// path has it, signed the leaf itself.
fn verify(
    call: &Call<'_>,
    presented: &PresentedChain,
) -> Result<Result<VerifiedChain, EstReason>, EstFault> {
    let mut fault = None;
    for (ca, purpose) in trusted(call, presented.leaf())? {
        let service = &call.service;
        let verified = verify_path(
            &PathRules::new(purpose),
            presented,
            &ca,
            service.now,
            service.verified_issuers,
        );
        match verified.and_then(|chain| require_directly_issued(call, chain)) {
            Ok(chain) => return Ok(Ok(chain)),
            // It was not meant to lead to this one.
            Err(ChainError::MissingIssuer { .. }) => {}
            Err(error) => {
                fault.get_or_insert(EstReason::Chain(error));
            }
        }
    }
    Ok(Err(fault.unwrap_or(EstReason::NotTrusted)))
}

/// Refuses a path on which a CA of the issuer is above another CA. What the issuer issues may be a
/// CA itself, of a device that could sign certificates with the name of any other.
fn require_directly_issued(
    call: &Call<'_>,
    chain: VerifiedChain,
) -> Result<VerifiedChain, ChainError> {
    let issuers = chain.issuers().iter().map(Certificate::sha256);
    let mut above = issuers.chain([chain.trust_anchor()]).skip(1);
    match above.any(|ca| call.issuer.generations.has(&ca)) {
        false => Ok(chain),
        true => Err(ChainError::TooDeep {
            subject: chain.leaf().subject(),
            allowed: 0,
            found: u32::try_from(chain.issuers().len()).unwrap_or(u32::MAX),
        }),
    }
}

/// The CAs whose certificates are accepted: the issuer's own, then those that it trusts and that
/// are still verified.
fn trusted(call: &Call<'_>, leaf: &Certificate) -> Result<Vec<(Certificate, Purpose)>, EstFault> {
    // A server may renew with its own certificate, which is not for clients.
    let own = match call.issuer.profile.kind {
        ProfileKind::EdgeServer => Purpose::Any,
        // So may an edge CA.
        ProfileKind::EdgeCa if leaf.is_ca() => Purpose::Issue,
        _ => Purpose::ClientAuth,
    };
    let mut all = Vec::new();
    for generation in call.issuer.generations.admitted() {
        let chain = call.est.ca_chains.of(generation)?;
        all.extend(chain.first().map(|ca| (ca.clone(), own)));
    }
    for name in &call.issuer.trusts {
        let found = call.service.provisioning.ca_certificate(name)?;
        let verified = found.filter(|ca| ca.state == CaCertificateState::Verified);
        let parsed = verified.and_then(|ca| Certificate::from_der(&ca.der).ok());
        all.extend(parsed.map(|ca| (ca, Purpose::ClientAuth)));
    }
    Ok(all)
}

/// Refuses a client whose certificate, or a CA on its path, is revoked or on hold.
fn in_force(call: &Call<'_>, chain: &VerifiedChain) -> Result<ProvenClient, EstReason> {
    let path = std::iter::once(chain.leaf()).chain(chain.issuers());
    let service = &call.service;
    match service.provisioning.not_in_force(path, service.now) {
        Some(refused) => Err(EstReason::NotInForce(Box::new(refused))),
        None => Ok(ProvenClient {
            leaf: chain.leaf().clone(),
            path: ProvenPath::of(chain.leaf(), chain.issuers()),
        }),
    }
}
