//! The client side of EST (RFC 7030, RFC 8951): certificates for keys of this device.
//!
//! One call is one attempt. When to try again is the caller's decision; a server that asks for time
//! (202) is asked again with the same request.

mod answer;
mod server;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use pki::{Certificate, CmsError, PublicKey};
use wire::est::{BodyError, Operation, PKCS10};

use crate::https::Content;
use crate::{Answer, HttpsClient, HttpsError, Identity, Trust};

pub use answer::{complete_chain, read_certificates};
pub use server::{EstServer, EstUrlError};

/// How the device proves itself to an EST server: with a client certificate, with a password, with
/// both, or with neither. A server that knows the certificate looks at no password.
#[derive(Clone, Default)]
pub struct EstCredential {
    pub identity: Option<Identity>,
    pub password: Option<EstPassword>,
}

/// The user name and password of HTTP Basic.
#[derive(Clone, PartialEq, Eq)]
pub struct EstPassword {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for EstPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EstPassword({}, redacted)", self.username)
    }
}

impl std::fmt::Debug for EstCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EstCredential")
            .field("identity", &self.identity)
            .field("password", &self.password)
            .finish()
    }
}

impl EstPassword {
    fn authorization(&self) -> String {
        let pair = format!("{}:{}", self.username, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }
}

/// Why an EST server gave no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EstError {
    #[error("the EST server cannot be asked")]
    Connection(#[from] HttpsError),
    /// 202: somebody has to approve the request. It is repeated as it is.
    #[error("the EST server has accepted the request, and somebody has to approve it")]
    Pending { retry_after: Option<Duration> },
    #[error(
        "the EST server refused the device's {} with 401: {message}; correct [cert_issuance.est] \
         or the user at the server",
        credential_in_words(*has_identity, *has_password)
    )]
    Unauthorized {
        has_identity: bool,
        has_password: bool,
        message: String,
    },
    #[error("the EST server refused {} with {status}: {message}", operation.name())]
    Refused {
        operation: Operation,
        status: u16,
        /// The server's text, shortened.
        message: String,
        retry_after: Option<Duration>,
    },
    #[error("the EST server's answer to {} cannot be read (Content-Type {content_type})",
            operation.name())]
    Answer {
        operation: Operation,
        content_type: String,
        source: AnswerError,
    },
}

fn credential_in_words(has_identity: bool, has_password: bool) -> &'static str {
    match (has_identity, has_password) {
        (true, true) => "client certificate and password",
        (true, false) => "client certificate",
        (false, true) => "password",
        (false, false) => "request, which has neither client certificate nor password,",
    }
}

/// Why an answer holds no certificate for the device.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Empty, or text that is not base64.
    #[error("it is not the base64 of PKCS#7")]
    Body(#[source] BodyError),
    #[error("it is no list of certificates")]
    Cms(#[from] CmsError),
    /// None of its certificates has the key of the request.
    #[error("none of its {0} certificate(s) is for the key of the request")]
    OtherKey(usize),
}

impl EstError {
    /// Whether another attempt may succeed without a change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Pending { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Unauthorized { .. } | Self::Answer { .. } => false,
        }
    }

    /// The pause that the server asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Pending { retry_after } | Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A client of one EST server.
pub struct EstClient {
    https: HttpsClient,
    server: EstServer,
    has_identity: bool,
    has_password: bool,
}

impl EstClient {
    #[must_use]
    pub fn new(server: EstServer, trust: &Trust, credential: &EstCredential) -> Self {
        let authorization = credential.password.as_ref().map(EstPassword::authorization);
        let identity = credential.identity.as_ref();
        Self {
            https: match server.is_https() {
                true => HttpsClient::with(server.host().clone(), trust, identity, authorization),
                false => HttpsClient::without_tls(server.host().clone(), trust, authorization),
            },
            server,
            has_identity: credential.identity.is_some(),
            has_password: credential.password.is_some(),
        }
    }

    /// The certificates of the issuer and those above it: `cacerts`.
    pub async fn ca_certificates(&self) -> Result<Vec<Certificate>, EstError> {
        self.ask(Operation::CaCerts, None).await
    }

    /// A certificate for a request (PKCS#10, DER) and those above it, the leaf first. With `renews`
    /// it is another one for the subject of the client certificate: `simplereenroll`, or
    /// `simpleenroll` at a server that has only that.
    ///
    /// The certificates of the CA are fetched first: a certificate whose chain cannot be had is not
    /// requested.
    pub async fn enroll(
        &self,
        request: &[u8],
        key: &PublicKey,
        renews: bool,
    ) -> Result<Vec<Certificate>, EstError> {
        let mut pool = self.ca_certificates().await?;
        let (operation, answered) = match renews {
            true => match self.ask(Operation::SimpleReenroll, Some(request)).await {
                Err(EstError::Refused {
                    status: 404 | 405 | 501,
                    ..
                }) => self.simple_enroll(request).await,
                answered => (Operation::SimpleReenroll, answered),
            },
            false => self.simple_enroll(request).await,
        };
        let answered = answered?;
        let leaf = answered
            .iter()
            .find(|one| key.matches(one).is_ok())
            .cloned();
        let Some(leaf) = leaf else {
            let other = AnswerError::OtherKey(answered.len());
            return Err(self.unreadable(operation, None, other));
        };
        pool.extend(answered);
        Ok(complete_chain(leaf, &pool))
    }

    async fn simple_enroll(
        &self,
        request: &[u8],
    ) -> (Operation, Result<Vec<Certificate>, EstError>) {
        let operation = Operation::SimpleEnroll;
        (operation, self.ask(operation, Some(request)).await)
    }

    async fn ask(
        &self,
        operation: Operation,
        request: Option<&[u8]>,
    ) -> Result<Vec<Certificate>, EstError> {
        let target = self.server.target(operation);
        let content = request.map(|request| Content {
            media_type: PKCS10,
            bytes: wire::est::encode(request).into(),
        });
        let method = match request {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let answer = self
            .https
            .send_content(method, &target, content, &[])
            .await?;
        match answer.status {
            200 => read_certificates(&answer.body)
                .map_err(|source| self.unreadable(operation, answer.content_type, source)),
            202 => Err(EstError::Pending {
                retry_after: answer.retry_after,
            }),
            _ => Err(self.refused(operation, answer)),
        }
    }

    fn refused(&self, operation: Operation, answer: Answer) -> EstError {
        let message = answer::excerpt(&answer.body);
        match answer.status {
            401 => EstError::Unauthorized {
                has_identity: self.has_identity,
                has_password: self.has_password,
                message,
            },
            status => EstError::Refused {
                operation,
                status,
                message,
                retry_after: answer.retry_after,
            },
        }
    }

    fn unreadable(
        &self,
        operation: Operation,
        content_type: Option<String>,
        source: AnswerError,
    ) -> EstError {
        let content_type = content_type.unwrap_or_else(|| "not given".to_owned());
        EstError::Answer {
            operation,
            content_type: content_type.chars().take(80).collect(),
            source,
        }
    }
}
