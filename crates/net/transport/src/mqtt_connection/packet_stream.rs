//! A stream of MQTT packets in both directions, with its buffers and the deadlines of its bytes.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt::{DecodeError, Delivery, Millis, Packet, QoS, ServerSession, decode, encode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::device_session::{Close, Outgoing};
use crate::unproven::{InputLimitExceeded, TrackedConnection};

/// Bytes of a CONNECT with the longest user name and password, and a will.
const MAX_FIRST_PACKET: usize = 20 * 1024;
/// The time in which a packet that was begun must be complete, as long as its sender is unproven.
pub const PACKET_DEADLINE: Duration = Duration::from_secs(30);
/// The same for proven senders: 256 KB take more than a minute in slow networks.
const PROVEN_PACKET_DEADLINE: Duration = Duration::from_secs(180);
/// A client that has not read what was written by then is disconnected.
pub const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// The longest time for the last bytes of a connection.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes that may have arrived beyond a packet.
const FRAMING: usize = 48 * 1024;
/// Bytes of one read.
const READ: usize = 8 * 1024;

/// Why bytes did not become a packet.
pub enum ReadError {
    /// The client speaks another protocol level of MQTT, which has an answer of its own.
    ProtocolLevel,
    Closed(Close),
}

impl From<ReadError> for Close {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ProtocolLevel => {
                Self::new("protocol", "a second CONNECT, not of MQTT 3.1.1")
            }
            ReadError::Closed(close) => close,
        }
    }
}

impl From<Close> for ReadError {
    fn from(close: Close) -> Self {
        Self::Closed(close)
    }
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::Protocol { .. } => return Self::ProtocolLevel,
            DecodeError::TooLarge { .. } | DecodeError::TooLong { .. } => "packet_too_large",
            DecodeError::QoS2 => "qos_2",
            _ => "packet_malformed",
        };
        Self::Closed(Close::new(code, error.to_string()))
    }
}

/// The stream below a connection, with its buffers.
pub struct PacketStream<S> {
    stream: S,
    input: BytesMut,
    output: BytesMut,
    started: Instant,
    /// The most bytes of a packet.
    limit: usize,
    /// Since when the rest of a packet is awaited.
    begun: Option<Instant>,
    /// Whether nothing has arrived.
    silent: bool,
    /// Whether a write was begun and not finished. The client would not understand
    /// bytes that follow it.
    write_broken: bool,
    connection: TrackedConnection,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PacketStream<S> {
    pub fn new(stream: S, connection: TrackedConnection) -> Self {
        let mut packets = Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            started: Instant::now(),
            limit: 0,
            begun: None,
            silent: true,
            write_broken: false,
            connection,
        };
        packets.limit_packets(MAX_FIRST_PACKET);
        packets
    }

    /// Sets the most bytes of a packet, from now on.
    pub fn limit_packets(&mut self, bytes: usize) {
        self.limit = bytes;
        // The layers below may have read a part of the next packet, and have framing of their own.
        self.connection.limit_input(bytes + FRAMING);
    }

    pub fn connection(&self) -> &TrackedConnection {
        &self.connection
    }

    /// Whether the client has sent nothing.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// Milliseconds since the connection began: the clock of the session's state machine.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Bytes that are queued and not sent.
    pub fn waiting(&self) -> usize {
        self.output.len()
    }

    /// Whether bytes have arrived that are not handled.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// The next complete packet that has arrived.
    pub fn buffered(&mut self) -> Result<Option<Packet>, ReadError> {
        let packet = decode(&mut self.input, self.limit)?;
        if packet.is_some() {
            self.connection.consume_input(self.input.len());
        }
        if packet.is_some() || self.input.is_empty() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
        Ok(packet)
    }

    /// When the packet that was begun must be complete.
    pub fn complete_by(&self, proven: bool) -> Option<Instant> {
        let limit = match proven {
            true => PROVEN_PACKET_DEADLINE,
            false => PACKET_DEADLINE,
        };
        self.begun.map(|begun| begun + limit)
    }

    pub async fn read_packet(&mut self) -> Result<Packet, ReadError> {
        loop {
            if let Some(packet) = self.buffered()? {
                return Ok(packet);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes. An idle connection holds no read buffer.
    pub async fn fill(&mut self) -> Result<(), Close> {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        match poll_fn(|cx| self.poll_read(cx)).await {
            Ok(0) => Err(Close::new(
                "connection_lost",
                "the client closed the connection without a goodbye",
            )),
            Ok(_) => {
                self.silent = false;
                Ok(())
            }
            Err(error) => Err(broken(&error)),
        }
    }

    /// Appends what has arrived to the input; the number of bytes. The chunk is on the stack of
    /// this call: in a future it would be a part of every idle session.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut chunk = [MaybeUninit::uninit(); READ];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        self.input.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// Queues a packet for the next [`flush`](Self::flush).
    pub fn queue(&mut self, packet: &Packet) -> Result<(), Close> {
        encode(packet, &mut self.output)
            .map_err(|error| Close::new("failed", format!("a packet of ours: {error}")))
    }

    /// Queues a message of the service; returns how it is delivered. When the window is full, a
    /// message without a receipt is sent with QoS 0 rather than ending the session.
    pub fn push(
        &mut self,
        session: &mut ServerSession,
        message: Outgoing,
    ) -> Result<Delivery, Close> {
        let Outgoing {
            topic,
            payload,
            qos,
            receipt,
        } = message;
        let now = self.now();
        let published = session.publish(topic.clone(), payload.clone(), qos, now);
        let published = match (published, receipt) {
            (Err(_full), None) => session.publish(topic, payload, QoS::AtMostOnce, now),
            (published, _) => published,
        };
        let mut publish = published.map_err(|full| Close::new("failed", full.to_string()))?;
        if let (Delivery::AtLeastOnce { duplicate, .. }, Some(receipt)) =
            (&mut publish.delivery, receipt)
        {
            *duplicate = receipt.duplicate;
        }
        let delivery = publish.delivery;
        self.queue(&Packet::Publish(publish))?;
        Ok(delivery)
    }

    /// Sends what is queued. Not cancel-safe: after it is dropped nothing more can be sent.
    pub async fn flush(&mut self) -> Result<(), Close> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.write_broken = true;
        // Taken whole: what `split` leaves would hold the sent bytes.
        let bytes: Bytes = std::mem::take(&mut self.output).freeze();
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        let sent = tokio::time::timeout(SEND_DEADLINE, sent).await;
        let sent = sent.map_err(|_| Close::new("not_reading", "the client does not read"))?;
        sent.map_err(|error| broken(&error))?;
        self.write_broken = false;
        Ok(())
    }

    /// Sends what is queued, and closes the server's direction. A client that did not read what
    /// came before is not waited for again.
    pub async fn close(&mut self) {
        if self.write_broken {
            return;
        }
        let closing = async {
            self.flush().await?;
            let closed = self.stream.shutdown().await;
            closed.map_err(|error| broken(&error))
        };
        // After the deadline the stream is dropped as it is.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
    }
}

fn broken(error: &std::io::Error) -> Close {
    let cause = error.get_ref();
    if let Some(exceeded) = cause.and_then(|cause| cause.downcast_ref::<InputLimitExceeded>()) {
        return Close::new("sent_too_much", exceeded.to_string());
    }
    Close::new("connection_lost", format!("the connection broke: {error}"))
}
