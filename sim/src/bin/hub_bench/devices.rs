//! Devices in the hub's registry, all with one symmetric key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ids::Timestamp;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use sim::Server;
use tokio::task::JoinSet;
use wire::sas::SharedAccessKey;

/// 2100: tokens need no renewal.
const EXPIRY: i64 = 4_102_444_800;
const API_VERSION: &str = "2021-04-12";
const AT_ONCE: usize = 64;

/// The key that every device of a run has.
#[derive(Clone)]
pub struct DeviceKey(SharedAccessKey);

impl DeviceKey {
    /// A key of 32 equal bytes: nothing is secret here.
    pub fn new() -> Result<Self> {
        Ok(Self(SharedAccessKey::from_bytes(vec![7; 32])?))
    }

    fn base64() -> String {
        BASE64_STANDARD.encode([7; 32])
    }

    /// The password of a device in CONNECT.
    pub fn token(&self, host: &str, device: &str) -> String {
        let resource = format!("{host}/devices/{device}");
        wire::sas::build(
            &resource,
            None,
            Timestamp::from_unix_seconds(EXPIRY),
            &self.0,
        )
    }
}

/// The id of a device by its number.
pub fn name(number: usize) -> String {
    format!("bench-{number:06}")
}

/// The service API of a hub, called by its owner over connections that stay open.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    origin: String,
    token: String,
}

impl Operator {
    pub fn of(server: &Server) -> Result<Self> {
        Ok(Self {
            client: server.client()?,
            origin: format!("https://{}", server.host()),
            token: server.hub_owner_token()?,
        })
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}?api-version={API_VERSION}", self.origin);
        let request = self.client.request(method, url);
        request.header("authorization", &self.token)
    }

    /// Creates so many devices.
    pub async fn create(&self, count: usize) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (operator, next) = (self.clone(), next.clone());
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok(());
                    }
                    operator.create_one(&name(number)).await?;
                }
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker?.map_err(|error: anyhow::Error| error.context("creating devices"))?;
        }
        Ok(())
    }

    async fn create_one(&self, id: &str) -> Result<()> {
        let key = DeviceKey::base64();
        let body = json!({
            "deviceId": id,
            "authentication": {
                "type": "sas",
                "symmetricKey": { "primaryKey": key, "secondaryKey": key },
            },
        });
        let request = self.request(Method::PUT, &format!("/devices/{id}"));
        let response = request.json(&body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{id}: {status} {text}");
        Ok(())
    }
}
