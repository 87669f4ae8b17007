//! Calls of the services to webhooks and remote hubs, and messages to streams. The program that
//! runs the services makes them: it alone opens sockets.

#![warn(missing_docs)]

mod stream;

use std::pin::Pin;
use std::time::Duration;

use axum::http::Method;
use zeroize::Zeroizing;

pub use stream::{
    Connecting, PublishFault, Publishing, StreamConnection, StreamFault, StreamLogin,
    StreamMessage, StreamServer, Streams,
};

/// On whose behalf a call is made. The operators of a service or hub choose the destination
/// and see the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBehalf {
    /// The first service or hub, whose operators are the server's own.
    Owner,
    /// Another one, whose operators may be strangers to the network that the server is in.
    Tenant,
}

/// An HTTPS request whose body is JSON.
#[derive(Clone)]
pub struct OutboundCall {
    /// Decides which addresses may be called.
    pub on_behalf: OnBehalf,
    /// POST, mostly.
    pub method: Method,
    /// It may hold a key: not for logs.
    pub url: Zeroizing<String>,
    /// Beside the content type. They may hold a token: not for logs.
    pub headers: Vec<(&'static str, String)>,
    /// JSON; `None` sends no body.
    pub body: Option<Vec<u8>>,
    /// The longest answer that is read, in bytes.
    pub limit: usize,
    /// For everything: connecting, sending, and the whole answer.
    pub timeout: Duration,
}

/// An answer of any status. Redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboundAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body as it came, at most the limit of the call; nothing of it is checked yet.
    pub body: Vec<u8>,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The header `Last-Modified`.
    pub last_modified: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFault {
    /// Nothing listens there, or its certificate does not name the host.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is at an address that the caller may not call. The address is not named: that is a fact
    /// about the server's network.
    #[error(
        "it is at an address of a private network, which services and hubs other than the \
         server's first may not call; the owner of the server can list it in outbound_networks"
    )]
    NotAllowed,
    /// It is a server of NATS, and at no address that the owner of the server listed.
    #[error(
        "servers of NATS are connected to for hubs other than the server's first only in the \
         networks that the owner of the server lists in outbound_networks"
    )]
    NotListed,
    /// No answer, or not all of it, came in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The answer has more bytes than the call reads.
    #[error("it answered {status} with more than {limit} bytes")]
    TooLong {
        /// The HTTP status of the answer.
        status: u16,
        /// What the call would have read.
        limit: usize,
    },
}

/// An answer that is awaited.
pub type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<OutboundAnswer, OutboundFault>> + Send + 'a>>;

/// Makes HTTPS calls to webhooks and remote hubs.
pub trait Outbound: Send + Sync {
    /// Sends one request.
    fn call(&self, call: OutboundCall) -> Answering<'_>;
}
