//! A device's connection, in packets that no code of the server made.

use anyhow::{Result, bail, ensure};
use ids::DeviceId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wire::topic::{DeviceTopic, Filter, HubTopic};

use crate::target::{Greeting, Target};

type Stream = TlsStream<TcpStream>;

/// A device that is connected.
pub struct Client {
    stream: Stream,
    id: DeviceId,
}

impl Client {
    /// Connects and introduces itself.
    pub async fn connect(target: &Target, id: &str) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(target.address.ip().into());
        let connector = TlsConnector::from(target.tls.clone());
        let stream = Box::pin(connector.connect(name, stream)).await?;
        let id = DeviceId::parse(id)?;
        let mut client = Self { stream, id };
        match &target.greeting {
            Greeting::Hub { host, key } => {
                let user = format!("{host}/{}/?api-version=2021-04-12", client.id);
                let password = key.token(host, client.id.as_str());
                client.greet(Some((&user, &password))).await?;
            }
            Greeting::Broker => client.greet(None).await?,
            Greeting::Silence => {}
        }
        Ok(client)
    }

    /// CONNECT with a clean session and 19 minutes of keep-alive, and its CONNACK.
    async fn greet(&mut self, login: Option<(&str, &str)>) -> Result<()> {
        let mut body = text("MQTT")?;
        body.extend([4, if login.is_some() { 0xc2 } else { 2 }]);
        body.extend(1140_u16.to_be_bytes());
        body.extend(text(self.id.as_str())?);
        if let Some((user, password)) = login {
            body.extend(text(user)?);
            body.extend(text(password)?);
        }
        self.stream.write_all(&packet(0x10, &body)?).await?;
        let mut answer = [0; 4];
        self.stream.read_exact(&mut answer).await?;
        let id = &self.id;
        ensure!(answer == [0x20, 2, 0, 0], "{id}: CONNACK is {answer:?}");
        Ok(())
    }

    /// Subscribes to direct methods and answers every one with status 200, until the connection
    /// ends.
    pub async fn answer_methods(mut self) -> Result<()> {
        let mut body = vec![0, 1];
        let filter = Filter::MethodRequests.format(&self.id, None);
        body.extend(text(&filter)?);
        body.push(0);
        self.stream.write_all(&packet(0x82, &body)?).await?;
        loop {
            let (kind, body) = self.receive().await?;
            if kind & 0xf0 != 0x30 {
                continue;
            }
            let topic_length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = std::str::from_utf8(&body[2..2 + topic_length])?;
            let HubTopic::MethodRequest { rid, .. } = HubTopic::parse(topic)? else {
                bail!("no method call: {topic}");
            };
            let response = DeviceTopic::MethodResponse { status: 200, rid };
            let mut answer = text(&response.format(&self.id, None))?;
            answer.extend(b"{}");
            self.stream.write_all(&packet(0x30, &answer)?).await?;
        }
    }

    async fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
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

    /// Publishes `count` messages at QoS 1, never more than `window` of them unacknowledged, and
    /// returns after the last acknowledgement.
    pub async fn publish(&mut self, count: usize, window: usize, payload: &[u8]) -> Result<()> {
        let events = DeviceTopic::Events { bag: String::new() };
        let topic = text(&events.format(&self.id, None))?;
        let (reader, writer) = tokio::io::split(&mut self.stream);
        let mut traffic = Traffic {
            reader,
            writer,
            unread: Vec::new(),
        };
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < count {
            // One write for all that the window has room for.
            let mut packets = Vec::new();
            while sent < count && sent - acknowledged < window {
                sent += 1;
                let id = u16::try_from(sent % 65_535 + 1)?;
                let body = [&topic[..], &id.to_be_bytes(), payload].concat();
                packets.extend(packet(0x32, &body)?);
            }
            traffic.writer.write_all(&packets).await?;
            acknowledged += traffic.acknowledgements().await?;
        }
        Ok(())
    }
}

struct Traffic<'a> {
    reader: ReadHalf<&'a mut Stream>,
    writer: WriteHalf<&'a mut Stream>,
    /// Bytes of a packet that has not come to its end.
    unread: Vec<u8>,
}

impl Traffic<'_> {
    /// How many PUBACK packets the next read brings; at least one.
    async fn acknowledgements(&mut self) -> Result<usize> {
        let mut count = 0;
        while count == 0 {
            let mut buffer = [0; 4096];
            let read = self.reader.read(&mut buffer).await?;
            ensure!(read > 0, "the server has closed the connection");
            self.unread.extend(&buffer[..read]);
            let (packets, rest) = self.unread.as_chunks::<4>();
            for packet in packets {
                ensure!(packet[..2] == [0x40, 2], "no PUBACK: {packet:?}");
                count += 1;
            }
            self.unread = rest.to_vec();
        }
        Ok(count)
    }
}

fn text(text: &str) -> Result<Vec<u8>> {
    let length = u16::try_from(text.len())?.to_be_bytes();
    Ok([&length, text.as_bytes()].concat())
}

fn packet(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    let mut packet = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        packet.push(u8::try_from(length & 0x7f)? | 0x80);
        length >>= 7;
    }
    packet.push(u8::try_from(length)?);
    packet.extend(body);
    Ok(packet)
}
