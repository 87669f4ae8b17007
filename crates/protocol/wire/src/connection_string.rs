//! Connection strings of services: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.

use ids::{HubHost, IdError};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::service_api::identity::KeyText;

/// Longest connection string that is looked at, bytes.
pub const MAX_CONNECTION_STRING: usize = 2048;

/// Where a service is, and the policy and key that open it. Never shown with its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectionString {
    /// `HostName`: the host of the hub, with a port when it is not the standard one.
    pub host: HubHost,
    /// Name of a shared access policy.
    pub policy: String,
    /// One of its keys.
    pub key: KeyText,
}

/// Why a text is not a service's connection string. Does not repeat it, because it holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// It has more than [`MAX_CONNECTION_STRING`] bytes.
    #[error("the connection string has {0} bytes, {MAX_CONNECTION_STRING} at most are looked at")]
    TooLong(usize),
    /// A part is missing or empty.
    #[error(
        "the connection string has no {0}; it looks like \
         HostName=…;SharedAccessKeyName=…;SharedAccessKey=…"
    )]
    Missing(&'static str),
    /// A part is given more than once.
    #[error("the connection string has {0} twice")]
    Twice(&'static str),
    /// It is for one device, not for the service.
    #[error("the connection string is a device's; a service's has no DeviceId")]
    OfDevice,
    /// The host is not a valid host name.
    #[error("the connection string's HostName is wrong: {0}")]
    Host(IdError),
    /// The key is not valid base64.
    #[error("the connection string's SharedAccessKey is wrong: {0}")]
    Key(&'static str),
}

impl From<IdError> for ConnectionStringError {
    fn from(error: IdError) -> Self {
        Self::Host(error)
    }
}

impl ConnectionString {
    /// Reads the parts in any order and any letter case of their names; unknown parts are ignored,
    /// as Azure's tools add some.
    ///
    /// # Errors
    /// When a part is missing, given twice or not what it should be.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        if text.len() > MAX_CONNECTION_STRING {
            return Err(ConnectionStringError::TooLong(text.len()));
        }
        let parts = Parts(text);
        if parts.get("DeviceId").next().is_some() {
            return Err(ConnectionStringError::OfDevice);
        }
        let key = parts.one("SharedAccessKey")?;
        Ok(Self {
            host: HubHost::parse(parts.one("HostName")?)?,
            policy: parts.one("SharedAccessKeyName")?.to_owned(),
            key: KeyText::parse(key).map_err(ConnectionStringError::Key)?,
        })
    }

    /// The text, with its key.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let Self { host, policy, key } = self;
        let key = key.reveal();
        Zeroizing::new(format!(
            "HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}"
        ))
    }
}

impl TryFrom<String> for ConnectionString {
    type Error = ConnectionStringError;

    fn try_from(text: String) -> Result<Self, ConnectionStringError> {
        Self::parse(&Zeroizing::new(text))
    }
}

/// `a=b;c=d`. Values may hold `=`, as keys in base64 do.
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    fn get(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.split(';').filter_map(|part| part.split_once('='));
        pairs
            .filter(move |(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn one(&self, name: &'static str) -> Result<&'a str, ConnectionStringError> {
        let mut found = self.get(name);
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(ConnectionStringError::Missing(name)),
            (Some(_), Some(_)) => Err(ConnectionStringError::Twice(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn parts_come_in_any_order_and_case() {
        let text = format!(
            " sharedaccesskey={KEY} ; \
             HOSTNAME=h.example:8443;GatewayHostName=g;SharedAccessKeyName=owner;"
        );
        let parsed = ConnectionString::parse(&text).unwrap();
        assert_eq!(parsed.host.as_str(), "h.example:8443");
        assert_eq!(
            (parsed.policy.as_str(), parsed.key.reveal()),
            ("owner", KEY)
        );
        let written = parsed.reveal();
        assert_eq!(ConnectionString::parse(&written), Ok(parsed));
    }

    #[test]
    fn what_is_none_is_refused_without_being_repeated() {
        let whole = format!("HostName=h;SharedAccessKeyName=p;SharedAccessKey={KEY}");
        for (text, wanted) in [
            (
                String::new(),
                ConnectionStringError::Missing("SharedAccessKey"),
            ),
            (
                format!("HostName=h;SharedAccessKey={KEY}"),
                ConnectionStringError::Missing("SharedAccessKeyName"),
            ),
            (
                format!("HostName=;SharedAccessKeyName=p;SharedAccessKey={KEY}"),
                ConnectionStringError::Missing("HostName"),
            ),
            (
                format!("{whole};HostName=other"),
                ConnectionStringError::Twice("HostName"),
            ),
            (
                format!("{whole};DeviceId=d"),
                ConnectionStringError::OfDevice,
            ),
            ("x".repeat(3000), ConnectionStringError::TooLong(3000)),
        ] {
            assert_eq!(ConnectionString::parse(&text), Err(wanted), "{text}");
        }
        let short = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0";
        let error = ConnectionString::parse(short).unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
        let json = serde_json::from_str::<ConnectionString>(&format!("\"{short}\""));
        assert!(!json.unwrap_err().to_string().contains("c2VjcmV0"));
    }
}
