//! The loop that owns an MQTT connection: bytes in, packets to the service that the CONNECT names, packets out.
//!
//! The user name of the CONNECT tells whether a device registers or talks to its hub; both stand behind the same trait, so this
//! file knows neither topics nor twins.

use std::future::pending;
use std::time::Duration;

use crate::device_session::{Close, DeviceSession, Ending, Outgoing};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use mqtt::{
    ConnAck, Connect, ConnectReturnCode, DecodeError, Delivery, Millis, Overdue, Packet, QoS,
    ServerEvent, ServerSession, SubAck, decode, encode,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::accept::{Peer, TooMuch, Visit};
use crate::service::DeviceService;
use crate::shutdown;

/// CONNECT with the longest user name and password, and a will.
const MAX_FIRST_PACKET: usize = 20 * 1024;
/// A client that has not sent CONNECT by then is let go.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// A packet that was begun has to be whole by then, as long as its sender has proved nothing.
const PACKET_DEADLINE: Duration = Duration::from_secs(30);
/// The same of those who have: 256 KB take a minute and more in slow networks.
const PROVEN_PACKET_DEADLINE: Duration = Duration::from_secs(180);
/// A client that has not taken what was written by then is let go.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// How long the last words of a connection may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// Answers are sent at the latest when so many bytes of them wait.
const MAX_WAITING: usize = 64 * 1024;
/// Bytes that may have arrived beyond a packet.
const FRAMING: usize = 48 * 1024;
/// Bytes that are asked of the socket at once.
const READ: usize = 8 * 1024;

/// Serves one connection until either side ends it.
pub async fn serve<S, A>(stream: S, peer: Peer, services: A, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceService,
{
    let address = peer.address;
    let mut wire = Wire::new(stream, peer.visit.clone());
    let _counted = Counted::new();
    if let Err(close) = converse(&mut wire, peer, &services, stopping).await {
        // Who has said nothing was only looking whether somebody listens.
        if wire.silent {
            tracing::debug!(client.address = %address, reason.code = close.code, "an MQTT connection ended: {close}");
        } else {
            tracing::info!(client.address = %address, reason.code = close.code, "an MQTT connection ended before it was accepted: {close}");
        }
    }
    wire.say_goodbye().await;
}

/// One of the connections that are counted. It also ends with a connection that is dropped to make room.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("muster_mqtt_connections").increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("muster_mqtt_connections").decrement(1);
    }
}

