use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ids::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::{Device, Server};

/// 2100: tokens need no renewal.
const EXPIRY: i64 = 4_102_444_800;
const API_VERSION: &str = "2021-04-12";
/// From an acknowledgement to the next write of the same writer, so that a life does not bring
/// more than can be checked after it.
const PAUSE: Duration = Duration::from_millis(5);

/// The hub of one life of the server, called by its owner and by its devices.
pub(super) struct Target {
    client: Client,
    host: String,
    token: String,
    will_be_killed: AtomicBool,
}

/// What a write is answered with.
pub(super) struct Acknowledged;

impl Target {
    pub(super) fn of(server: &Server) -> Result<Self> {
        Ok(Self {
            client: server.client()?,
            host: server.host(),
            token: server.hub_owner_token()?,
            will_be_killed: AtomicBool::new(false),
        })
    }

    /// From now on a connection may end.
    pub(super) fn will_be_killed(&self) {
        self.will_be_killed.store(true, Ordering::Relaxed);
    }

    /// A connection has ended: an error before the server was to be killed.
    pub(super) fn is_gone(&self, error: impl Into<anyhow::Error>) -> Result<()> {
        match self.will_be_killed.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(error.into().context("the server is not killed yet")),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// All devices have the same key.
    fn key() -> String {
        BASE64_STANDARD.encode([7; 32])
    }

    pub(super) fn device(&self, server: &Server, id: &str) -> Result<Device> {
        Device::with_key(server, id, &Self::key())
    }

    pub(super) async fn create_device(&self, id: &str) -> Result<Option<Acknowledged>> {
        let key = Self::key();
        let keys = json!({"primaryKey": key, "secondaryKey": key});
        let body = json!({
            "deviceId": id,
            "authentication": {"type": "sas", "symmetricKey": keys},
        });
        let request = self.request(Method::PUT, &format!("/devices/{id}"));
        self.write(request.json(&body)).await
    }

    /// A request of the hub's owner.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        request.header("authorization", &self.token)
    }

    fn url(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("https://{}{path}{mark}api-version={API_VERSION}", self.host)
    }

    /// Writes, and waits a moment; `None` when the server was killed meanwhile. A refusal is an
    /// error.
    pub(super) async fn write(&self, request: RequestBuilder) -> Result<Option<Acknowledged>> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return self.is_gone(error).map(|()| None),
        };
        let (status, url) = (response.status(), response.url().clone());
        // What is answered besides the status is not needed.
        let text = response.text().await.unwrap_or_default();
        ensure!(status.is_success(), "{url}: {status} {text}");
        tokio::time::sleep(PAUSE).await;
        Ok(Some(Acknowledged))
    }

    /// Reads; the status, the headers, and the body as JSON, or null.
    pub(super) async fn read(&self, request: RequestBuilder) -> Result<(u16, HeaderMap, Value)> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        Ok((status, headers, body))
    }

    /// Reads what has to be there.
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        let (status, _, body) = self.read(self.request(Method::GET, path)).await?;
        ensure!(status == 200, "{path}: {status} {body}");
        Ok(body)
    }

    /// Receives the next message of a device; `None` when none waits.
    pub(super) async fn receive(&self, device: &str) -> Result<Option<String>> {
        let resource = format!("{}/devices/{device}", self.host);
        let expiry = Timestamp::from_unix_seconds(EXPIRY);
        let key = SharedAccessKey::from_base64(&Self::key())?;
        let token = wire::sas::build(&resource, None, expiry, &key);
        let url = self.url(&format!("/devices/{device}/messages/deviceBound"));
        let request = self.client.get(url).header("authorization", token);
        let response = request.send().await?;
        match response.status().as_u16() {
            200 => Ok(Some(response.text().await?)),
            204 => Ok(None),
            status => bail!("{device}: {status} {}", response.text().await?),
        }
    }

    /// How many cloud-to-device messages wait, by device.
    pub(super) async fn queued_messages(&self) -> Result<HashMap<String, u64>> {
        let mut found = HashMap::new();
        let mut continuation = None;
        loop {
            let mut request = self.request(Method::POST, "/devices/query");
            request = request.json(&json!({"query": "SELECT * FROM devices"}));
            request = request.header(wire::http::MAX_ITEM_COUNT, "1000");
            if let Some(continuation) = continuation.take() {
                request = request.header(wire::http::CONTINUATION, continuation);
            }
            let (status, mut headers, page) = self.read(request).await?;
            ensure!(status == 200, "{status} {page}");
            for twin in page.as_array().context("no page")? {
                let id = twin["deviceId"].as_str().context("no deviceId")?;
                let count = twin["cloudToDeviceMessageCount"].as_u64();
                found.insert(id.to_owned(), count.context("no count")?);
            }
            continuation = headers.remove(wire::http::CONTINUATION);
            if continuation.is_none() {
                return Ok(found);
            }
        }
    }
}
