use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ids::{DeviceId, ModuleId};
use mqtt::{
    ClientEvent, ClientSession, ClientTimer, Connect, ConnectReturnCode, Delivery, Millis, Packet,
    PacketId, Publish, QoS, SessionLimits, SubscribeFilter, SubscribeResult,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::service_api::device_view::VersionedProperties;
use wire::topic::{DeviceTopic, HubTopic};

use super::call::{Call, TwinAnswer};
use super::transport::Stream;
use super::{Event, MethodCall};

/// Largest packet read, bytes. A twin is the largest thing that a hub sends.
pub(super) const MAX_PACKET: usize = 1024 * 1024;
/// Bytes that may wait to be sent before nothing more is taken in.
const MAX_UNSENT: usize = 512 * 1024;
/// Room made for each read, bytes.
const READ: usize = 8 * 1024;
/// Twin requests that may wait for their answer.
const MAX_ASKED: usize = 64;
/// Longest wait for the last bytes to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// This side closed it.
    #[error("closed by this side")]
    Ended,
    /// The hub closed it: another connection of this identity, an expired token, a removed
    /// identity, or a hub that stops.
    #[error("closed by the hub")]
    Closed,
    /// The network broke it.
    #[error("broken: {0}")]
    Broken(String),
    /// The hub does not answer pings.
    #[error("the hub is silent")]
    Silent,
    /// The hub sent something that it must not send.
    #[error("the hub broke the protocol: {0}")]
    Protocol(String),
    /// The application did not take its events.
    #[error("the application does not take its events")]
    NotRead,
}

/// Owns one connection: the only place that reads its socket, and the clock.
pub(super) struct Driver {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    received: BytesMut,
    unsent: BytesMut,
    /// Whether bytes were written since the last flush.
    unflushed: bool,
    started: Instant,
    session: ClientSession,
    identity: (DeviceId, Option<ModuleId>),
    events: mpsc::Sender<Event>,
    asked: HashMap<String, oneshot::Sender<TwinAnswer>>,
    sending: HashMap<PacketId, oneshot::Sender<()>>,
    last_rid: u64,
}