/// # Errors
/// When the connection ended before a session began.
async fn converse<S, A>(
    wire: &mut Wire<S>,
    peer: Peer,
    services: &A,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceService,
{
    let first = tokio::select! {
        first = tokio::time::timeout(CONNECT_DEADLINE, wire.read_packet()) => first,
        () = shutdown::told(&mut stopping) => return Err(server_stops()),
    };
    let connect = match first {
        Err(_) => return Err(Close::new("connect_absent", "no CONNECT arrived in time")),
        Ok(Err(Broken::Version)) => {
            return refuse(wire, ConnectReturnCode::UnacceptableProtocolVersion).await;
        }
        Ok(Err(Broken::Closed(close))) => return Err(close),
        Ok(Ok(Packet::Connect(connect))) => connect,
        Ok(Ok(other)) => {
            let reason = format!("{} came before CONNECT", other.name());
            return Err(Close::new("protocol", reason));
        }
    };
    let address = peer.address;
    let refused = match services.connect(&connect, peer).await {
        Ok(session) => return accept(wire, connect, session, stopping).await,
        Err(refused) => refused,
    };
    tracing::info!(
        client.id = %connect.client_id,
        client.address = %address,
        reason.code = refused.code.code(),
        "the MQTT connection of {:?} was refused: {}",
        connect.client_id,
        refused.reason,
    );
    refuse(wire, refused.code).await
}

fn server_stops() -> Close {
    Close::new("server_stopping", "the server is stopping")
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    code: ConnectReturnCode,
) -> Result<(), Close> {
    wire.queue(&Packet::ConnAck(ConnAck {
        session_present: false,
        code,
    }))?;
    wire.flush().await
}

/// Runs an accepted session to its end.
async fn accept<S, A>(
    wire: &mut Wire<S>,
    connect: Connect,
    mut application: A,
    stopping: watch::Receiver<bool>,
) -> Result<(), Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceSession,
{
    wire.queue(&Packet::ConnAck(ConnAck {
        session_present: false,
        code: ConnectReturnCode::Accepted,
    }))?;
    let mut session = ServerSession::new(&connect, wire.now());
    wire.accept_packets_of(application.max_packet());
    let how = match talk(wire, &mut session, &mut application, stopping).await {
        Ok(Goodbye::ByClient) => Ending::Disconnect,
        Ok(Goodbye::ByServer) => Ending::Closed(server_stops()),
        Err(close) => Ending::Closed(close),
    };
    metrics::counter!("muster_mqtt_sessions_ended_total", "reason" => how.code()).increment(1);
    let will = connect.will.filter(|_| how != Ending::Disconnect);
    application.ended(how, will).await;
    Ok(())
}

/// How a session ended without a fault.
enum Goodbye {
    /// DISCONNECT.
    ByClient,
    /// The server is shutting down.
    ByServer,
}

async fn talk<S, A>(
    wire: &mut Wire<S>,
    session: &mut ServerSession,
    application: &mut A,
    mut stopping: watch::Receiver<bool>,
) -> Result<Goodbye, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceSession,
{
    let mut replies = Vec::new();
    let mut closed = std::pin::pin!(application.closed());
    // The deadline over which the socket was read once more.
    let mut read_late = None;
    loop {
        // What has arrived is answered with one write, unless the answers are much longer than the questions.
        while let Some(packet) = wire.buffered()? {
            // What a session does after it was to end is not done, however much of it is here already.
            if let Some(close) = closed.as_mut().now_or_never() {
                return Err(close);
            }
            if handle(wire, session, application, packet, &mut replies).await? {
                return Ok(Goodbye::ByClient);
            }
            if application.is_proven() {
                wire.visit.prove_if_there_is_room();
            }
            if wire.output.len() >= MAX_WAITING {
                wire.flush().await?;
            }
        }
        // A flush that is broken off is not gone on with: the connection ends.
        tokio::select! {
            biased;
            close = closed.as_mut() => return Err(close),
            flushed = wire.flush() => flushed?,
        }
        let (due, omission) = session.deadline();
        let due = wire.started + Duration::from_millis(due.0);
        let whole_by = wire.whole_by(application.is_proven());
        // Cancel-safe: `fill` takes bytes only when it completes, `next` promises to lose nothing, the others only wait.
        tokio::select! {
            close = closed.as_mut() => return Err(close),
            () = shutdown::told(&mut stopping) => return Ok(Goodbye::ByServer),
            filled = wire.fill() => filled?,
            pushed = application.next(), if session.can_publish() => wire.push(session, pushed)?,
            () = tokio::time::sleep_until(due) => {
                // What the client has sent meanwhile counts, once: the storage may have been waited for since it was last read.
                match wire.fill().now_or_never().filter(|_| read_late != Some(due)) {
                    Some(filled) => filled?,
                    None => return Err(overdue(omission)),
                }
                read_late = Some(due);
            }
            () = reached(whole_by) => return Err(Close::new("packet_unfinished", "a packet was begun and not finished in time")),
        }
    }
}

/// Waits until a moment, if there is one.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

fn overdue(omission: Overdue) -> Close {
    match omission {
        Overdue::KeepAlive => Close::new("keep_alive", "the client's keep-alive ran out"),
        Overdue::Acknowledgement => Close::new(
            "unacknowledged",
            "the client did not acknowledge a message in time",
        ),
    }
}

/// Handles one packet; true when the client said goodbye.
async fn handle<S, A>(
    wire: &mut Wire<S>,
    session: &mut ServerSession,
    application: &mut A,
    packet: Packet,
    replies: &mut Vec<Outgoing>,
) -> Result<bool, Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: DeviceSession,
{
    let now = wire.now();
    match session
        .receive(packet, now)
        .map_err(|error| Close::new("protocol", error.to_string()))?
    {
        ServerEvent::Publish(publish) => {
            let delivery = publish.delivery;
            application.publish(publish, replies).await?;
            if let Delivery::AtLeastOnce { id, .. } = delivery {
                wire.queue(&session.acknowledge(id))?;
            }
            for reply in replies.drain(..) {
                wire.push(session, reply)?;
            }
        }
        ServerEvent::Subscribe(subscribe) => {
            let mut results = Vec::with_capacity(subscribe.filters.len());
            for filter in &subscribe.filters {
                results.push(application.subscribe(&filter.filter, filter.qos).await);
            }
            wire.queue(&Packet::SubAck(SubAck {
                id: subscribe.id,
                results,
            }))?;
        }
        ServerEvent::Unsubscribe(unsubscribe) => {
            for filter in &unsubscribe.filters {
                application.unsubscribe(filter).await;
            }
            wire.queue(&Packet::UnsubAck(unsubscribe.id))?;
        }
        ServerEvent::Reply(packet) => wire.queue(&packet)?,
        ServerEvent::Delivered(_) | ServerEvent::Ignored => {}
        ServerEvent::Disconnect => return Ok(true),
    }
    Ok(false)
}

/// Why bytes did not become a packet.
enum Broken {
    /// The client speaks another level of MQTT, which has an answer of its own.
    Version,
    Closed(Close),
}

impl From<Broken> for Close {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Version => Self::new("protocol", "a second CONNECT, not of MQTT 3.1.1"),
            Broken::Closed(close) => close,
        }
    }
}

