//! `POST /muster/v1/dps/explain`: how a registration would end, without one.

use ids::{IdError, IdScope, RegistrationId};
use pki::{Certificate, PeerChain, PemError, PresentedChain, SeenIssuers};
use registry::Right;
use rest::{Reply, post};
use wire::muster_api::explain::ExplainRequest;
use wire::sas::{SasError, UnverifiedToken};

use super::access::Access;
use super::{Call, Route, now, own_json, provisioning};
use crate::error::{NounError, ServiceFault};
use crate::registration::explain;
use crate::registration::presented::{Presented, Token};
use crate::registration::refusal::RefusalReason;
use crate::registration::request::{Register, RegisterBody};

/// Largest body, bytes: a chain of ten certificates in PEM inside JSON.
pub(super) const MAX_BODY: usize = 8 * super::SETTINGS_BODY;

/// The answer tells as much as enrollments and registrations do.
pub(super) fn routes() -> Vec<Route> {
    let access = Access::AllOf(&[Right::EnrollmentRead, Right::RegistrationStatusRead]);
    vec![post("/muster/v1/dps/explain", access, run)]
}

/// Previews a registration; changes nothing that is stored.
async fn run(call: Call) -> Result<Reply, ServiceFault> {
    let asked: ExplainRequest = own_json(&call)?;
    let chain = asked.certificates.as_deref().map(chain).transpose()?;
    let chain = chain.unwrap_or_default();
    let presented = Presented {
        token: asked.token.as_deref().and_then(Token::from_text),
        from: asked.client_address,
        ..Presented::from(&chain)
    };
    let service = provisioning(&call).service();
    let named = match &asked.registration_id {
        Some(id) => Ok(id.clone()),
        None => named_by(presented, &service.id_scope)?,
    };
    let id = match named {
        Ok(id) => id,
        Err(reason) => return Ok(Reply::json(&explain::without_id(presented, &reason))),
    };
    let request = Register {
        id_scope: &service.id_scope,
        registration_id: &id,
        body: RegisterBody::default(),
        presented,
    };
    let (context, hub_health) = (call.permit.context(), call.service.hub_health());
    let explanation = explain::explain(request, context, hub_health, now(&call)).await?;
    Ok(Reply::json(&explanation))
}

/// The text to be explained has no certificates in it.
#[derive(Debug, thiserror::Error)]
#[error("certificates")]
struct CertificatesFault(#[from] PemError);

impl NounError for CertificatesFault {}

/// What a TLS handshake with these certificates would hand over.
fn chain(text: &str) -> Result<PeerChain, CertificatesFault> {
    let certificates = Certificate::file_to_pem(text.as_bytes());
    let certificates = certificates.and_then(|pem| Certificate::pem_to_der(&pem));
    let read = PresentedChain::read(&certificates?, &SeenIssuers::new(0));
    Ok(read.map_or_else(PeerChain::unread, PeerChain::of))
}

/// The registration id that a credential is for, or why it is for none. A token counts before a
/// certificate, and ends with the id.
fn named_by(
    presented: Presented<'_>,
    id_scope: &IdScope,
) -> Result<Result<RegistrationId, RefusalReason>, IdError> {
    if let Some(token) = presented.token {
        return Ok(UnverifiedToken::parse(token.reveal())
            .map_err(RefusalReason::Token)
            .and_then(|token| named_by_token(&token, id_scope)));
    }
    if let Some(unread) = presented.unread {
        let leaf = unread.certificates().first();
        let name = leaf.and_then(Certificate::subject_common_name);
        let id = name.and_then(|name| RegistrationId::parse(name).ok());
        return Ok(id.ok_or_else(|| RefusalReason::Chain(unread.error().clone())));
    }
    let Some(chain) = presented.chain else {
        // Neither is there.
        return RegistrationId::parse("").map(Ok);
    };
    let Some(name) = chain.leaf().subject_common_name() else {
        return Ok(Err(RefusalReason::NoCommonName));
    };
    Ok(
        RegistrationId::parse(name).map_err(|_| RefusalReason::CommonNameMismatch {
            common_name: name.chars().take(128).collect(),
        }),
    )
}

fn named_by_token(
    token: &UnverifiedToken,
    id_scope: &IdScope,
) -> Result<RegistrationId, RefusalReason> {
    let mut parts = token.resource().rsplit('/');
    let (id, kind) = (parts.next(), parts.next());
    let is_kind = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("registrations"));
    let id = id
        .filter(|_| is_kind)
        .and_then(|id| RegistrationId::parse(id).ok());
    id.ok_or_else(|| {
        RefusalReason::Token(SasError::OtherResource {
            granted: token.resource().to_owned(),
            requested: format!("{id_scope}/registrations/{{registrationId}}"),
        })
    })
}
