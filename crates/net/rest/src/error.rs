use std::convert::Infallible;

use axum::http::Method;
use ids::IdError;
use wire::http::PathError;

/// Why a request does not reach its handler, or its handler cannot read it. Services give these the
/// codes of their APIs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The path cannot be split into segments.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No route has this path.
    #[error("there is nothing at this path")]
    NoSuchPath,
    /// Routes have this path, with other methods.
    #[error("this path does not know the method {0}")]
    Method(Method),
    /// The query string lacks `api-version`, or it is empty.
    #[error("the query parameter api-version is missing, for example ?api-version=2021-10-01")]
    NoApiVersion,
    /// A segment of the path or the `If-Match` header is not a valid id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The body is longer than the route takes, or is announced to be.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// Most bytes that are read.
        limit: usize,
    },
    /// The client went away or sent broken chunks.
    #[error("the body could not be read")]
    Interrupted,
    /// The transport gave up waiting for the body.
    #[error("the body did not arrive in time")]
    Late,
}

impl From<Infallible> for RequestError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
