use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::{Method, RequestBuilder, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use wire::device_api::message::events_path;
use wire::device_api::registration::{operation_path, register_path};
use wire::sas::SharedAccessKey;

use crate::one_address::OneAddress;
use crate::{Identity, MqttDevice, Server, until};

/// Seconds since 1970 until which a device's tokens are good when nobody says: the year 2100.
const EXPIRY: i64 = 4_102_444_800;
const PROVISIONED_WITHIN: Duration = Duration::from_secs(60);

/// A device as its own program knows it: who it is, how it proves itself, where it registers.
///
/// It finds every host name at the address of its server, as a device does whose DNS an
/// operator has set up.
#[derive(Debug, Clone)]
pub struct Device {
    id: String,
    proof: Proof,
    address: Ipv4Addr,
    roots: Vec<u8>,
    id_scope: String,
    api_version: &'static str,
    body: Value,
    /// Until when its tokens are good.
    expiry: Timestamp,
}

#[derive(Debug, Clone)]
enum Proof {
    /// Chain and private key, PEM.
    Certificate(String),
    /// A symmetric key, base64.
    Key(String),
    Nothing,
}

impl Device {
    /// A device with a certificate, which registers at the server's first service.
    pub fn with_certificate(server: &Server, identity: &Identity) -> Result<Self> {
        Self::new(server, &identity.name, Proof::Certificate(identity.pem()?))
    }

    /// The same with a symmetric key in base64.
    pub fn with_key(server: &Server, id: &str, key: &str) -> Result<Self> {
        Self::new(server, id, Proof::Key(key.to_owned()))
    }

    /// A device that presents a chain and a key as they are given, in PEM.
    pub fn with_pem(server: &Server, id: &str, chain_and_key: &str) -> Result<Self> {
        Self::new(server, id, Proof::Certificate(chain_and_key.to_owned()))
    }

    /// A device that proves nothing.
    pub fn with_nothing(server: &Server, id: &str) -> Result<Self> {
        Self::new(server, id, Proof::Nothing)
    }

    fn new(server: &Server, id: &str, proof: Proof) -> Result<Self> {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        Ok(Self {
            id: id.to_owned(),
            proof,
            address: server.address(),
            roots: std::fs::read(server.ca()?)?,
            id_scope: server.id_scope()?,
            api_version: "2021-06-01",
            body: json!({ "registrationId": id }),
            expiry: Timestamp::from_unix_seconds(EXPIRY),
        })
    }

    /// Registers at the service with this ID scope.
    #[must_use]
    pub fn in_scope(mut self, id_scope: &str) -> Self {
        id_scope.clone_into(&mut self.id_scope);
        self
    }

    /// Sends a member along when it registers.
    #[must_use]
    pub fn sending(mut self, member: &str, value: Value) -> Self {
        self.body[member] = value;
        self
    }

    /// Signs tokens that expire at this moment.
    #[must_use]
    pub fn with_tokens_until(mut self, expiry: Timestamp) -> Self {
        self.expiry = expiry;
        self
    }

    /// Registers in another version of the API.
    #[must_use]
    pub fn speaking(mut self, api_version: &'static str) -> Self {
        self.api_version = api_version;
        self
    }

    /// Goes by another id, as a device does whose enrollment says so.
    #[must_use]
    pub fn named(mut self, device_id: &str) -> Self {
        device_id.clone_into(&mut self.id);
        self
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Registers; the first answer, status and JSON.
    pub async fn register(&self) -> Result<(u16, Value)> {
        let path = register_path(&self.id_scope, &self.id);
        let request = self.to_service(Method::PUT, &path)?.json(&self.body);
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Registers, and must be let in; the operation to poll.
    pub async fn begin(&self) -> Result<String> {
        let (status, accepted) = self.register().await?;
        ensure!(status == 202, "{}: {status} {accepted}", self.id);
        let operation = accepted["operationId"].as_str();
        Ok(operation.with_context(|| accepted.to_string())?.to_owned())
    }

    /// Polls an operation until it has ended; the registration's state then.
    pub async fn poll(&self, operation: &str) -> Result<Value> {
        let path = operation_path(&self.id_scope, &self.id, operation);
        until(&self.id, PROVISIONED_WITHIN, || async {
            let response = self.to_service(Method::GET, &path)?.send().await?;
            let answer: Value = response.json().await?;
            ensure!(answer["registrationState"].is_object(), "{answer}");
            Ok(answer["registrationState"].clone())
        })
        .await
    }

    /// Registers and polls until the registration has ended; its state then.
    pub async fn provision(&self) -> Result<Value> {
        self.poll(&self.begin().await?).await
    }

    /// Registers, and must be assigned; the host of its hub.
    pub async fn assigned_hub(&self) -> Result<String> {
        let state = self.provision().await?;
        ensure!(state["status"] == "assigned", "{}: {state}", self.id);
        let hub = state["assignedHub"].as_str();
        Ok(hub.context("no assignedHub")?.to_owned())
    }

    /// Sends telemetry over HTTPS to the hub of this host name; the status.
    pub async fn send(&self, hub: &str, body: &str) -> Result<StatusCode> {
        let path = events_path(&self.id);
        let url = format!("https://{hub}{path}?api-version=2020-09-30");
        let mut request = self.client()?.post(url).body(body.to_owned());
        if let Some(token) = self.token_for_hub(hub)? {
            request = request.header("authorization", token);
        }
        Ok(request.send().await?.status())
    }

    /// Sends numbers until the hub does not take one; those that it took.
    pub async fn send_until_refused(&self, hub: &str) -> Vec<String> {
        let mut taken = Vec::new();
        for number in 0.. {
            let body = number.to_string();
            match self.send(hub, &body).await {
                Ok(status) if status.is_success() => taken.push(body),
                _ => return taken,
            }
        }
        taken
    }

    /// Opens an MQTT session with the hub of this host name.
    pub async fn connect(&self, hub: &str) -> Result<MqttDevice> {
        let (code, session) = self.try_connect(hub).await?;
        ensure!(code == 0, "{} at {hub}: CONNACK {code}", self.id);
        Ok(session)
    }

    /// The same with CleanSession 0: the hub keeps what the device subscribed to.
    pub async fn connect_again(&self, hub: &str) -> Result<MqttDevice> {
        let (code, session) = self.greet(hub, false).await?;
        ensure!(code == 0, "{} at {hub}: CONNACK {code}", self.id);
        Ok(session)
    }

    /// What the hub answers to the MQTT CONNECT: the return code of its CONNACK.
    pub async fn connack(&self, hub: &str) -> Result<u8> {
        Ok(self.try_connect(hub).await?.0)
    }

    async fn try_connect(&self, hub: &str) -> Result<(u8, MqttDevice)> {
        self.greet(hub, true).await
    }

    async fn greet(&self, hub: &str, clean: bool) -> Result<(u8, MqttDevice)> {
        let token = self.token_for_hub(hub)?;
        let stream = crate::server::dial(self.address, hub, 8883, self.tls()?).await?;
        MqttDevice::greet(stream, (hub, &self.id), token.as_deref(), clean).await
    }

    fn to_service(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let url = format!(
            "https://{}{path}?api-version={}",
            self.address, self.api_version
        );
        let request = self.client()?.request(method, url);
        let resource = format!("{}/registrations/{}", self.id_scope, self.id);
        Ok(match self.token(&resource, Some("registration"))? {
            Some(token) => request.header("authorization", token),
            None => request,
        })
    }

    /// The id of a module is `device/module`, as in MQTT.
    fn token_for_hub(&self, hub: &str) -> Result<Option<String>> {
        let path = self.id.replacen('/', "/modules/", 1);
        self.token(&format!("{hub}/devices/{path}"), None)
    }

    fn token(&self, resource: &str, policy: Option<&str>) -> Result<Option<String>> {
        let Proof::Key(key) = &self.proof else {
            return Ok(None);
        };
        let key = SharedAccessKey::from_base64(key)?;
        Ok(Some(wire::sas::build(resource, policy, self.expiry, &key)))
    }

    /// An HTTPS client that presents the device's certificate.
    pub fn client(&self) -> Result<reqwest::Client> {
        let client = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&self.roots)?)
            .dns_resolver(OneAddress::resolver(self.address))
            .timeout(Duration::from_secs(30));
        Ok(match &self.proof {
            Proof::Certificate(pem) => {
                client.identity(reqwest::Identity::from_pem(pem.as_bytes())?)
            }
            Proof::Key(_) | Proof::Nothing => client,
        }
        .build()?)
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&self.roots) {
            roots.add(root?)?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Ok(match &self.proof {
            Proof::Certificate(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>()?;
                let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())?;
                config.with_client_auth_cert(chain, key)?
            }
            Proof::Key(_) | Proof::Nothing => config.with_no_client_auth(),
        })
    }
}
