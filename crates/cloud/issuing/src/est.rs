//! EST (RFC 7030, RFC 8951): a request is decoded, its client proves who it is, a certificate is
//! issued, the answer is encoded. Paths and bodies are in `wire::est`.

mod answer;
mod authenticate;
mod authorize;
mod ca_chains;
mod edge_ca_name;
mod enroll;
mod fault;
mod issuer;
mod limits;
mod server_key;

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use ca::DeviceIssuers;
use ids::{IssuerName, RegistrationId, Timestamp};
use pki::{IssuerCache, PeerChain};
use provisioning::{IssuerRecord, Provisioning};
use rest::{ClientAddress, Reply, RequestError, RequestId};
use wire::est::{EstCall, Operation};
use wire::http::Path;

use crate::password::PasswordChecks;
use answer::Form;
use ca_chains::CaChains;
use fault::EstFault;
use limits::Limits;

pub use fault::EstReason;

/// The EST server of all provisioning services of a process.
pub struct Est {
    passwords: PasswordChecks,
    limits: Limits,
    ca_chains: CaChains,
}

/// The provisioning service that a request was sent to.
#[derive(Clone, Copy)]
pub struct EstService<'a> {
    pub provisioning: &'a Provisioning,
    pub keys: &'a DeviceIssuers,
    /// Issuers whose signatures were verified before.
    pub verified_issuers: &'a IssuerCache,
    pub now: Timestamp,
}

/// An answer, and the refusal to keep when it is one.
pub struct Answered {
    pub response: Response,
    pub refused: Option<Refused>,
}

/// A request that was refused, for the operator. Its client learns less.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Under which id operators find it: the name that a certificate was requested for, else the
    /// client's own, with other characters than a registration id has replaced.
    pub registration_id: RegistrationId,
    /// The certificates that the client presented.
    pub chain: PeerChain,
    /// The HTTP status of the answer.
    pub status: u16,
    pub reason: EstReason,
    /// The reason with the issuer and the user.
    pub message: String,
    pub address: Option<IpAddr>,
}

/// What is known of a request, as it is read.
#[derive(Debug, Default)]
struct Seen {
    chain: PeerChain,
    address: Option<IpAddr>,
    issuer: Option<IssuerName>,
    username: Option<String>,
    /// The common name that a certificate is requested for.
    common_name: Option<String>,
}

impl Est {
    /// `secret` is fresh randomness.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            passwords: PasswordChecks::new(&secret),
            limits: Limits::new(rand::random()),
            ca_chains: CaChains::default(),
        }
    }

    /// Answers a request below `/.well-known/est`.
    pub async fn answer(&self, service: EstService<'_>, request: Request) -> Answered {
        let request_id = RequestId::fresh();
        let (parts, body) = request.into_parts();
        let mut seen = Seen::of(&parts);
        let (reply, refused) = match self.respond(service, &parts, body, &mut seen).await {
            Ok(reply) => (reply, None),
            Err(fault) => {
                fault.log(&request_id, &seen);
                let reply = answer::fault(&fault);
                (reply, seen.refused(fault))
            }
        };
        Answered {
            response: reply.into_response(&request_id),
            refused,
        }
    }

    async fn respond(
        &self,
        service: EstService<'_>,
        parts: &Parts,
        body: Body,
        seen: &mut Seen,
    ) -> Result<Reply, EstFault> {
        let path = Path::parse(parts.uri.path()).map_err(RequestError::from)?;
        let call = EstCall::find(&path.segments()).ok_or(EstReason::NoOperation)?;
        let operation = call.operation;
        if parts.method.as_str() != operation.method() {
            return Err(EstReason::Method(operation).into());
        }
        let permit = self
            .limits
            .admit_address(seen.address, operation, service.now)?;
        let issuer = issuer::find(service.provisioning, call.issuer)?;
        seen.issuer = Some(issuer.name.clone());
        let form = Form::of(parts);
        match operation {
            Operation::CaCerts => {
                let all = self.all_ca_certificates(&issuer)?;
                Ok(answer::certificates(&all, form))
            }
            Operation::CsrAttrs => Ok(answer::csr_attributes(&issuer, form)),
            Operation::SimpleEnroll | Operation::SimpleReenroll | Operation::ServerKeyGen => {
                let call = enroll::Call {
                    est: self,
                    service,
                    issuer: &issuer,
                    operation,
                    form,
                };
                call.enroll((parts, body), permit, seen).await
            }
        }
    }

    /// The CAs of an issuer whose certificates are admitted, with those above: while the issuer
    /// rolls, of both.
    fn all_ca_certificates(
        &self,
        issuer: &IssuerRecord,
    ) -> Result<Vec<pki::Certificate>, EstFault> {
        let mut all: Vec<pki::Certificate> = Vec::new();
        for generation in issuer.generations.admitted() {
            for certificate in self.ca_chains.of(generation)?.iter() {
                if !all.contains(certificate) {
                    all.push(certificate.clone());
                }
            }
        }
        Ok(all)
    }
}

impl Seen {
    fn of(parts: &Parts) -> Self {
        Self {
            chain: parts
                .extensions
                .get::<PeerChain>()
                .cloned()
                .unwrap_or_default(),
            address: ClientAddress::of(parts),
            ..Self::default()
        }
    }

    /// `None` for a fault that is no refusal, and for one of a client that named nobody.
    fn refused(self, fault: EstFault) -> Option<Refused> {
        let status = fault.status();
        let EstFault::Refused(reason) = fault else {
            return None;
        };
        Some(Refused {
            registration_id: self.whose()?,
            message: self.message(&reason),
            chain: self.chain,
            status,
            reason,
            address: self.address,
        })
    }

    fn whose(&self) -> Option<RegistrationId> {
        let presented = self.chain.presented();
        let own = presented.and_then(|chain| chain.leaf().subject_common_name());
        let mut names = [self.common_name.as_deref(), own, self.username.as_deref()].into_iter();
        names.find_map(|name| id_of(name?))
    }

    fn message(&self, reason: &EstReason) -> String {
        let mut message = ids::error_chain(reason);
        if let Some(issuer) = &self.issuer {
            message.push_str(&format!("; EST, issuer {issuer}"));
        }
        if let Some(username) = &self.username {
            let start: String = username.chars().take(64).collect();
            message.push_str(&format!(", user {start:?}"));
        }
        message
    }
}

/// A name as a registration id: what such ids do not have becomes a hyphen.
fn id_of(name: &str) -> Option<RegistrationId> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let replaced = |c| if allowed(c) { c } else { '-' };
    let text: String = name.trim().chars().take(64).map(replaced).collect();
    RegistrationId::parse(text.trim_matches(['-', '.', '_', ':'])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_under_the_name_that_was_requested() {
        for (name, id) in [
            ("press-7", Some("press-7")),
            ("aziot-edge CA press-7", Some("aziot-edge-CA-press-7")),
            ("-ü-", None),
            ("", None),
        ] {
            let found = id_of(name);
            assert_eq!(found.as_ref().map(RegistrationId::as_str), id, "{name}");
        }
        let seen = Seen {
            username: Some("Line 1".to_owned()),
            ..Seen::default()
        };
        assert_eq!(seen.whose().unwrap().as_str(), "Line-1");
    }
}
