//! A2: a session that takes messages and acknowledges none ends like any other when its device is
//! shut out, and what it sends then is not kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Device, MqttDevice, Server};
use wire::sas::SharedAccessKey;
use wire::topic::DeviceTopic;

/// Messages that the server sends without an acknowledgement, at most.
const WINDOW: usize = 64;
/// How long a token lives that is to expire: long enough to fill a window.
const TOKEN_LIFE: Duration = Duration::from_secs(20);
const LATE: Timestamp = Timestamp::from_unix_seconds(4_102_444_800);

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

    /// A device of the group, whose tokens expire at this moment.
    fn device(&self, id: &str, expiry: Timestamp) -> Result<Device> {
        let key = self.group_key.sign(id.as_bytes()).to_vec();
        let key = SharedAccessKey::from_bytes(key)?.to_base64();
        Ok(Device::with_key(&self.server, id, &key)?.with_tokens_until(expiry))
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
        let hub = self.device(id, LATE)?.assigned_hub().await?;
        let mut device = self.device(id, expiry)?.connect(&hub).await?;
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
async fn a_device_that_is_shut_out_is_out_although_its_window_is_full() -> Result<()> {
    let fleet = Fleet::start().await?;
    let expiry = now()?.plus(TOKEN_LIFE);
    let expiring = fleet.with_full_window("expires", expiry).await?;

    let device = fleet.with_full_window("disabled", LATE).await?;
    let disabled = json!({"deviceId": "disabled", "status": "disabled"});
    let path = "/devices/disabled";
    fleet.at_hub(Method::PUT, path, Some(&disabled)).await?;
    fleet.require_end("disabled", device).await?;

    let device = fleet.with_full_window("deleted", LATE).await?;
    fleet
        .at_hub(Method::DELETE, "/devices/deleted", None)
        .await?;
    fleet.require_end("deleted", device).await?;

    let device = fleet.with_full_window("blocked", LATE).await?;
    let path = "/muster/v1/dps/blocks/blocked";
    let reason = json!({"reason": "stolen"});
    let block = fleet.server.operate(Method::PUT, path, Some(&reason));
    block.await?;
    fleet.require_end("blocked", device).await?;

    let device = fleet.with_full_window("taken", LATE).await?;
    let hub = fleet.server.host();
    let newer = fleet.device("taken", LATE)?.connect(&hub).await?;
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
