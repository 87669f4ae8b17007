//! The Keys API: decides who may, does it, and answers.

mod operations;
mod requests;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use wire::edge_api::keys::{Refusal, RefusalKind};

use crate::{KeyError, Keys, Principals};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("not found")]
    NoRoute,
    #[error("the method is not supported here")]
    NoMethod,
    #[error("the body cannot be read: {0}")]
    Body(String),
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl ApiError {
    /// The HTTP status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NoRoute | Self::Key(KeyError::NotFound(_)) => 404,
            Self::NoMethod | Self::Key(KeyError::Invalid(_)) => 400,
            Self::Body(_) => 422,
            Self::Key(KeyError::Forbidden(_)) => 401,
            Self::Key(KeyError::Unavailable(_) | KeyError::NoRole(_)) => 503,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Refusal {
        let kind = match self {
            Self::NoRoute | Self::NoMethod | Self::Body(_) => None,
            Self::Key(KeyError::NotFound(_)) => Some(RefusalKind::NotFound),
            Self::Key(KeyError::Invalid(_)) => Some(RefusalKind::Invalid),
            Self::Key(KeyError::Forbidden(_)) => Some(RefusalKind::Forbidden),
            Self::Key(KeyError::Unavailable(_) | KeyError::NoRole(_)) => {
                Some(RefusalKind::Unavailable)
            }
        };
        let key_id = match self {
            Self::Key(KeyError::NotFound(id)) => Some(id.as_str().to_owned()),
            _ => None,
        };
        Refusal {
            message: self.to_string(),
            kind,
            key_id,
        }
    }
}

/// The Keys API of a device.
#[derive(Debug)]
pub struct Api {
    keys: Arc<Keys>,
    principals: Principals,
}

/// What a request is answered: JSON, or nothing.
type Answer = Result<Option<Value>, ApiError>;

impl Api {
    #[must_use]
    pub fn new(keys: Arc<Keys>, principals: Principals) -> Self {
        Self { keys, principals }
    }

    /// Answers the request of a user. `path` is without its leading slash. Blocks as long as a
    /// token does.
    pub fn answer(&self, method: &str, path: &[&str], body: &[u8], uid: u32) -> Answer {
        let caller = operations::Caller {
            keys: &self.keys,
            principals: &self.principals,
            uid,
        };
        match (method, path) {
            ("POST", ["keypair"]) => caller.make_pair(&requests::read(body)?),
            ("GET", ["keypair", id]) => caller.open_pair(id),
            ("POST", ["keypair", id]) => caller.move_pair(id, &requests::read(body)?),
            ("DELETE", ["keypair"]) => caller.delete_pair(&requests::read(body)?),
            ("POST", ["parameters", name]) => caller.parameter(name, &requests::read(body)?),
            ("POST", ["key"]) => caller.make_secret(&requests::read(body)?),
            ("GET", ["key", id]) => caller.open_secret(id),
            ("DELETE", ["key"]) => caller.delete_secret(&requests::read(body)?),
            ("POST", ["derivedkey"]) => caller.derive(&requests::read(body)?),
            ("POST", ["derivedkey", "export"]) => caller.export(&requests::read(body)?),
            ("POST", ["sign"]) => caller.sign(&requests::read(body)?),
            ("POST", ["encrypt"]) => caller.encrypt(&requests::read(body)?),
            ("POST", ["decrypt"]) => caller.decrypt(&requests::read(body)?),
            ("POST", ["muster", "keypair"]) => caller.describe_pair(&requests::read(body)?),
            ("POST", ["muster", "key"]) => caller.describe_secret(&requests::read(body)?),
            ("POST", ["muster", "sign"]) => caller.sign_with_scheme(&requests::read(body)?),
            ("GET", ["muster", "token"]) => caller.describe_token(),
            (_, ["keypair" | "key" | "derivedkey" | "sign" | "encrypt" | "decrypt"])
            | (_, ["keypair" | "key" | "parameters", _])
            | (_, ["derivedkey", "export"])
            | (_, ["muster", "keypair" | "key" | "sign" | "token"]) => Err(ApiError::NoMethod),
            _ => Err(ApiError::NoRoute),
        }
    }
}

/// An answer in JSON.
fn json(value: &impl Serialize) -> Answer {
    let value = serde_json::to_value(value);
    Ok(Some(value.map_err(|error| {
        KeyError::unavailable(error.to_string())
    })?))
}

#[cfg(test)]
mod tests;
