//! Messages to streams of NATS JetStream.

use std::pin::Pin;

use zeroize::Zeroizing;

use crate::{OnBehalf, OutboundFault};

/// A server of NATS, and how it knows us.
#[derive(Clone)]
pub struct StreamServer {
    /// Decides which addresses may be connected to.
    pub on_behalf: OnBehalf,
    /// A name or an address; of IPv6, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether the connection must be encrypted, with a certificate that names the host.
    pub is_tls: bool,
    /// What is sent to be let in.
    pub login: StreamLogin,
}

/// How a server of NATS knows us.
#[derive(Clone)]
pub enum StreamLogin {
    /// It lets in everyone.
    Anonymous,
    /// By a secret that all clients share.
    Token(Zeroizing<String>),
    /// By a user's name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
}

/// A message to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMessage {
    /// The same for the same message: the stream keeps the first of those that come within its
    /// duplicate window.
    pub id: String,
    /// The stream is the one that has this subject.
    pub subject: String,
    /// Names of visible ASCII characters without colon; values without line breaks.
    pub headers: Vec<(String, String)>,
    /// The content, any bytes.
    pub body: Vec<u8>,
}

/// Why messages are not, or not all, in their stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// There is no connection.
    #[error(transparent)]
    NoConnection(#[from] OutboundFault),
    /// The stream takes one of the messages never, because it is too large.
    #[error("{0}")]
    Refused(String),
    /// The stream did not say that it has a message. It may say so later.
    #[error("{0}")]
    NotStored(String),
}

/// What ended a publication before all its messages were acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct PublishFault {
    /// How many of the messages, from the first on, were acknowledged without a gap.
    pub acknowledged: usize,
    /// Why the next one was not.
    pub fault: StreamFault,
}

impl From<OutboundFault> for PublishFault {
    fn from(fault: OutboundFault) -> Self {
        Self {
            acknowledged: 0,
            fault: fault.into(),
        }
    }
}

/// A connection that is awaited.
pub type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn StreamConnection>, OutboundFault>> + Send + 'a>>;

/// Acknowledgements that are awaited.
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), PublishFault>> + Send + 'a>>;

/// Connects to servers of NATS.
pub trait Streams: Send + Sync {
    /// Opens a connection.
    fn connect(&self, server: StreamServer) -> Connecting<'_>;
}

/// An open connection to a server of NATS. It closes when it is dropped.
pub trait StreamConnection: Send + Sync {
    /// Publishes messages in their order; returns when streams have acknowledged all of them. After
    /// an error, any of the others may be in its stream too.
    fn publish(&self, messages: Vec<StreamMessage>) -> Publishing<'_>;
}
