//! What a proof was compared with, one enrollment's credential after the other.

use ids::Thumbprint;
use pki::Certificate;
use provisioning::EnrollmentKey;

use crate::registration::credential::KeySlot;
use crate::registration::refusal::RefusalReason;

/// Receives the comparisons of a proof.
pub trait Trace {
    /// Whether comparing continues after an enrollment has decided. What follows decides nothing.
    const COMPLETE: bool;

    fn record(&mut self, comparison: impl FnOnce() -> Comparison);
}

/// Records nothing, at no cost: for registrations.
impl Trace for () {
    const COMPLETE: bool = false;

    fn record(&mut self, _: impl FnOnce() -> Comparison) {}
}

/// Records every comparison: for explanations.
impl Trace for Vec<Comparison> {
    const COMPLETE: bool = true;

    fn record(&mut self, comparison: impl FnOnce() -> Comparison) {
        self.push(comparison());
    }
}

/// One credential of an enrollment, and whether what the device presented matches it.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub enrollment: EnrollmentKey,
    pub with: Credential,
    pub finding: Finding,
}

impl Comparison {
    pub fn new(enrollment: &EnrollmentKey, with: Credential, finding: Finding) -> Self {
        Self {
            enrollment: enrollment.clone(),
            with,
            finding,
        }
    }
}

/// The credential of an enrollment that a claim is compared with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// None of them: the enrollment as a whole decides.
    Any,
    CaCertificate(Certificate),
    /// A device's own certificate.
    Leaf(Thumbprint),
    Key {
        slot: KeySlot,
        /// The name that the device's key was derived for, from a group's.
        derived_for: Option<String>,
    },
    Tpm,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Matches,
    Fails(RefusalReason),
    /// The chain leads to it past a CA certificate of this other group,
    /// which is nearer and decides.
    NearerGroup(EnrollmentKey),
    /// There is no such enrollment.
    NoEnrollment,
}

impl<T> From<&Result<T, RefusalReason>> for Finding {
    fn from(result: &Result<T, RefusalReason>) -> Self {
        match result {
            Ok(_) => Self::Matches,
            Err(reason) => Self::Fails(reason.clone()),
        }
    }
}
