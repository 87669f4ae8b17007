//! simpleenroll, simplereenroll and serverkeygen: body → who → which names → certificate.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use pki::{ProvenRequest, RequestClaim, prove_request};
use provisioning::{EnterError, IssuerRecord, NotInForceCertificate, Requester as IssuedTo};
use rest::{OnProof, Reply, body};
use throttle::AddressPermit;
use wire::est::{MAX_BODY, Operation};

use super::answer::Form;
use super::authenticate::Requester;
use super::fault::{EstFault, EstReason};
use super::{Est, EstService, Seen, answer, authenticate, authorize, server_key};
use crate::{IssueError, Wanted, issue};

/// A request for a certificate of an issuer.
pub(super) struct Call<'a> {
    pub(super) est: &'a Est,
    pub(super) service: EstService<'a>,
    pub(super) issuer: &'a IssuerRecord,
    pub(super) operation: Operation,
    /// The form of the answer.
    pub(super) form: Form,
}

impl Call<'_> {
    pub(super) async fn enroll(
        &self,
        (parts, body): (&Parts, Body),
        address: AddressPermit,
        seen: &mut Seen,
    ) -> Result<Reply, EstFault> {
        if self.operation == Operation::ServerKeyGen && !self.issuer.settings.server_key_generation
        {
            return Err(EstReason::NoServerKeys.into());
        }
        let body = body::read(body, MAX_BODY).await?;
        let content_type = parts.headers.get(CONTENT_TYPE);
        wire::est::require_pkcs10(content_type.and_then(|value| value.to_str().ok()))?;
        // What is wrong with a request is answered only to requesters who are known.
        let read = read(&body);
        let claimed = read.as_ref().ok().map(|(_, claim)| claim);
        seen.common_name = claimed
            .and_then(RequestClaim::common_name)
            .map(str::to_owned);
        let requester = authenticate::prove(self, parts, claimed, seen).await?;
        OnProof::notify(parts);
        let provisioning = self.service.provisioning;
        let service = provisioning.service();
        let now = self.service.now;
        let scope = service.id_scope.as_str();
        let slot = self
            .est
            .limits
            .start(scope, requester.counted(), address, now)?;
        let (request, claim) = read?;
        let permit = authorize::permit(self, &requester, &claim).await?;
        let reply = match self.operation {
            Operation::ServerKeyGen => self.with_new_key(claim, requester, permit).await,
            _ => self.with_own_key(&request, requester, permit).await,
        };
        slot.finish(now);
        reply
    }

    async fn with_own_key(
        &self,
        request: &[u8],
        requester: Requester,
        permit: authorize::Permit,
    ) -> Result<Reply, EstFault> {
        let issued = self
            .issue(prove_request(request)?, requester, permit)
            .await?;
        Ok(answer::certificates(
            std::slice::from_ref(&issued),
            self.form,
        ))
    }

    async fn with_new_key(
        &self,
        claim: RequestClaim,
        requester: Requester,
        permit: authorize::Permit,
    ) -> Result<Reply, EstFault> {
        let key = server_key::make(&claim, &self.issuer.profile.key_types).await?;
        let issued = self.issue(claim.with_key(&key)?, requester, permit).await?;
        Ok(answer::key_and_certificate(&key, &issued))
    }

    /// The certificate is durable and listed, and a use of the user is spent, once this returns.
    async fn issue(
        &self,
        request: ProvenRequest,
        requester: Requester,
        _: authorize::Permit,
    ) -> Result<pki::Certificate, EstFault> {
        let mut subject = String::new();
        let requester = match requester {
            Requester::User(user) => IssuedTo::EstUser {
                name: user.name().clone(),
                version: user.version().clone(),
            },
            Requester::Client(client) => {
                subject = client.leaf().subject();
                IssuedTo::EstCertificate(client.path().clone())
            }
        };
        let wanted = Wanted {
            issuer: self.issuer,
            request,
            // Which names the requester may have was checked; the profile says which there are.
            common_name: None,
            requester,
        };
        let service = &self.service;
        let issued = issue(wanted, service.keys, service.provisioning, service.now).await;
        let issued = issued.map_err(|error| match error {
            IssueError::NotEntered(EnterError::NotInForce(cause)) => {
                let refused = NotInForceCertificate { subject, cause };
                EstReason::NotInForce(Box::new(refused)).into()
            }
            other => EstFault::from(other),
        })?;
        Ok(issued.leaf().clone())
    }
}

/// A request, DER, and what it asks for.
fn read(body: &[u8]) -> Result<(Cow<'_, [u8]>, RequestClaim), EstFault> {
    let request = wire::est::decode(body)?;
    let claim = RequestClaim::read(&request)?;
    Ok((request, claim))
}
