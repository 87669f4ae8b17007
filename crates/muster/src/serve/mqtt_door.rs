//! The loop that owns an MQTT connection: bytes in, packets to the service that the CONNECT names, packets out.
//!
//! The user name of the CONNECT tells whether a device registers or talks to its hub; both stand behind the same trait, so this
//! file knows neither topics nor twins.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt::{
    Application, Close, ConnAck, Connect, ConnectRefused, ConnectReturnCode, DecodeError, Delivery,
    Millis, Outgoing, Packet, QoS, ServerEvent, ServerSession, SubAck, decode, encode,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;
use wire::username::Username;

use super::accept::Peer;
use super::front::Front;
use super::shutdown;

/// A telemetry message of 256 KB, its topic and its property bag.
const MAX_PACKET: usize = 300 * 1024;
/// A client that has not sent CONNECT by then is let go.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// A client that has not taken what was written by then is let go.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// Answers are sent at the latest when so many bytes of them wait.
const MAX_WAITING: usize = 64 * 1024;
/// Bytes that are asked of the socket at once.
const READ: usize = 8 * 1024;

/// Serves one connection until either side ends it.
pub async fn serve<S>(stream: S, peer: Peer, front: Front, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut wire = Wire {
        stream,
        input: BytesMut::new(),
        output: BytesMut::new(),
        started: Instant::now(),
    };
    metrics::gauge!("muster_mqtt_connections").increment(1);
    if let Err(close) = converse(&mut wire, peer, &front, stopping).await {
        tracing::debug!(reason = %close, "MQTT connection ended");
    }
    let _ = wire.flush().await;
    // A client that does not read would keep the goodbye, and with it the connection, waiting for ever.
    let _ = tokio::time::timeout(SEND_DEADLINE, wire.stream.shutdown()).await;
    metrics::gauge!("muster_mqtt_connections").decrement(1);
}

async fn converse<S>(
    wire: &mut Wire<S>,
    peer: Peer,
    front: &Front,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let first = tokio::select! {
        first = tokio::time::timeout(CONNECT_DEADLINE, wire.read_packet()) => first,
        () = shutdown::told(&mut stopping) => return Err(Close::because("the server is stopping")),
    };
    let connect = match first {
        Err(_) => return Err(Close::because("no CONNECT arrived in time")),
        Ok(Err(Broken::Version)) => {
            return refuse(wire, ConnectReturnCode::UnacceptableProtocolVersion).await;
        }
        Ok(Err(broken)) => return Err(broken.into()),
        Ok(Ok(Packet::Connect(connect))) => connect,
        Ok(Ok(other)) => {
            return Err(Close::because(format!(
                "{} came before CONNECT",
                other.name()
            )));
        }
    };
    match Username::parse(connect.username.as_deref().unwrap_or_default()) {
        Ok(Username::Provisioning(_)) => {
            let session = front.dps.mqtt(&connect, peer.chain.0);
            accept(wire, connect, session, stopping).await
        }
        Ok(Username::Hub(_)) => {
            let session = front.hub.mqtt(&connect, peer.chain.0).await;
            accept(wire, connect, session, stopping).await
        }
        Err(error) => {
            tracing::info!(client.id = %connect.client_id, error = %error, "MQTT CONNECT refused");
            refuse(wire, ConnectReturnCode::BadUserNameOrPassword).await
        }
    }
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

async fn accept<S, A>(
    wire: &mut Wire<S>,
    connect: Connect,
    session: Result<A, ConnectRefused>,
    stopping: watch::Receiver<bool>,
) -> Result<(), Close>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    A: Application,
{
    let mut application = match session {
        Ok(application) => application,
        Err(refused) => {
            tracing::info!(client.id = %connect.client_id, reason = %refused.reason, "MQTT CONNECT refused");
            return refuse(wire, refused.code).await;
        }
    };
    wire.queue(&Packet::ConnAck(ConnAck {
        session_present: false,
        code: ConnectReturnCode::Accepted,
    }))?;
    let mut session = ServerSession::new(&connect, wire.now());
    let ended = talk(wire, &mut session, &mut application, stopping).await;
    let graceful = matches!(ended, Ok(Goodbye::ByClient));
    application.ended(connect.will.filter(|_| !graceful)).await;
    ended.map(|_| ())
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
    A: Application,
{
    let mut replies = Vec::new();
    loop {
        // What has arrived is answered with one write, unless the answers are much longer than the questions.
        while let Some(packet) = wire.buffered()? {
            if handle(wire, session, application, packet, &mut replies).await? {
                return Ok(Goodbye::ByClient);
            }
            if wire.output.len() >= MAX_WAITING {
                wire.flush().await?;
            }
        }
        wire.flush().await?;
        let deadline = wire.started + Duration::from_millis(session.deadline().0);
        // Cancel-safe: `fill` takes bytes only when it completes, `next` promises to lose nothing, timers hold no state.
        tokio::select! {
            filled = wire.fill() => filled?,
            pushed = application.next(), if session.can_publish() => wire.push(session, pushed?)?,
            () = tokio::time::sleep_until(deadline) => return Err(Close::because("the client's keep-alive ran out")),
            () = shutdown::told(&mut stopping) => return Ok(Goodbye::ByServer),
        }
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
    A: Application,
{
    let now = wire.now();
    match session
        .receive(packet, now)
        .map_err(|e| Close::because(e.to_string()))?
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
    Other(String),
}

impl From<Broken> for Close {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Version => Self::because("the client does not speak MQTT 3.1.1"),
            Broken::Other(reason) => Self::because(reason),
        }
    }
}

impl From<Close> for Broken {
    fn from(close: Close) -> Self {
        Self::Other(close.reason)
    }
}

/// The socket with its buffers.
struct Wire<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    started: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Milliseconds since the connection began: the clock that the session state machine counts by.
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The next packet that has arrived whole.
    fn buffered(&mut self) -> Result<Option<Packet>, Broken> {
        match decode(&mut self.input, MAX_PACKET) {
            Ok(packet) => Ok(packet),
            Err(DecodeError::Protocol { .. }) => Err(Broken::Version),
            Err(error) => Err(Broken::Other(format!("malformed MQTT: {error}"))),
        }
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
            Ok(0) => Err(Close::because("the client closed the connection")),
            Ok(length) => {
                self.input.extend_from_slice(&chunk[..length]);
                Ok(())
            }
            Err(error) => Err(Close::because(format!("the connection broke: {error}"))),
        }
    }

    fn queue(&mut self, packet: &Packet) -> Result<(), Close> {
        encode(packet, &mut self.output)
            .map_err(|error| Close::because(format!("a packet of ours: {error}")))
    }

    /// Queues a message of the server; over a full window it goes out at QoS 0 rather than ending the session.
    fn push(&mut self, session: &mut ServerSession, message: Outgoing) -> Result<(), Close> {
        let Outgoing {
            topic,
            payload,
            qos,
        } = message;
        let packet = session
            .publish(topic.clone(), payload.clone(), qos)
            .or_else(|_full| session.publish(topic, payload, QoS::AtMostOnce))
            .map_err(|full| Close::because(full.to_string()))?;
        self.queue(&packet)
    }

    async fn flush(&mut self) -> Result<(), Close> {
        if self.output.is_empty() {
            return Ok(());
        }
        let bytes: Bytes = self.output.split().freeze();
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(SEND_DEADLINE, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Close::because(format!("the connection broke: {error}"))),
            Err(_) => Err(Close::because("the client does not read")),
        }
    }
}

#[cfg(test)]
pub mod tests;
