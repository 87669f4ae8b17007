//! B2: a disk that is full keeps no device out. Its message is acknowledged once there is room, and what was acknowledged is there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ids::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{MqttDevice, Server};
use wire::sas::SharedAccessKey;

/// 2100.
const REMOTE: i64 = 4_102_444_800;
const PUBACK: u8 = 0x40;

/// A file system of its own for the events, in memory and small. Only the superuser may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        mount(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], folder)?;
        Ok(Self(folder.to_owned()))
    }

    fn grow(&self) -> Result<()> {
        mount(&["-o", "remount,size=64m"], &self.0)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> Result<()> {
    let done = Command::new("mount").args(arguments).arg(folder).status();
    let done = done.context("mount is not here")?;
    ensure!(done.success(), "mount {arguments:?}: this story needs root");
    Ok(())
}

struct Hub {
    server: Server,
    client: reqwest::Client,
    owner: String,
}

impl Hub {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        Ok(Self {
            client: server.client()?,
            owner: server.hub_owner_token()?,
            server,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.host())
    }

    async fn device(&self, id: &str) -> Result<(MqttDevice, String)> {
        let request = self
            .client
            .put(self.url(&format!("/devices/{id}?api-version=2021-04-12")));
        let request = request.header("authorization", &self.owner);
        let made: Value = request
            .json(&json!({"deviceId": id}))
            .send()
            .await?
            .json()
            .await?;
        let key = made.pointer("/authentication/symmetricKey/primaryKey");
        let key = key
            .and_then(Value::as_str)
            .with_context(|| made.to_string())?;
        let key = SharedAccessKey::from_base64(key)?;
        let resource = format!("{}/devices/{id}", self.server.host());
        let token = wire::sas::build(&resource, None, Timestamp::from_unix_seconds(REMOTE), &key);
        let device = MqttDevice::connect_with_token(&self.server, id, &token).await?;
        Ok((device, token))
    }

    async fn is_ready(&self) -> Result<bool> {
        let answer = self.client.get(self.url("/readyz")).send().await?;
        Ok(answer.status() == StatusCode::OK)
    }

    async fn post(&self, token: &str) -> Result<StatusCode> {
        let url = self.url("/devices/d1/messages/events?api-version=2021-04-12");
        let request = self
            .client
            .request(Method::POST, url)
            .body(vec![b'p'; 100_000]);
        Ok(request
            .header("authorization", token)
            .send()
            .await?
            .status())
    }

    /// First bytes of the bodies of all events.
    async fn kept(&self) -> Result<Vec<String>> {
        let (mut after, mut kept) = (0, Vec::new());
        loop {
            let request = self
                .client
                .get(self.url(&format!("/muster/v1/events?after={after}")));
            let request = request.header("authorization", &self.owner);
            let events: Vec<Value> = request.send().await?.error_for_status()?.json().await?;
            let Some(last) = events.last() else {
                return Ok(kept);
            };
            after = last["offset"].as_u64().context("no offset")?;
            let body = |event: &Value| event["body"].as_str().unwrap_or_default()[..8].to_owned();
            kept.extend(events.iter().map(body));
        }
    }
}

/// Eight characters of base64 that no other message begins with.
fn body(number: u16) -> Vec<u8> {
    let mut body = format!("{number:06}").into_bytes();
    body.resize(200_000, b'x');
    body
}

fn shown(numbers: std::ops::RangeInclusive<u16>) -> Vec<String> {
    use base64::Engine;
    let encode = |number| base64::engine::general_purpose::STANDARD.encode(format!("{number:06}"));
    numbers.map(encode).collect()
}

#[tokio::test]
async fn a_full_disk_delays_acknowledgements_and_loses_nothing() -> Result<()> {
    let mut hub = Hub::start().await?;
    let disk = SmallDisk::at(&hub.server.data_dir().join("events"))?;
    let (mut device, token) = hub.device("d1").await?;
    ensure!(hub.is_ready().await?);
    let mut number = 0;
    // Until the disk is full: the last message is neither acknowledged nor is its connection closed.
    loop {
        number += 1;
        device.publish_at_least_once(number, &body(number)).await?;
        let puback = loop {
            let packet = tokio::time::timeout(Duration::from_millis(200), device.received());
            match packet.await {
                Ok(packet) => break Some(packet?.context("the connection was closed")?),
                Err(_elapsed) if !hub.is_ready().await? => break None,
                Err(_elapsed) => {}
            }
        };
        let Some(puback) = puback else { break };
        assert_eq!(puback, (PUBACK, number.to_be_bytes().to_vec()));
        ensure!(number < 100, "the disk is never full");
    }
    ensure!(number > 5, "{number} messages fill it");
    assert_eq!(hub.post(&token).await?, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = hub
        .client
        .get(hub.url("/metrics"))
        .send()
        .await?
        .text()
        .await?;
    ensure!(
        metrics.contains("muster_hub_telemetry_failing{hub=\"hub\"} 1"),
        "{metrics}"
    );
    assert_eq!(hub.kept().await?, shown(1..=number - 1));

    disk.grow()?;
    let packet = device.received().await?;
    assert_eq!(packet, Some((PUBACK, number.to_be_bytes().to_vec())));
    sim::until("the server is ready", Duration::from_secs(10), || async {
        ensure!(hub.is_ready().await?, "not yet");
        Ok(())
    })
    .await?;
    number += 1;
    device.publish_at_least_once(number, &body(number)).await?;
    ensure!(
        device.received().await?.is_some(),
        "the same connection goes on"
    );
    hub.server.kill()?;
    hub.server.start_again().await?;
    assert_eq!(hub.kept().await?, shown(1..=number));

    let table =
        hub.server
            .run_muster(&["hub", "monitor-events", "--count", "1", "--output", "table"])?;
    let table = table.ok()?;
    ensure!(
        table.starts_with("Offset ") && table.contains(" d1 "),
        "{table}"
    );
    Ok(())
}
