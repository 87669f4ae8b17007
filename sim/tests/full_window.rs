//! A2: a session that takes messages and acknowledges none ends like any other when its device is shut out, and what it sends then
//! is not kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sim::{MqttDevice, Server};
use wire::sas::SharedAccessKey;
use wire::topic::DeviceTopic;

/// Messages that the server sends without an acknowledgement, at most.
const WINDOW: usize = 64;
/// How long a token lives that is to expire: long enough to fill a window.
const TOKEN_LIFE: Duration = Duration::from_secs(20);
/// 2100.
const REMOTE: i64 = 4_102_444_800;

struct Fleet {
    server: Server,
    client: reqwest::Client,
    hub_owner: String,
    group_key: SharedAccessKey,
}

impl Fleet {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        let group = json!({"enrollmentGroupId": "fleet", "attestation": {"type": "symmetricKey"}});
        let path = "/enrollmentGroups/fleet";
        server.operate(Method::PUT, path, Some(&group)).await?;
        let path = format!("{path}/attestationmechanism");
        let mechanism = server.operate(Method::POST, &path, None).await?;
        let key = mechanism["symmetricKey"]["primaryKey"].as_str();
        Ok(Self {
            client: server.client()?,
            hub_owner: server.hub_owner_token()?,
            group_key: SharedAccessKey::from_base64(key.context("no key")?)?,
            server,
        })
    }

    fn token(&self, id: &str, resource: &str, expiry: Timestamp) -> Result<String> {
        let key = self.group_key.sign(id.as_bytes()).to_vec();
        let key = SharedAccessKey::from_bytes(key)?;
        let policy = resource.contains("registrations").then_some("registration");
        Ok(wire::sas::build(resource, policy, expiry, &key))
    }

    async fn register(&self, id: &str) -> Result<()> {
        let scope = self.server.id_scope()?;
        let resource = format!("{scope}/registrations/{id}");
        let token = self.token(id, &resource, Timestamp::from_unix_seconds(REMOTE))?;
        let path = wire::device_api::registration::register_path(&scope, id);
        let url = format!(
            "https://{}{path}?api-version=2021-06-01",
            self.server.host()
        );
        let request = self.client.put(url).header("authorization", token);
        let request = request.json(&json!({"registrationId": id}));
        ensure!(
            request.send().await?.status() == 202,
            "{id} is not registered"
        );
        Ok(())
    }

    async fn at_hub(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!(
            "https://{}{path}?api-version=2021-04-12",
            self.server.host()
        );
        let request = self.client.request(method, url);
        let mut request = request
            .header("authorization", &self.hub_owner)
            .header("if-match", "*");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Connects a device, has it send something, and lets messages come until no more are sent.
    async fn with_full_window(&self, id: &str, expiry: Timestamp) -> Result<MqttDevice> {
        self.register(id).await?;
        let resource = format!("{}/devices/{id}", self.server.host());
        let token = self.token(id, &resource, expiry)?;
        let mut device = MqttDevice::connect_with_token(&self.server, id, &token).await?;
        device
            .subscribe("$iothub/twin/PATCH/properties/desired/#")
            .await?;
        say(&mut device, "early").await?;
        for number in 0..=WINDOW {
            let patch = json!({"properties": {"desired": {"number": number}}});
            let path = format!("/twins/{id}");
            self.at_hub(Method::PATCH, &path, Some(&patch)).await?;
        }
        for _ in 0..WINDOW {
            let packet = device.received().await?;
            let (kind, _) = packet.context("the session ended early")?;
            ensure!(kind == 0x32, "a PUBLISH of QoS 1, not {kind:#x}");
        }
        Ok(device)
    }

    /// Waits until the server has closed a connection that is used all the time.
    async fn require_end(&self, id: &str, mut device: MqttDevice) -> Result<()> {
        let end = async {
            loop {
                // Writing to a connection that is closed may fail or not.
                let _ = say(&mut device, "late").await;
                let packet = tokio::time::timeout(Duration::from_millis(100), device.received());
                match packet.await {
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Ok(Some((kind, _)))) => anyhow::bail!("{id} is sent {kind:#x}"),
                    Ok(Err(error)) => return Err(error),
                    Err(_elapsed) => {}
                }
            }
        };
        let end = tokio::time::timeout(Duration::from_secs(5), end);
        end.await.with_context(|| format!("{id} is not closed"))?
    }

    /// What the hub has kept of a device.
    async fn kept(&self, id: &str) -> Result<Vec<String>> {
        let url = format!(
            "https://{}/muster/v1/events?api-version=2021-04-12",
            self.server.host()
        );
        let request = self
            .client
            .get(url)
            .header("authorization", &self.hub_owner);
        let events: Vec<Value> = request.send().await?.error_for_status()?.json().await?;
        let own = events.iter().filter(|event| event["deviceId"] == id);
        Ok(own.map(|event| event["body"].to_string()).collect())
    }
}

async fn say(device: &mut MqttDevice, text: &str) -> Result<()> {
    let events = DeviceTopic::Events { bag: String::new() };
    device.publish(&events, text.as_bytes()).await
}

#[expect(clippy::disallowed_methods, reason = "this story's clock")]
fn now() -> Result<Timestamp> {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_unix_seconds(
        since_1970.as_secs().try_into()?,
    ))
}

#[tokio::test]
async fn whoever_is_shut_out_is_out_although_its_window_is_full() -> Result<()> {
    let fleet = Fleet::start().await?;
    let remote = Timestamp::from_unix_seconds(REMOTE);
    let expiry = now()?.plus(TOKEN_LIFE);
    let expiring = fleet.with_full_window("expires", expiry).await?;

    let device = fleet.with_full_window("disabled", remote).await?;
    let disabled = json!({"deviceId": "disabled", "status": "disabled"});
    let path = "/devices/disabled";
    fleet.at_hub(Method::PUT, path, Some(&disabled)).await?;
    fleet.require_end("disabled", device).await?;

    let device = fleet.with_full_window("deleted", remote).await?;
    fleet
        .at_hub(Method::DELETE, "/devices/deleted", None)
        .await?;
    fleet.require_end("deleted", device).await?;

    let device = fleet.with_full_window("blocked", remote).await?;
    let path = "/muster/v1/dps/blocks/blocked";
    let reason = json!({"reason": "stolen"});
    let block = fleet.server.operate(Method::PUT, path, Some(&reason));
    block.await?;
    fleet.require_end("blocked", device).await?;

    let device = fleet.with_full_window("taken", remote).await?;
    let resource = format!("{}/devices/taken", fleet.server.host());
    let token = fleet.token("taken", &resource, remote)?;
    let newer = MqttDevice::connect_with_token(&fleet.server, "taken", &token).await?;
    fleet.require_end("taken", device).await?;
    drop(newer);

    let limit = TOKEN_LIFE + Duration::from_secs(5);
    sim::until("the token expires", limit, || async {
        ensure!(now()? > expiry, "not yet");
        Ok(())
    })
    .await?;
    fleet.require_end("expires", expiring).await?;

    let early = json!("ZWFybHk=").to_string();
    for id in ["expires", "disabled", "deleted", "blocked", "taken"] {
        assert_eq!(fleet.kept(id).await?, [early.as_str()], "{id}");
    }
    Ok(())
}