impl From<Close> for Broken {
    fn from(close: Close) -> Self {
        Self::Closed(close)
    }
}

impl From<DecodeError> for Broken {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::Protocol { .. } => return Self::Version,
            DecodeError::TooLarge { .. } | DecodeError::TooLong { .. } => "packet_too_large",
            DecodeError::QoS2 => "qos_2",
            _ => "packet_malformed",
        };
        Self::Closed(Close::new(code, error.to_string()))
    }
}

/// The socket with its buffers.
struct Wire<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    started: Instant,
    /// Most bytes of a packet.
    limit: usize,
    /// Since when the rest of a packet is awaited.
    begun: Option<Instant>,
    /// Whether nothing has arrived.
    silent: bool,
    /// Whether a write was begun and not finished: nothing that is written after it would be understood.
    torn: bool,
    visit: Visit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn new(stream: S, visit: Visit) -> Self {
        let mut wire = Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            started: Instant::now(),
            limit: 0,
            begun: None,
            silent: true,
            torn: false,
            visit,
        };
        wire.accept_packets_of(MAX_FIRST_PACKET);
        wire
    }

    /// Packets may have so many bytes from now on.
    fn accept_packets_of(&mut self, bytes: usize) {
        self.limit = bytes;
        // What is below this may have read a little of the next packet, and have frames of its own.
        self.visit.limit_input(bytes + FRAMING);
    }

    /// Milliseconds since the connection began: the clock that the session state machine counts by.
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The next packet that has arrived whole.
    fn buffered(&mut self) -> Result<Option<Packet>, Broken> {
        let packet = decode(&mut self.input, self.limit)?;
        if packet.is_some() {
            self.visit.taken_but(self.input.len());
        }
        if packet.is_some() || self.input.is_empty() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
        Ok(packet)
    }

    /// When the packet that was begun has to be whole.
    fn whole_by(&self, proven: bool) -> Option<Instant> {
        let limit = match proven {
            true => PROVEN_PACKET_DEADLINE,
            false => PACKET_DEADLINE,
        };
        self.begun.map(|begun| begun + limit)
    }

    async fn read_packet(&mut self) -> Result<Packet, Broken> {
        loop {
            if let Some(packet) = self.buffered()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes. An idle connection holds no read buffer.
    async fn fill(&mut self) -> Result<(), Close> {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let mut chunk = [0; READ];
        match self.stream.read(&mut chunk).await {
            Ok(0) => Err(Close::new(
                "connection_lost",
                "the client closed the connection without a goodbye",
            )),
            Ok(length) => {
                self.silent = false;
                self.input.extend_from_slice(&chunk[..length]);
                Ok(())
            }
            Err(error) => Err(broke(&error)),
        }
    }

    fn queue(&mut self, packet: &Packet) -> Result<(), Close> {
        encode(packet, &mut self.output)
            .map_err(|error| Close::new("failed", format!("a packet of ours: {error}")))
    }

    /// Queues a message of the server; over a full window it goes out at QoS 0 rather than ending the session.
    fn push(&mut self, session: &mut ServerSession, message: Outgoing) -> Result<(), Close> {
        let Outgoing {
            topic,
            payload,
            qos,
        } = message;
        let now = self.now();
        let packet = session
            .publish(topic.clone(), payload.clone(), qos, now)
            .or_else(|_full| session.publish(topic, payload, QoS::AtMostOnce, now))
            .map_err(|full| Close::new("failed", full.to_string()))?;
        self.queue(&packet)
    }

    async fn flush(&mut self) -> Result<(), Close> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.torn = true;
        let bytes: Bytes = self.output.split().freeze();
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        let sent = tokio::time::timeout(SEND_DEADLINE, sent).await;
        let sent = sent.map_err(|_| Close::new("not_reading", "the client does not read"))?;
        sent.map_err(|error| broke(&error))?;
        self.torn = false;
        Ok(())
    }

    /// Sends what is left to be said, and that it was the last. A client that did not take what came before is not waited for again.
    async fn say_goodbye(&mut self) {
        if self.torn {
            return;
        }
        let goodbye = async {
            self.flush().await?;
            self.stream.shutdown().await.map_err(|error| broke(&error))
        };
        // Too late is as good as done.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

fn broke(error: &std::io::Error) -> Close {
    if let Some(much) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TooMuch>())
    {
        return Close::new("sent_too_much", much.to_string());
    }
    Close::new("connection_lost", format!("the connection broke: {error}"))
}

#[cfg(test)]
pub mod tests;
