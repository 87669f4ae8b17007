//! Who is asking? The first step: reads what a device says it is, and by what
//! it wants to prove that.

use ids::{IdScope, RegistrationId};
use pki::PresentedChain;
use provisioning::{AttestationKind, EnrollmentKey};
use wire::sas::UnverifiedToken;

use crate::registration::credential::TpmIdentity;
use crate::registration::presented::Presented;
use crate::registration::refusal::{Refusal, RefusalReason, TpmRefusal};
use crate::registration::request::Register;

/// Who a device says it is, and by what it wants to prove it. Nothing of it is proven yet.
#[derive(Debug, Clone)]
pub struct ClaimedDevice<'a> {
    id_scope: &'a IdScope,
    registration_id: &'a RegistrationId,
    evidence: Evidence<'a>,
    /// Some clients present their TPM again with the token that answers its challenge.
    repeated_tpm: Option<TpmIdentity>,
}

/// The means of proof that a claim rests on: one of those presented.
#[derive(Debug, Clone)]
pub enum Evidence<'a> {
    /// A certificate that names the same id; the handshake proved that the device has its key.
    Certificate(&'a PresentedChain),
    /// A token, not verified.
    Token(UnverifiedToken),
    /// A TPM, without a token yet: the device asks to be challenged.
    Tpm(Box<TpmIdentity>),
}

/// Reads the claim of a device. A token counts before a certificate: a device that sends one means
/// it, while a certificate may come along because the TLS library had one.
///
/// Fails when there is nothing to prove the claim with, the token or the TPM's keys cannot be
/// parsed, or the certificate does not name the registration id.
pub fn read<'a>(request: &Register<'a>) -> Result<ClaimedDevice<'a>, Box<Refusal>> {
    let Register {
        id_scope,
        registration_id,
        presented,
        ..
    } = *request;
    let refuse = |reason| Refusal::new(registration_id, presented.chain, None, reason);
    // Before any enrollment is looked up: the time that it takes tells nothing about enrollments.
    let tpm = presented.tpm.map(TpmIdentity::claimed).transpose();
    let tpm = tpm.map_err(|unusable| refuse(TpmRefusal::from(unusable).into()))?;
    let (evidence, repeated_tpm) = match (presented.token, tpm, presented.chain) {
        (Some(token), tpm, _) => {
            let token = UnverifiedToken::parse(token.reveal());
            let token = token.map_err(|error| refuse(RefusalReason::Token(error)))?;
            (Evidence::Token(token), tpm)
        }
        (None, Some(tpm), _) => (Evidence::Tpm(Box::new(tpm)), None),
        (None, None, Some(chain)) => {
            let chain = require_named(chain, registration_id).map_err(refuse)?;
            (Evidence::Certificate(chain), None)
        }
        (None, None, None) => return Err(without_evidence(registration_id, presented)),
    };
    Ok(ClaimedDevice {
        id_scope,
        registration_id,
        evidence,
        repeated_tpm,
    })
}

fn without_evidence(registration_id: &RegistrationId, presented: Presented<'_>) -> Box<Refusal> {
    match presented.unread {
        Some(unread) => Refusal::for_unread(registration_id, unread),
        None => Refusal::new(registration_id, None, None, RefusalReason::NoCredential),
    }
}

/// The chain, if its leaf names the id that the device registers as, in any letter case.
fn require_named<'a>(
    chain: &'a PresentedChain,
    registration_id: &RegistrationId,
) -> Result<&'a PresentedChain, RefusalReason> {
    let common_name = chain.leaf().subject_common_name();
    let common_name = common_name.ok_or(RefusalReason::NoCommonName)?;
    if common_name.eq_ignore_ascii_case(registration_id.as_str()) {
        return Ok(chain);
    }
    let common_name = common_name.chars().take(128).collect();
    Err(RefusalReason::CommonNameMismatch { common_name })
}

impl<'a> ClaimedDevice<'a> {
    pub fn id_scope(&self) -> &'a IdScope {
        self.id_scope
    }

    pub fn registration_id(&self) -> &'a RegistrationId {
        self.registration_id
    }

    pub fn evidence(&self) -> &Evidence<'a> {
        &self.evidence
    }

    pub fn repeated_tpm(&self) -> Option<&TpmIdentity> {
        self.repeated_tpm.as_ref()
    }

    /// The resource that a token has to be for.
    pub fn token_resource(&self) -> String {
        format!("{}/registrations/{}", self.id_scope, self.registration_id)
    }

    /// Refuses the claim; `enrollment` is the one that decided, if one did.
    pub fn refuse(
        &self,
        reason: RefusalReason,
        enrollment: Option<&EnrollmentKey>,
    ) -> Box<Refusal> {
        let chain = match self.evidence {
            Evidence::Certificate(chain) => Some(chain),
            Evidence::Token(_) | Evidence::Tpm(_) => None,
        };
        Refusal::new(self.registration_id, chain, enrollment, reason)
    }

    /// The evidence is not of the kind that the enrollment wants.
    pub fn other_attestation(&self, wanted: AttestationKind) -> RefusalReason {
        RefusalReason::OtherAttestation {
            enrolled: wanted.name(),
            presented: match self.evidence {
                Evidence::Certificate(_) => "a certificate",
                Evidence::Token(_) => "a token",
                Evidence::Tpm(_) => "a TPM",
            },
        }
    }
}
