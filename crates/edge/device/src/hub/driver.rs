//! The task of a connection.

mod incoming;
mod outgoing;
mod renewal;

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use ids::{DeviceId, ModuleId};
use mqtt::{
    ClientEvent, ClientSession, ClientTimer, Connect, ConnectReturnCode, Millis, Packet, PacketId,
    QoS, SessionLimits, SubscribeFilter, SubscribeResult,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::call::{Call, TwinAnswer};
use super::{Event, MAX_PACKET};
use crate::dial::Stream;

/// Unsent bytes up to which calls are accepted and packets are read.
const MAX_UNSENT: usize = 512 * 1024;
/// The capacity of each read, bytes.
const READ: usize = 8 * 1024;
/// Twin requests that may wait for their answer.
const MAX_ASKED: usize = 64;
/// The longest wait for the last bytes to be sent.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// This device closed it.
    #[error("closed by this side")]
    Ended,
    /// The hub closed it: another connection of this identity, an expired token, a removed
    /// identity, or a hub that stops.
    #[error("closed by the hub")]
    Closed,
    #[error("broken: {0}")]
    Broken(String),
    #[error("the hub is silent")]
    Silent,
    #[error("the hub broke the protocol: {0}")]
    Protocol(String),
    /// The application did not read its events.
    #[error("the application does not take its events")]
    NotRead,
}

/// The task of one connection. Nothing else reads its socket and the clock.
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

    /// Sends CONNECT and waits for CONNACK. The caller limits the time.
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

    /// Subscribes and waits for SUBACK. Returns the first filter that is refused. The
    /// caller limits the time.
    pub(super) async fn subscribe(&mut self, filters: Vec<String>) -> Result<Option<String>, Lost> {
        let filter = |filter: &String| SubscribeFilter {
            filter: filter.clone(),
            qos: QoS::AtLeastOnce,
        };
        let packet = self.session.subscribe(filters.iter().map(filter).collect());
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

    /// Runs until the connection ends. Returns the reason.
    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>) -> Lost {
        let lost = loop {
            if let Err(lost) = self.turn(&mut calls).await {
                break lost;
            }
        };
        if lost == Lost::Ended && self.send(&Packet::Disconnect).is_ok() {
            // The peer may not read the last bytes.
            let _ =
                tokio::time::timeout(FLUSH_WITHIN, pump(&mut self.writer, &mut self.unsent)).await;
        }
        let _ = tokio::time::timeout(FLUSH_WITHIN, self.writer.shutdown()).await;
        lost
    }

    /// Waits for one input and handles it.
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
        // Every arm is cancel-safe: reads and writes are all or nothing, and `recv` loses no call.
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

    /// Whether another twin request may wait. Requests of callers that have gone are dropped.
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

    /// The next event before the connection is accepted, when there are no calls yet.
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
}

/// Writes all bytes. Cancel-safe: written bytes leave `unsent` at once.
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
        // A process that has ended sends no close notification of TLS.
        std::io::ErrorKind::UnexpectedEof => Lost::Closed,
        _ => Lost::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
