//! Calls to others: what this service asks of the program that runs it, which alone opens sockets.

use std::pin::Pin;
use std::time::Duration;

use axum::http::Method;
use zeroize::Zeroizing;

/// A request to somebody else, whose body is JSON.
#[derive(Clone)]
pub struct OutboundCall {
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
