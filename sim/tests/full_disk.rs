//! B2: a disk that is full keeps no device out. Its message is acknowledged once there is room, and
//! what was acknowledged is there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{Device, Server};

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

    async fn device(&self, id: &str) -> Result<Device> {
        let path = format!("/devices/{id}?api-version=2021-04-12");
        let (owner, body) = (
            self.server.show("/hubs/0/connectionString")?,
            json!({"deviceId": id}),
        );
        let made = self
            .server
            .operate_as(&owner, Method::PUT, &path, Some(&body))
            .await?;
        let key = made.pointer("/authentication/symmetricKey/primaryKey");
        let key = key
            .and_then(Value::as_str)
            .with_context(|| made.to_string())?;
        Device::with_key(&self.server, id, key)
    }

    async fn is_ready(&self) -> Result<bool> {
        let answer = self.client.get(self.url("/readyz")).send().await?;
        Ok(answer.status() == StatusCode::OK)
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

fn bodies(numbers: std::ops::RangeInclusive<u16>) -> Vec<String> {
    use base64::Engine;
    let encode = |number| base64::engine::general_purpose::STANDARD.encode(format!("{number:06}"));
    numbers.map(encode).collect()
}

#[tokio::test]
async fn a_full_disk_delays_acknowledgements_and_loses_nothing() -> Result<()> {
    let mut hub = Hub::start().await?;
    let disk = SmallDisk::at(&hub.server.data_dir().join("events"))?;
    let (device, host) = (hub.device("d1").await?, hub.server.host());
    let mut session = device.connect(&host).await?;
    ensure!(hub.is_ready().await?);
    let mut number = 0;
    // Until the disk is full: the last message is neither acknowledged nor is its connection
    // closed.
    loop {
        number += 1;
        session.publish_at_least_once(number, &body(number)).await?;
        let puback = loop {
            let packet = tokio::time::timeout(Duration::from_millis(200), session.received());
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
    let status = device.send(&host, &"p".repeat(100_000)).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = hub.server.metrics().await?;
    ensure!(
        metrics.contains("muster_hub_telemetry_failing{hub=\"hub\"} 1"),
        "{metrics}"
    );
    assert_eq!(hub.kept().await?, bodies(1..=number - 1));

    disk.grow()?;
    let packet = session.received().await?;
    assert_eq!(packet, Some((PUBACK, number.to_be_bytes().to_vec())));
    sim::until("the server is ready", Duration::from_secs(10), || async {
        ensure!(hub.is_ready().await?, "not yet");
        Ok(())
    })
    .await?;
    number += 1;
    session.publish_at_least_once(number, &body(number)).await?;
    ensure!(
        session.received().await?.is_some(),
        "the same connection goes on"
    );
    hub.server.kill()?;
    hub.server.start_again().await?;
    assert_eq!(hub.kept().await?, bodies(1..=number));

    let monitor = "hub monitor-events --count 1 --output table";
    let table = hub.server.try_muster(monitor).await?.ok()?;
    ensure!(
        table.starts_with("Offset ") && table.contains(" d1 "),
        "{table}"
    );
    Ok(())
}
