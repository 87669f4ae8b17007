//! Connection strings: where a service is, and the key that opens it.

use ids::HubHost;

use super::OperatorError;

/// A connection string as it was typed: it holds a key, so it is not shown.
#[derive(Clone)]
pub struct Login(String);

impl std::str::FromStr for Login {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Login {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A parsed connection string.
pub struct ConnectionString {
    pub host: HubHost,
    pub policy: String,
    pub key: wire::sas::SharedAccessKey,
}

impl ConnectionString {
    /// Reads `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`, in any order.
    pub fn parse(text: &str) -> Result<Self, OperatorError> {
        let usage = |problem: String| {
            OperatorError::Usage(format!(
                "the connection string {problem}; it looks like HostName=…;SharedAccessKeyName=…;SharedAccessKey=…"
            ))
        };
        let part = |name: &str| {
            text.split(';')
                .filter_map(|p| p.split_once('='))
                .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
                .ok_or_else(|| usage(format!("has no {name}")))
        };
        let host =
            HubHost::parse(&part("HostName")?).map_err(|e| usage(format!("is wrong: {e}")))?;
        let policy = part("SharedAccessKeyName")?;
        let key = wire::sas::SharedAccessKey::from_base64(&part("SharedAccessKey")?)
            .map_err(|_| usage("has a SharedAccessKey that is not base64".to_owned()))?;
        Ok(Self { host, policy, key })
    }
}
