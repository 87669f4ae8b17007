use std::path::Path;

use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::one_address::OneAddress;
use crate::{Identity, Server};

/// 2100: a story needs no clock to ask for something.
const EXPIRY: i64 = 4_102_444_800;

impl Server {
    /// The connection string of the provisioning service's owner.
    pub fn dps_connection_string(&self) -> Result<String> {
        self.show("/dps/connectionString")
    }

    /// An operator's request to the provisioning service, as its owner; the JSON of a successful
    /// answer. A refusal is an error.
    pub async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let connection = self.dps_connection_string()?;
        let path = format!("{path}?api-version=2021-10-01");
        self.operate_as(&connection, method, &path, body).await
    }

    /// The same to the service or hub that a connection string names, with the API version in
    /// `path`. The host name leads to this server.
    pub async fn operate_as(
        &self,
        connection: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(self.ca()?)?)?;
        let client = reqwest::Client::builder()
            .tls_certs_only(roots)
            .dns_resolver(OneAddress::resolver(self.address()))
            .build()?;
        let url = format!("https://{}{path}", member(connection, "HostName")?);
        let mut request = client.request(method, url);
        request = request.header("authorization", token_of(connection)?);
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

    /// Creates an enrollment group of the devices below a CA certificate, with further flags as
    /// on the command line.
    pub async fn enroll_group(&self, id: &str, ca: &Path, flags: &str) -> Result<Value> {
        let create = "dps enrollment-group create --enrollment-id";
        let ca = ca.display();
        self.muster(&format!("{create} {id} --certificate-path {ca} {flags}"))
            .await
    }

    /// Enrolls an IoT Edge device by its certificate, with the tag `environment='test'`.
    pub async fn enroll_edge_device(&self, identity: &Identity) -> Result<()> {
        let (id, path) = (&identity.name, identity.certificate.display());
        let create = format!("dps enrollment create --enrollment-id {id} --edge-enabled true");
        let proof = format!("--attestation-type x509 --certificate-path {path}");
        let tags = json!({"environment": "test"});
        let create = format!("{create} {proof} --initial-twin-tags '{tags}'");
        self.muster(&create).await.map(drop)
    }

    /// Creates a deployment for the devices that a condition matches.
    pub async fn deploy(
        &self,
        id: &str,
        condition: &str,
        priority: u32,
        content: &Value,
    ) -> Result<()> {
        let create = format!("edge deployment create --deployment-id {id} --priority {priority}");
        let target = format!("--target-condition \"{condition}\"");
        self.muster(&format!("{create} {target} --content '{content}'"))
            .await
            .map(drop)
    }

    /// The twin of a device of the first hub.
    pub async fn twin(&self, device: &str) -> Result<Value> {
        self.muster(&format!("hub device-twin show -d {device}"))
            .await
    }

    /// The twin of a module of the first hub.
    pub async fn module_twin(&self, device: &str, module: &str) -> Result<Value> {
        self.muster(&format!("hub module-twin show -d {device} -m '{module}'"))
            .await
    }

    /// The next event of a device, from the first one that is kept.
    pub async fn first_event(&self, device: &str, seconds: u32) -> Result<Value> {
        let monitor = format!("hub monitor-events -d {device} --count 1 --timeout {seconds}");
        let event = self.muster(&monitor).await?;
        ensure!(event.is_object(), "no event within {seconds} s");
        Ok(event)
    }

    /// Shows every registration of an enrollment group to `look`.
    pub async fn registrations(&self, group: &str, mut look: impl FnMut(&Value)) -> Result<()> {
        let (client, token) = (self.client()?, self.owner_token()?);
        let path = format!("/registrations/{group}/query?api-version=2021-10-01");
        let url = format!("https://{}{path}", self.host());
        let mut continuation: Option<HeaderValue> = None;
        loop {
            let mut request = client.post(&url).header("authorization", &token);
            request = request.header(wire::http::MAX_ITEM_COUNT, "1000");
            if let Some(continuation) = continuation.take() {
                request = request.header(wire::http::CONTINUATION, continuation);
            }
            let response = request.send().await?.error_for_status()?;
            continuation = response.headers().get(wire::http::CONTINUATION).cloned();
            let page: Vec<Value> = response.json().await?;
            page.iter().for_each(&mut look);
            if continuation.is_none() {
                return Ok(());
            }
        }
    }

    /// A token of the provisioning service's owner.
    pub fn owner_token(&self) -> Result<String> {
        token_of(&self.dps_connection_string()?)
    }

    /// A token of the first hub's owner.
    pub fn hub_owner_token(&self) -> Result<String> {
        token_of(&self.show("/hubs/0/connectionString")?)
    }

    /// A token of the first hub's owner for one resource of the hub: `devices/ID`.
    pub fn hub_owner_token_for(&self, resource: &str) -> Result<String> {
        let connection = self.show("/hubs/0/connectionString")?;
        let resource = format!("{}/{resource}", member(&connection, "HostName")?);
        token_for(&resource, &connection)
    }
}

fn token_of(connection: &str) -> Result<String> {
    token_for(member(connection, "HostName")?, connection)
}

fn token_for(resource: &str, connection: &str) -> Result<String> {
    let key = SharedAccessKey::from_base64(member(connection, "SharedAccessKey")?)?;
    let policy = member(connection, "SharedAccessKeyName")?;
    let expiry = Timestamp::from_unix_seconds(EXPIRY);
    Ok(wire::sas::build(resource, Some(policy), expiry, &key))
}

fn member<'a>(connection: &'a str, name: &str) -> Result<&'a str> {
    let mut parts = connection.split(';');
    let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    found.with_context(|| format!("no {name} in the connection string"))
}
