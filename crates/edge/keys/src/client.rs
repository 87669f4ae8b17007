//! Uses keys through the role's socket. Calls block, and end within a time limit.

mod http;
mod pair;
mod secret;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::KeyType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::edge_api::keys::{
    KeyHandle, MakeKey, MakeKeyPair, MoveKeyPair, Refusal, RefusalKind, TokenDescription,
};
use wire::http::encode_segment;
use zeroize::Zeroizing;

use crate::store::{KeyStore, OpenPair};
use crate::{KeyError, KeyId, SecretKey};
use http::Method;

/// How long a call may take. A token that hangs is given up by the role after 15 seconds.
const WITHIN: Duration = Duration::from_secs(25);
/// How long a call may take that makes a key.
const MAKE_WITHIN: Duration = Duration::from_secs(130);

/// The client of the role that holds the keys.
#[derive(Clone)]
pub struct Client {
    socket: Arc<PathBuf>,
}

impl Client {
    #[must_use]
    pub fn at(socket: &Path) -> Self {
        Self {
            socket: Arc::new(socket.to_owned()),
        }
    }

    /// The token in which keys are made; `None` when they are made in files.
    pub fn token(&self) -> Result<Option<TokenDescription>, KeyError> {
        self.call(Method::Get, "muster/token", None::<&()>, WITHIN)
    }

    /// Sends a request, and reads its answer.
    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        within: Duration,
    ) -> Result<T, KeyError> {
        let answer = self.send(method, path, body, within)?;
        serde_json::from_slice(&answer).map_err(|error| KeyError::NoRole(error.to_string()))
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, KeyError> {
        self.call(Method::Post, path, Some(body), WITHIN)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        within: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let no_role = |error: std::io::Error| {
            KeyError::NoRole(format!("{} at {}", in_words(&error), self.socket.display()))
        };
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| KeyError::invalid(error.to_string()))?;
        let body = Zeroizing::new(body.unwrap_or_default());
        let answer = http::call(&self.socket, method, path, &body, within).map_err(no_role)?;
        match answer.status {
            200..=299 => Ok(answer.body),
            status => Err(refused(status, &answer.body)),
        }
    }

    fn handle(&self, path: &str, body: &impl Serialize) -> Result<String, KeyError> {
        let answer: KeyHandle = self.call(Method::Post, path, Some(body), MAKE_WITHIN)?;
        Ok(answer.key_handle)
    }

    /// The handle of a key that is there. `what` is `keypair` or `key`.
    fn existing(&self, what: &str, id: &KeyId) -> Result<String, KeyError> {
        let path = format!("{what}/{}", encode_segment(id.as_str()));
        let answer: KeyHandle = self.call(Method::Get, &path, None::<&()>, WITHIN)?;
        Ok(answer.key_handle)
    }

    fn delete(&self, what: &str, key_handle: String) -> Result<(), KeyError> {
        let body = KeyHandle { key_handle };
        self.send(Method::Delete, what, Some(&body), WITHIN)
            .map(drop)
    }
}

/// What the role said, as the error that it was.
fn refused(status: u16, body: &[u8]) -> KeyError {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return KeyError::NoRole(format!("it answers {status}"));
    };
    let message = refusal.message;
    match refusal.kind {
        Some(RefusalKind::NotFound) => {
            match KeyId::parse(refusal.key_id.as_deref().unwrap_or_default()) {
                Ok(id) => KeyError::NotFound(id),
                Err(_) => KeyError::NoRole(message),
            }
        }
        Some(RefusalKind::Invalid) => KeyError::Invalid(message),
        Some(RefusalKind::Forbidden) => KeyError::Forbidden(message),
        Some(RefusalKind::Unavailable) => KeyError::Unavailable(message),
        None => KeyError::NoRole(format!("it answers {status}: {message}")),
    }
}

fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            "no answer in time".to_owned()
        }
        std::io::ErrorKind::NotFound => "there is no socket".to_owned(),
        _ => error.to_string(),
    }
}

/// The name of a kind of key in `preferredAlgorithms`.
fn name_of(kind: KeyType) -> &'static str {
    match kind {
        KeyType::Ec => "ec-p256",
        KeyType::Ec384 => "ec-p384",
        KeyType::Rsa2048 => "rsa-2048",
        KeyType::Rsa3072 => "rsa-3072",
        KeyType::Rsa4096 => "rsa-4096",
        // The role makes none, and says so.
        KeyType::MlDsa(level) => level.name(),
    }
}

impl KeyStore for Client {
    fn pair(&self, id: &KeyId) -> Result<OpenPair, KeyError> {
        pair::open(self, id, self.existing("keypair", id)?)
    }

    fn make_pair(&self, id: &KeyId, kinds: &[KeyType]) -> Result<OpenPair, KeyError> {
        let names: Vec<&str> = kinds.iter().map(|kind| name_of(*kind)).collect();
        let request = MakeKeyPair {
            key_id: id.as_str().to_owned(),
            preferred_algorithms: Some(names.join(":")),
        };
        pair::open(self, id, self.handle("keypair", &request)?)
    }

    fn move_pair(&self, from: &KeyId, to: &KeyId) -> Result<(), KeyError> {
        let path = format!("keypair/{}", encode_segment(to.as_str()));
        let body = MoveKeyPair {
            from: from.as_str().to_owned(),
        };
        self.send(Method::Post, &path, Some(&body), WITHIN)
            .map(drop)
    }

    fn delete_pair(&self, id: &KeyId) -> Result<(), KeyError> {
        self.delete("keypair", self.existing("keypair", id)?)
    }

    fn secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError> {
        secret::open(self, id, self.existing("key", id)?)
    }

    fn make_secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError> {
        let request = MakeKey {
            key_id: id.as_str().to_owned(),
            usage: None,
            key_bytes: None,
        };
        secret::open(self, id, self.handle("key", &request)?)
    }

    fn import_secret(&self, id: &KeyId, bytes: &[u8]) -> Result<(), KeyError> {
        let request = MakeKey {
            key_id: id.as_str().to_owned(),
            usage: None,
            key_bytes: Some(STANDARD.encode(bytes)),
        };
        self.handle("key", &request).map(drop)
    }

    fn delete_secret(&self, id: &KeyId) -> Result<(), KeyError> {
        self.delete("key", self.existing("key", id)?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.socket.display())
    }
}

#[cfg(test)]
mod tests;
