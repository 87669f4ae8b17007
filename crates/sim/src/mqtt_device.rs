use anyhow::{Result, ensure};
use ids::DeviceId;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use wire::topic::DeviceTopic;

use crate::{Identity, Server};

/// A device that is connected to its hub by MQTT, in packets that no code of the server made.
#[derive(Debug)]
pub struct MqttDevice {
    stream: TlsStream<TcpStream>,
    id: DeviceId,
}

impl MqttDevice {
    /// Connects to the first hub of a server, proving itself with the certificate that it registered with.
    ///
    /// # Errors
    /// When the hub does not let it in.
    pub async fn connect(server: &Server, identity: &Identity) -> Result<Self> {
        let (host, id) = (server.host(), &identity.name);
        let mut body = text("MQTT")?;
        // MQTT 3.1.1, user name and clean session, a minute of keep-alive.
        body.extend([4, 0x82, 0, 60]);
        body.extend(text(id)?);
        body.extend(text(&format!("{host}/{id}/?api-version=2021-04-12"))?);
        let mut device = Self {
            stream: server.connect_as(identity, 8883).await?,
            id: DeviceId::parse(id)?,
        };
        device.send(0x10, &body).await?;
        let mut answer = [0; 4];
        device.stream.read_exact(&mut answer).await?;
        ensure!(answer == [0x20, 2, 0, 0], "CONNACK is {answer:?}");
        Ok(device)
    }

    /// Reports properties, and does not wait for an answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn report(&mut self, properties: &Value) -> Result<()> {
        let topic = DeviceTopic::ReportedPatch {
            rid: "1".to_owned(),
            expected: None,
        };
        let mut body = text(&topic.format(&self.id, None))?;
        body.extend(properties.to_string().as_bytes());
        self.send(0x30, &body).await
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        ensure!(body.len() < 128, "the length has one byte");
        let head = [kind, u8::try_from(body.len())?];
        Ok(self.stream.write_all(&[&head[..], body].concat()).await?)
    }
}

fn text(text: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(text.len())?.to_be_bytes();
    Ok([&length, text.as_bytes()].concat())
}
