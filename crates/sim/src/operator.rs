use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::Method;
use serde_json::Value;
use wire::sas::SharedAccessKey;

use crate::Server;

/// 2100: a story needs no clock to ask for something.
const EXPIRY: i64 = 4_102_444_800;

impl Server {
    /// The connection string of the provisioning service's owner.
    ///
    /// # Errors
    /// When the server cannot be described.
    pub fn dps_connection_string(&self) -> Result<String> {
        self.show("/dps/connectionString")
    }

    /// An operator's request to the provisioning service, as its owner; the JSON of a successful answer.
    ///
    /// # Errors
    /// When it is refused, with the refusal.
    pub async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("https://{}{path}?api-version=2021-10-01", self.host());
        let token = self.owner_token()?;
        let mut request = self.client()?.request(method, url);
        request = request.header("authorization", token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// A token of the provisioning service's owner.
    ///
    /// # Errors
    /// When the server cannot be described.
    pub fn owner_token(&self) -> Result<String> {
        let connection = self.dps_connection_string()?;
        let member = |name: &str| {
            let found = connection
                .split(';')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.with_context(|| format!("no {name} in the connection string"))
        };
        let key = SharedAccessKey::from_base64(member("SharedAccessKey")?)?;
        let policy = member("SharedAccessKeyName")?;
        let expiry = Timestamp::from_unix_seconds(EXPIRY);
        Ok(wire::sas::build(
            member("HostName")?,
            Some(policy),
            expiry,
            &key,
        ))
    }
}
