//! Calls to others: what this service asks of the program that runs it, which alone opens sockets.

use std::pin::Pin;
use std::time::Duration;

use axum::http::Method;
use zeroize::Zeroizing;

/// For whose sake a call is made. A service's operators choose where to, and what is answered is shown to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBehalf {
    /// The first service, whose operators are the server's own.
    Owner,
    /// Another service, whose operators may be strangers to the network that the server is in.
    Tenant,
}

/// A request to somebody else, whose body is JSON.
#[derive(Clone)]
pub struct OutboundCall {
    /// For whom.
    pub on_behalf: OnBehalf,
    /// How.
    pub method: Method,
    /// Where to. It may hold a key: not for logs.
    pub url: Zeroizing<String>,
    /// Beside the content type. They may hold a token: not for logs.
    pub headers: Vec<(&'static str, String)>,
    /// What; `None` for a request without a body.
    pub body: Option<Vec<u8>>,
    /// Longest answer that is read, bytes.
    pub limit: usize,
    /// For everything: connecting, sending, and the whole answer.
    pub timeout: Duration,
}

/// An answer, whatever its status. Redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundAnswer {
    /// HTTP status.
    pub status: u16,
    /// Not yet trusted.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFault {
    /// Nobody is there, or it is not whom its certificate says.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is at an address that the caller may not call. Which one is not said: that is a fact about the server's network.
    #[error(
        "it is at an address of a private network, which services other than the server's first may not call; the owner of the server can list it in outbound_networks"
    )]
    NotAllowed,
    /// Time is up.
    #[error("it did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// It answers without end.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

/// An answer to come.
pub type Answering<'a> =
    Pin<Box<dyn Future<Output = Result<OutboundAnswer, OutboundFault>> + Send + 'a>>;

/// Makes calls.
pub trait Outbound: Send + Sync {
    /// Makes one.
    fn call(&self, call: OutboundCall) -> Answering<'_>;
}
