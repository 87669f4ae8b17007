//! Who is asking, and can it prove that? By X.509 certificate for now; each kind of attestation is a file in here.

use ids::RegistrationId;
use ids::Timestamp;
use pki::{Certificate, IssuerCache, PresentedChain};

use crate::enrollment::{Candidates, EnrollmentMatch};
use crate::refusal::{Refusal, RefusalReason};

mod x509;

/// Who a device says it is. The certificate names the same id, and the handshake proved that the device has its key;
/// nobody has vouched for the certificate yet.
#[derive(Debug, Clone, Copy)]
pub struct ClaimedDevice<'a> {
    registration_id: &'a RegistrationId,
    chain: &'a PresentedChain,
}

/// A device that proved to be the one it says it is, to the satisfaction of an enrollment. Only this module makes one.
#[derive(Debug)]
pub struct AttestedDevice {
    registration_id: RegistrationId,
    enrollment: EnrollmentMatch,
    leaf: Certificate,
}

/// Reads the claim of a device: its leaf's common name must be the registration id, in any case.
///
/// # Errors
/// When there is no certificate, or it names nobody or somebody else.
pub fn claim<'a>(
    registration_id: &'a RegistrationId,
    chain: Option<&'a PresentedChain>,
) -> Result<ClaimedDevice<'a>, Box<Refusal>> {
    let refuse = |reason| {
        Box::new(Refusal {
            registration_id: registration_id.clone(),
            subject: chain.map(|chain| chain.leaf().subject()),
            enrollment: None,
            reason,
        })
    };
    let chain = chain.ok_or_else(|| refuse(RefusalReason::NoCertificate))?;
    let common_name = chain.leaf().subject_common_name();
    let common_name = common_name.ok_or_else(|| refuse(RefusalReason::NoCommonName))?;
    if !common_name.eq_ignore_ascii_case(registration_id.as_str()) {
        let common_name = common_name.chars().take(128).collect();
        return Err(refuse(RefusalReason::CommonNameMismatch { common_name }));
    }
    Ok(ClaimedDevice {
        registration_id,
        chain,
    })
}

/// Proves a claim against the enrollments that could speak for it. The first one that knows the certificate decides.
///
/// # Errors
/// When none does, the one that decides is disabled, or the certificates do not hold.
pub fn prove(
    claim: ClaimedDevice<'_>,
    candidates: Candidates,
    issuers: &IssuerCache,
    now: Timestamp,
) -> Result<AttestedDevice, Box<Refusal>> {
    let (leaf, enrollment) = x509::prove(&claim, candidates, issuers, now)?;
    Ok(AttestedDevice {
        registration_id: claim.registration_id.clone(),
        enrollment,
        leaf,
    })
}

impl<'a> ClaimedDevice<'a> {
    /// Who it says it is.
    #[must_use]
    pub fn registration_id(&self) -> &'a RegistrationId {
        self.registration_id
    }

    /// What it showed.
    #[must_use]
    pub fn chain(&self) -> &'a PresentedChain {
        self.chain
    }

    /// Refuses the claim; `enrollment` is the entry that decided, if one did.
    #[must_use]
    pub fn refuse(
        &self,
        reason: RefusalReason,
        enrollment: Option<&registry::EnrollmentKey>,
    ) -> Box<Refusal> {
        Box::new(Refusal {
            registration_id: self.registration_id.clone(),
            subject: Some(self.chain.leaf().subject()),
            enrollment: enrollment.cloned(),
            reason,
        })
    }
}

impl AttestedDevice {
    /// Who it is.
    #[must_use]
    pub fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// The enrollment that let it in.
    #[must_use]
    pub fn enrollment(&self) -> &EnrollmentMatch {
        &self.enrollment
    }

    /// The certificate it proved itself with.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }
}
