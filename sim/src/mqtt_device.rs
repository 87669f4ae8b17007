use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ids::{DeviceId, ModuleId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use wire::topic::{DeviceTopic, HubTopic};

/// A device or a module that is connected to its hub by MQTT, in packets that no code of the
/// server made.
#[derive(Debug)]
pub struct MqttDevice {
    stream: TlsStream<TcpStream>,
    id: DeviceId,
    module: Option<ModuleId>,
    session_present: bool,
}

/// A cloud-to-device message as it came at QoS 1.
#[derive(Debug)]
pub struct CloudMessage {
    packet: u16,
    /// Whether it is marked as sent before.
    pub duplicate: bool,
    pub topic: String,
    pub payload: Vec<u8>,
}

impl MqttDevice {
    /// Sends CONNECT; the return code of the hub's CONNACK.
    pub(crate) async fn greet(
        stream: TlsStream<TcpStream>,
        (host, id): (&str, &str),
        token: Option<&str>,
        clean: bool,
    ) -> Result<(u8, Self)> {
        let mut body = text("MQTT")?;
        // MQTT 3.1.1, user name, perhaps a password and clean session, a minute of keep-alive.
        let password = if token.is_some() { 0x40 } else { 0 };
        body.extend([4, 0x80 | password | (u8::from(clean) << 1), 0, 60]);
        body.extend(text(id)?);
        body.extend(text(&format!("{host}/{id}/?api-version=2021-04-12"))?);
        if let Some(token) = token {
            body.extend(text(token)?);
        }
        let (device, module) = match id.split_once('/') {
            Some((device, module)) => (device, Some(ModuleId::parse(module)?)),
            None => (id, None),
        };
        let mut device = Self {
            stream,
            id: DeviceId::parse(device)?,
            module,
            session_present: false,
        };
        device.send(0x10, &body).await?;
        let answer = device.received().await?;
        match &answer {
            Some((0x20, body)) if body.len() == 2 => {
                device.session_present = body[0] == 1;
                Ok((body[1], device))
            }
            _ => bail!("no CONNACK: {answer:?}"),
        }
    }

    /// Reports properties, and does not wait for an answer.
    pub async fn report(&mut self, properties: &Value) -> Result<()> {
        let topic = DeviceTopic::ReportedPatch {
            rid: "1".to_owned(),
            expected: None,
        };
        self.publish(&topic, properties.to_string().as_bytes())
            .await
    }

    /// Asks for its twin, desired and reported properties.
    pub async fn twin(&mut self) -> Result<Value> {
        let rid = "twin".to_owned();
        self.publish(&DeviceTopic::TwinGet { rid }, &[]).await?;
        let (kind, body) = self.received().await?.context("the session has ended")?;
        ensure!(kind & 0xf0 == 0x30, "no PUBLISH: {kind:#x}");
        let (length, rest) = body.split_first_chunk().context("no topic")?;
        let (topic, payload) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        let topic = HubTopic::parse(std::str::from_utf8(topic)?)?;
        let is_answer = matches!(topic, HubTopic::TwinResponse { status: 200, .. });
        ensure!(is_answer, "{topic:?}");
        Ok(serde_json::from_slice(payload)?)
    }

    /// Answers each direct method with its name and its payload, until the session ends. It has to be
    /// subscribed to them; what else comes is skipped.
    pub async fn echo_methods(mut self) -> Result<()> {
        while let Some((kind, body)) = self.received().await? {
            ensure!(kind & 0xf6 == 0x30, "no PUBLISH at QoS 0: {kind:#x}");
            let (length, rest) = body.split_first_chunk().context("no topic")?;
            let (topic, payload) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
            let topic = HubTopic::parse(std::str::from_utf8(topic)?)?;
            let HubTopic::MethodRequest { name, rid } = topic else {
                continue;
            };
            let echo = json!({"name": name, "echo": serde_json::from_slice::<Value>(payload).ok()});
            let answer = DeviceTopic::MethodResponse { status: 200, rid };
            self.publish(&answer, echo.to_string().as_bytes()).await?;
        }
        Ok(())
    }

    /// Publishes at QoS 0.
    pub async fn publish(&mut self, topic: &DeviceTopic, payload: &[u8]) -> Result<()> {
        let mut body = text(&topic.format(&self.id, self.module.as_ref()))?;
        body.extend(payload);
        self.send(0x30, &body).await
    }

    /// Publishes telemetry at QoS 1, and does not wait for the acknowledgement.
    pub async fn publish_at_least_once(&mut self, packet: u16, payload: &[u8]) -> Result<()> {
        let events = DeviceTopic::Events { bag: String::new() };
        let mut body = text(&events.format(&self.id, self.module.as_ref()))?;
        body.extend(packet.to_be_bytes());
        body.extend(payload);
        self.send(0x32, &body).await
    }

    /// Subscribes at QoS 1, and waits until that is granted.
    pub async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let mut body = vec![0, 1];
        body.extend(text(filter)?);
        body.push(1);
        self.send(0x82, &body).await?;
        let answer = self.received().await?;
        ensure!(
            answer == Some((0x90, vec![0, 1, 1])),
            "SUBACK is {answer:?}"
        );
        Ok(())
    }

    /// Whether the hub remembered an earlier session.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// The next packet, which has to be a message at QoS 1.
    pub async fn message(&mut self) -> Result<CloudMessage> {
        let (kind, body) = self.received().await?.context("the session has ended")?;
        ensure!(kind & 0xf7 == 0x32, "no PUBLISH at QoS 1: {kind:#x}");
        let (length, rest) = body.split_first_chunk().context("no topic")?;
        let (topic, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        let (packet, payload) = rest.split_first_chunk().context("no packet id")?;
        Ok(CloudMessage {
            packet: u16::from_be_bytes(*packet),
            duplicate: kind & 0x08 != 0,
            topic: std::str::from_utf8(topic)?.to_owned(),
            payload: payload.to_vec(),
        })
    }

    /// Sends PUBACK.
    pub async fn acknowledge(&mut self, message: &CloudMessage) -> Result<()> {
        self.send(0x40, &message.packet.to_be_bytes()).await
    }

    /// The next packet of the server, its first byte and its body; `None` when the server has
    /// closed the connection. What comes is not acknowledged.
    pub async fn received(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let packet = tokio::time::timeout(Duration::from_secs(30), self.read_packet());
        // Whichever way a connection ends, it has ended.
        Ok(packet.await.context("the server says nothing")?.ok())
    }

    async fn read_packet(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((kind, body))
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        let mut head = vec![kind];
        let mut length = body.len();
        while length >= 0x80 {
            head.push(u8::try_from(length & 0x7f)? | 0x80);
            length >>= 7;
        }
        head.push(u8::try_from(length)?);
        Ok(self.stream.write_all(&[&head[..], body].concat()).await?)
    }
}

fn text(text: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(text.len())?.to_be_bytes();
    Ok([&length, text.as_bytes()].concat())
}