impl Driver {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        keep_alive: u16,
        identity: (DeviceId, Option<ModuleId>),
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            unflushed: false,
            started: Instant::now(),
            session: ClientSession::new(keep_alive, SessionLimits::default(), Millis(0)),
            identity,
            events,
            asked: HashMap::new(),
            sending: HashMap::new(),
            last_rid: 0,
        }
    }

    /// Sends CONNECT and waits for the answer; the caller limits the time.
    pub(super) async fn connect(&mut self, connect: Connect) -> Result<ConnectReturnCode, Lost> {
        self.send(&Packet::Connect(connect))?;
        loop {
            match self.next().await? {
                ClientEvent::Accepted { .. } => return Ok(ConnectReturnCode::Accepted),
                ClientEvent::Refused(code) => return Ok(code),
                other => self.handle(other)?,
            }
        }
    }

    /// Subscribes and waits for the answer; gives the first filter that is refused. The caller
    /// limits the time.
    pub(super) async fn subscribe(&mut self, filters: Vec<String>) -> Result<Option<String>, Lost> {
        let wished = |filter: &String| SubscribeFilter {
            filter: filter.clone(),
            qos: QoS::AtLeastOnce,
        };
        let packet = self.session.subscribe(filters.iter().map(wished).collect());
        self.send(&packet.map_err(|full| Lost::Protocol(full.to_string()))?)?;
        loop {
            match self.next().await? {
                ClientEvent::Subscribed(_, results) => {
                    let refused = results.iter().position(|r| *r == SubscribeResult::Refused);
                    return Ok(refused.and_then(|index| filters.into_iter().nth(index)));
                }
                other => self.handle(other)?,
            }
        }
    }

    /// Runs until the connection is over and says how it ended.
    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>) -> Lost {
        let lost = loop {
            if let Err(lost) = self.turn(&mut calls).await {
                break lost;
            }
        };
        if lost == Lost::Ended && self.send(&Packet::Disconnect).is_ok() {
            // A peer that does not take the last bytes does not need them.
            let _ = tokio::time::timeout(FAREWELL, pump(&mut self.writer, &mut self.unsent)).await;
        }
        let _ = tokio::time::timeout(FAREWELL, self.writer.shutdown()).await;
        lost
    }

    /// Waits for one thing and does it.
    async fn turn(&mut self, calls: &mut mpsc::Receiver<Call>) -> Result<(), Lost> {
        let now = self.now();
        let due = match self.session.timer(now) {
            ClientTimer::Send(packet) => return self.send(&packet),
            ClientTimer::Dead => return Err(Lost::Silent),
            ClientTimer::Wait(due) => self.started + Duration::from_millis(due.0),
        };
        let room = self.unsent.len() < MAX_UNSENT;
        let takes_calls = room && self.session.can_send() && self.may_ask();
        self.received.reserve(READ);
        // Every arm is cancel-safe: reads and writes take and give whole steps, `recv` loses
        // nothing.
        tokio::select! {
            written = pump(&mut self.writer, &mut self.unsent), if self.unflushed => {
                self.unflushed = false;
                written.map_err(broken)
            }
            read = self.reader.read_buf(&mut self.received), if room => match read {
                Ok(0) => Err(Lost::Closed),
                Ok(_) => self.take_packets(),
                Err(error) => Err(broken(error)),
            },
            call = calls.recv(), if takes_calls => self.call(call.unwrap_or(Call::Close)),
            () = tokio::time::sleep_until(due) => Ok(()),
        }
    }

    /// Twin requests whose callers have given up make room for others.
    fn may_ask(&mut self) -> bool {
        if self.asked.len() >= MAX_ASKED {
            self.asked.retain(|_, answer| !answer.is_closed());
        }
        self.asked.len() < MAX_ASKED
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn send(&mut self, packet: &Packet) -> Result<(), Lost> {
        self.unflushed = true;
        mqtt::encode(packet, &mut self.unsent).map_err(|error| Lost::Protocol(error.to_string()))
    }

    /// The next event of the greeting, when nothing else can happen yet.
    async fn next(&mut self) -> Result<ClientEvent, Lost> {
        pump(&mut self.writer, &mut self.unsent)
            .await
            .map_err(broken)?;
        self.unflushed = false;
        loop {
            if let Some(event) = self.packet()? {
                return Ok(event);
            }
            let read = self.reader.read_buf(&mut self.received).await;
            if read.map_err(broken)? == 0 {
                return Err(Lost::Closed);
            }
        }
    }

    fn packet(&mut self) -> Result<Option<ClientEvent>, Lost> {
        let packet = mqtt::decode(&mut self.received, MAX_PACKET);
        let packet = packet.map_err(|error| Lost::Protocol(error.to_string()))?;
        let now = self.now();
        packet
            .map(|packet| self.session.receive(packet, now))
            .transpose()
            .map_err(|error| Lost::Protocol(error.to_string()))
    }

    fn take_packets(&mut self) -> Result<(), Lost> {
        while let Some(event) = self.packet()? {
            self.handle(event)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: ClientEvent) -> Result<(), Lost> {
        match event {
            ClientEvent::Publish(publish) => self.publish(publish),
            ClientEvent::Delivered(id) => {
                if let Some(done) = self.sending.remove(&id) {
                    // The caller may have stopped waiting.
                    let _ = done.send(());
                }
                Ok(())
            }
            ClientEvent::Accepted { .. }
            | ClientEvent::Refused(_)
            | ClientEvent::Subscribed(..)
            | ClientEvent::Unsubscribed(_)
            | ClientEvent::Ignored => Ok(()),
        }
    }

    fn publish(&mut self, publish: Publish) -> Result<(), Lost> {
        let acknowledge = match publish.delivery {
            Delivery::AtLeastOnce { id, .. } => Some(self.session.acknowledge(id)),
            Delivery::AtMostOnce => None,
        };
        self.deliver(&publish.topic, publish.payload)?;
        match acknowledge {
            Some(packet) => self.send(&packet),
            None => Ok(()),
        }
    }

    fn deliver(&mut self, topic: &str, payload: Bytes) -> Result<(), Lost> {
        let event = match HubTopic::parse(topic) {
            Ok(HubTopic::TwinResponse {
                status,
                rid,
                version,
            }) => {
                if let Some(answer) = self.asked.remove(&rid) {
                    // The caller may have stopped waiting.
                    let _ = answer.send(TwinAnswer {
                        status,
                        version,
                        payload,
                    });
                }
                return Ok(());
            }
            Ok(HubTopic::DesiredPatch { .. }) => match VersionedProperties::parse(&payload) {
                Ok(change) => Event::Desired(change),
                Err(error) => {
                    return Err(Lost::Protocol(format!(
                        "a change of desired properties: {error}"
                    )));
                }
            },
            Ok(HubTopic::MethodRequest { name, rid }) => {
                Event::Method(MethodCall { name, rid, payload })
            }
            Ok(HubTopic::DeviceBound { .. }) | Err(_) => {
                tracing::debug!(topic, "a message that was not asked for");
                return Ok(());
            }
        };
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Lost::NotRead,
            mpsc::error::TrySendError::Closed(_) => Lost::Ended,
        })
    }

    fn call(&mut self, call: Call) -> Result<(), Lost> {
        match call {
            Call::TwinGet(answer) => {
                let rid = self.rid(answer);
                self.say(DeviceTopic::TwinGet { rid }, Bytes::new(), QoS::AtMostOnce)?;
            }
            Call::Report {
                patch,
                expected,
                answer,
            } => {
                let rid = self.rid(answer);
                self.say(
                    DeviceTopic::ReportedPatch { rid, expected },
                    patch,
                    QoS::AtMostOnce,
                )?;
            }
            Call::Telemetry { bag, payload, done } => {
                let id = self.say(DeviceTopic::Events { bag }, payload, QoS::AtLeastOnce)?;
                self.sending.extend(id.map(|id| (id, done)));
            }
            Call::Respond { rid, status, body } => {
                self.say(
                    DeviceTopic::MethodResponse { status, rid },
                    body,
                    QoS::AtMostOnce,
                )?;
            }
            Call::Close => return Err(Lost::Ended),
        }
        Ok(())
    }

    fn rid(&mut self, answer: oneshot::Sender<TwinAnswer>) -> String {
        self.last_rid += 1;
        let rid = self.last_rid.to_string();
        self.asked.insert(rid.clone(), answer);
        rid
    }

    fn say(
        &mut self,
        topic: DeviceTopic,
        payload: Bytes,
        qos: QoS,
    ) -> Result<Option<PacketId>, Lost> {
        let (device, module) = &self.identity;
        let topic = topic.format(device, module.as_ref());
        let packet = self.session.publish(topic, payload, qos);
        // Calls are taken only while there is room.
        let packet = packet.map_err(|full| Lost::Protocol(full.to_string()))?;
        self.send(&packet)?;
        Ok(match packet {
            Packet::Publish(Publish {
                delivery: Delivery::AtLeastOnce { id, .. },
                ..
            }) => Some(id),
            _ => None,
        })
    }
}

/// Writes everything out. Cancel-safe: bytes leave `unsent` as they are written.
async fn pump(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    unsent: &mut BytesMut,
) -> std::io::Result<()> {
    while !unsent.is_empty() {
        writer.write_buf(unsent).await?;
    }
    writer.flush().await
}

fn broken(error: std::io::Error) -> Lost {
    match error.kind() {
        // A process that is gone does not say goodbye in TLS either.
        std::io::ErrorKind::UnexpectedEof => Lost::Closed,
        _ => Lost::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
