//! EST: the service that a request was sent to answers it, and keeps what it refuses.

use axum::extract::Request;
use axum::response::Response;
use ids::RegistrationId;
use issuing::est::{EstService, Refused};
use provisioning::EnrolledBy;
use wire::muster_api::refusal::SeenCertificate;

use crate::refusal_log::KeptRefusal;
use crate::registration::refusal::seen;
use crate::service::Dps;

/// Answers a request below `/.well-known/est`.
pub async fn answer(dps: &Dps, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let tenant = dps.tenants().by_host(&parts);
    let context = &tenant.context;
    let service = EstService {
        provisioning: &context.provisioning,
        keys: &context.device_issuers,
        verified_issuers: &context.issuers,
        now: dps.now(),
    };
    let request = Request::from_parts(parts, body);
    let answered = dps.est().answer(service, request).await;
    if let Some(refused) = answered.refused {
        dps.keep_refusal(&tenant, &refused, refused.address).await;
    }
    answered.response
}

impl KeptRefusal for Refused {
    fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    fn reason_code(&self) -> &'static str {
        self.reason.code()
    }

    fn answered_code(&self) -> u32 {
        u32::from(self.status) * 1000
    }

    fn chain(&self) -> Vec<SeenCertificate> {
        if let Some(unread) = self.chain.not_read() {
            return seen(unread.certificates());
        }
        let presented = self.chain.presented().into_iter();
        seen(presented.flat_map(|chain| std::iter::once(chain.leaf()).chain(chain.issuers())))
    }

    fn credential(&self) -> [u8; 32] {
        let presented = self.chain.presented();
        presented.map_or([0; 32], |chain| *chain.leaf().sha256().as_bytes())
    }

    fn message(&self) -> String {
        self.message.clone()
    }

    fn enrollment(&self) -> Option<String> {
        self.reason.enrollment().map(ToString::to_string)
    }

    /// The record of the registration stays: the device did not register.
    fn disabled(&self) -> Option<EnrolledBy> {
        None
    }
}
