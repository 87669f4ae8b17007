//! Certificates for the keys of requests.

use ids::Timestamp;

use super::{IssueError, IssueToken, Issuer, Prepared, Serial, prepare};
use crate::lint::LintError;
use crate::{AdmittedRequest, Certificate, ProvenRequest};

/// A certificate for an admitted request; nothing has linted it yet.
pub struct PreparedRequest<'a> {
    request: &'a ProvenRequest,
    issuer: &'a Issuer,
    pub(super) prepared: Prepared<'a>,
}

/// A certificate for an admitted request that passed the lint and may be signed, once.
#[must_use]
pub struct RequestToken<'a> {
    request: &'a ProvenRequest,
    issuer: &'a Issuer,
    token: IssueToken<'a>,
}

impl AdmittedRequest {
    /// Prepares the certificate.
    ///
    /// # Errors
    /// When the issuer is not valid at `now`.
    pub fn prepare<'a>(
        &'a self,
        issuer: &'a Issuer,
        serial: Serial,
        now: Timestamp,
    ) -> Result<PreparedRequest<'a>, IssueError> {
        let (profile, subject) = (self.profile.clone(), &self.subject);
        let prepared = prepare(profile, subject, Some(issuer), self.validity, serial, now)?;
        Ok(PreparedRequest {
            request: &self.request,
            issuer,
            prepared,
        })
    }
}

impl<'a> PreparedRequest<'a> {
    /// Holds it against the rules; only what passes can be signed.
    pub fn lint(self) -> Result<RequestToken<'a>, LintError> {
        Ok(RequestToken {
            request: self.request,
            issuer: self.issuer,
            token: self.prepared.lint()?,
        })
    }
}

impl RequestToken<'_> {
    /// Signs the certificate with the issuer's key.
    ///
    /// # Errors
    /// When signing fails, or what was signed cannot be read back, or its signature was verified
    /// and does not hold. A signature of an elliptic key in memory is verified the first time only.
    pub fn sign(self) -> Result<Certificate, IssueError> {
        self.issuer.sign(&self.token.0.params, self.request)
    }
}
