use pkcs11::TokenError;

use crate::KeyId;

/// Why a key is not opened, made or used. Its text never has key material or a PIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("there is no key {0} on this device")]
    NotFound(KeyId),
    /// What was asked for cannot be done, by the one who asks or with this key.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Forbidden(String),
    /// The place of the key does not answer, or the key there is damaged.
    #[error("{0}")]
    Unavailable(String),
    #[error("the process that holds the device's keys does not answer: {0}")]
    NoRole(String),
}

impl KeyError {
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }

    pub(crate) fn unavailable(problem: impl Into<String>) -> Self {
        Self::Unavailable(problem.into())
    }
}

impl From<TokenError> for KeyError {
    fn from(error: TokenError) -> Self {
        match &error {
            TokenError::Uri(_) => Self::Invalid(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
