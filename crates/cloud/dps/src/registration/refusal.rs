//! A device that is not let in. The operator reads the reason, the device only that it is refused.

use ids::{RegistrationId, error_chain};
use pki::{Certificate, PresentedChain, UnreadChain};
use provisioning::EnrollmentKey;
use wire::error::DpsErrorCode;
use wire::muster_api::refusal::SeenCertificate;

mod reason;

pub use reason::{RefusalReason, RequestRefusal, TpmRefusal};

/// A refusal with what is known about the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("registration {registration_id} was refused")]
pub struct Refusal {
    pub registration_id: RegistrationId,
    /// The certificates that the device presented, leaf first.
    pub chain: Vec<SeenCertificate>,
    /// The enrollment that decided, if one did.
    pub enrollment: Option<EnrollmentKey>,
    #[source]
    pub reason: RefusalReason,
}

impl Refusal {
    /// `enrollment` is the one that decided, if one did.
    pub fn new(
        registration_id: &RegistrationId,
        chain: Option<&PresentedChain>,
        enrollment: Option<&EnrollmentKey>,
        reason: RefusalReason,
    ) -> Box<Self> {
        Box::new(Self {
            registration_id: registration_id.clone(),
            chain: chain
                .map(|chain| seen(std::iter::once(chain.leaf()).chain(chain.issuers())))
                .unwrap_or_default(),
            enrollment: enrollment.cloned(),
            reason,
        })
    }

    /// A refusal of a device whose certificates are not read.
    pub fn for_unread(registration_id: &RegistrationId, unread: &UnreadChain) -> Box<Self> {
        Box::new(Self {
            registration_id: registration_id.clone(),
            chain: seen(unread.certificates()),
            enrollment: None,
            reason: RefusalReason::Chain(unread.error().clone()),
        })
    }

    /// The code that the device gets.
    pub fn error_code(&self) -> DpsErrorCode {
        match self.reason {
            RefusalReason::Request(_) => DpsErrorCode::ArgumentInvalid,
            _ => DpsErrorCode::InvalidCertificate,
        }
    }

    /// The message that the device gets. One that is let in reads what is wrong with its
    /// certificate request; others learn nothing.
    pub fn outside(&self) -> String {
        match &self.reason {
            RefusalReason::Request(refusal) => refusal.to_string(),
            _ => "Unauthorized".to_owned(),
        }
    }

    /// Writes the one log line of a refusal; the device gets the same `request_id`.
    pub fn log(&self, request_id: &str) {
        let enrollment = self.enrollment.as_ref().map(ToString::to_string);
        let leaf = self.chain.first();
        tracing::warn!(
            request.id = request_id,
            registration.id = %self.registration_id,
            certificate.subject = leaf.map(|leaf| leaf.subject.as_str()).unwrap_or_default(),
            enrollment.id = enrollment.as_deref().unwrap_or_default(),
            reason.code = self.reason.code(),
            "registration {} was refused: {}",
            self.registration_id,
            error_chain(&self.reason),
        );
    }
}

/// Describes certificates for operators.
pub fn seen<'a>(all: impl IntoIterator<Item = &'a Certificate>) -> Vec<SeenCertificate> {
    let one = |certificate: &Certificate| SeenCertificate {
        subject: certificate.subject(),
        issuer: certificate.issuer(),
        sha256_thumbprint: certificate.sha256().to_string(),
        not_before_utc: certificate.not_before(),
        not_after_utc: certificate.not_after(),
    };
    all.into_iter().map(one).collect()
}
