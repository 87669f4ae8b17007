//! The HTTP kit of the services: path → route → permit → body → handler → reply.
//!
//! A service lists its routes in a [`Table`]: method, path, access that the route demands, handler.
//! [`answer`] finds the route of a request, lets the service check the caller ([`Service::admit`]),
//! and only then reads the body and calls the handler. A handler is reached through the permit that
//! the check made, so a check cannot be forgotten.
//!
//! [`policy`] is the one check of shared access policy tokens, whichever service they are for.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

pub mod body;
mod call;
mod error;
mod extensions;
pub mod policy;
mod reply;
mod route;
mod service;
mod table;

pub use call::Call;
pub use error::RequestError;
pub use extensions::{ClientAddress, OnProof, RequestId, fresh_guid};
pub use reply::Reply;
pub use route::{Handler, Prepared, Route, any, delete, get, patch, post, put};
pub use service::{Asked, Service, answer};
pub use table::Table;
