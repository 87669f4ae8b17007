use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use wire::topic::{DeviceTopic, HubTopic};

use super::target::Target;
use crate::{Device, MqttDevice};

/// A number that each write replaces by the next one.
#[derive(Default)]
struct Counter {
    acknowledged: u64,
    /// The write that is on its way, or the last one.
    attempted: u64,
}

impl Counter {
    fn next(&mut self) -> u64 {
        self.attempted += 1;
        self.attempted
    }

    fn acknowledge(&mut self) {
        self.acknowledged = self.attempted;
    }

    /// Compares what is stored. The last write may be there without its acknowledgement.
    fn check(&mut self, what: &str, stored: &Value) -> Result<()> {
        let number = stored.as_u64();
        let number = number.with_context(|| format!("{what}: no number, but {stored}"))?;
        let Self {
            acknowledged,
            attempted,
        } = *self;
        ensure!(
            (acknowledged..=attempted).contains(&number),
            "{what}: write {acknowledged} was acknowledged, {attempted} attempted, {number} stored"
        );
        self.acknowledged = number;
        Ok(())
    }
}

/// Reported properties that a device patches over MQTT.
pub(super) struct Reported {
    device: Device,
    counter: Counter,
}

impl Reported {
    pub(super) fn of(device: Device) -> Self {
        Self {
            device,
            counter: Counter::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        usize::try_from(self.counter.acknowledged).unwrap_or_default()
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        match self.device.connect(target.host()).await {
            Ok(session) => self.write_over(session, target).await,
            Err(error) => target.is_gone(error),
        }
    }

    async fn write_over(&mut self, mut session: MqttDevice, target: &Target) -> Result<()> {
        loop {
            let number = self.counter.next();
            let topic = DeviceTopic::ReportedPatch {
                rid: number.to_string(),
                expected: None,
            };
            let patch = json!({"number": number, "again": {"number": number}}).to_string();
            if let Err(error) = session.publish(&topic, patch.as_bytes()).await {
                return target.is_gone(error);
            }
            let Some((kind, body)) = session.received().await? else {
                return target.is_gone(anyhow!("the session has ended"));
            };
            ensure!(kind & 0xf0 == 0x30, "no PUBLISH: {kind:#x}");
            let (length, rest) = body.split_first_chunk().context("no topic")?;
            let (topic, _) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            let topic = HubTopic::parse(std::str::from_utf8(topic)?)?;
            let is_done = matches!(topic, HubTopic::TwinResponse { status: 204, .. });
            ensure!(is_done, "{topic:?}");
            self.counter.acknowledge();
        }
    }

    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        let twin = target.get("/twins/reported").await?;
        let reported = &twin["properties"]["reported"];
        ensure!(
            reported["number"] == reported["again"]["number"],
            "half of a patch: {twin}"
        );
        self.counter
            .check("reported properties", &reported["number"])
    }
}

/// Tags and desired properties that an operator patches together.
#[derive(Default)]
pub(super) struct Tagged {
    counter: Counter,
}

impl Tagged {
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.counter.acknowledged).unwrap_or_default()
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        loop {
            let number = self.counter.next();
            let desired = json!({"desired": {"number": number}});
            let patch = json!({"tags": {"number": number}, "properties": desired});
            let request = target.request(Method::PATCH, "/twins/tagged");
            let Some(_acknowledged) = target.write(request.json(&patch)).await? else {
                return Ok(());
            };
            self.counter.acknowledge();
        }
    }

    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        let twin = target.get("/twins/tagged").await?;
        let tag = &twin["tags"]["number"];
        ensure!(
            tag == &twin["properties"]["desired"]["number"],
            "half of a patch: {twin}"
        );
        self.counter.check("tags", tag)
    }
}
