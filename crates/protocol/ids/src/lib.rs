//! The nouns of the field, each constructed only by parsing.
//!
//! No I/O, no clock. Every identity that crosses a boundary of Muster has its own type here, so
//! that a device id cannot be passed where a registration id is meant. The rules are those of Azure
//! IoT Hub and DPS; each type names its rule.

#![warn(missing_docs)]

mod ack;
mod certificate_serial;
mod device;
mod enrollment;
mod error_chain;
mod etag;
mod hub;
mod identity;
mod network;
mod profile_kind;
mod registration;
mod routing;
mod service;
mod thumbprint;
mod timestamp;

pub use ack::Ack;
pub use certificate_serial::CertificateSerial;
pub use device::{DeviceId, GenerationId, ModuleId};
pub use enrollment::{
    CertificateName, CertificatePolicyName, EnrollmentId, IdScope, IssuerName, IssuerUserName,
    NamespaceName, TrustBundleId,
};
pub use error_chain::error_chain;
pub use etag::Etag;
pub use hub::{ConfigurationId, HubHost, HubName, JobId};
pub use identity::Identity;
pub use network::Network;
pub use profile_kind::ProfileKind;
pub use registration::RegistrationId;
pub use routing::{ConsumerGroup, EndpointName, RouteName};
pub use service::ServiceName;
pub use thumbprint::{Thumbprint, ThumbprintSha1};
pub use timestamp::{Clock, Timestamp};

/// Why a text is not a valid identity. Says what the text should have been and what
/// was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} {problem}")]
pub struct IdError {
    what: &'static str,
    text: String,
    problem: String,
}

impl IdError {
    pub(crate) fn new(what: &'static str, text: &str, problem: impl Into<String>) -> Self {
        // Outside input may be megabytes; the message shows enough to recognise it.
        let text = text.chars().take(160).collect();
        Self {
            what,
            text,
            problem: problem.into(),
        }
    }

    /// What is wrong, without the text: for logs of what is stored.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// Checks length and characters; the one rule that all identifiers share.
pub(crate) fn parse_chars(
    what: &'static str,
    text: &str,
    max: usize,
    allowed: impl Fn(char) -> bool,
    allowed_text: &str,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::new(what, text, "is empty"));
    }
    if text.len() > max {
        let problem = format!("has {} characters, {max} at most are allowed", text.len());
        return Err(IdError::new(what, text, problem));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(IdError::new(
            what,
            text,
            format!("contains {bad:?}; allowed are {allowed_text}"),
        )),
        None => Ok(()),
    }
}

/// Gives a parsed text type its `as_str`, `Display`, `FromStr`, `TryFrom<String>` and serde forms.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text as it was parsed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::IdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_id;
