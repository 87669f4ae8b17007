//! What stands behind one accepted connection of a device, whatever protocol it speaks below MQTT.

use bytes::Bytes;
use mqtt::{ConnectReturnCode, Publish, QoS, SubscribeResult, Will};

/// A message from the server to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic, without wildcards.
    pub topic: String,
    /// The body, not interpreted.
    pub payload: Bytes,
    /// The quality of service that the client subscribed with.
    pub qos: QoS,
    /// For a message whose service asks whether the client has it.
    pub receipt: Option<Receipt>,
}

/// Asks for [`DeviceSession::delivered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The service's number of the message.
    pub number: i64,
    /// Whether an earlier session may have sent the message: it is marked as a duplicate.
    pub duplicate: bool,
}

/// The first of several messages that could not be kept; the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKept {
    /// The number of messages before it, which are kept.
    pub before: usize,
    /// Why the connection has to end.
    pub close: Close,
}

/// Why the server ends a connection. For the log only: MQTT 3.1.1 has no message that would say
/// it to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Close {
    /// A stable name of the cause, for logs and programs.
    pub code: &'static str,
    /// The reason in one sentence.
    pub reason: String,
}

impl Close {
    /// Ends a connection with the stable name `code` and a sentence.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// The way in which a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The client sent DISCONNECT.
    #[error("the client said goodbye")]
    Disconnect,
    /// The connection ended without DISCONNECT.
    #[error(transparent)]
    Closed(#[from] Close),
}

impl Ending {
    /// A stable name of the cause, for logs and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Closed(close) => close.code,
        }
    }
}

/// A CONNECT that the service does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct ConnectRefused {
    /// The return code of CONNACK.
    pub code: ConnectReturnCode,
    /// The reason, for the log; the client does not see it.
    pub reason: String,
}

impl ConnectRefused {
    /// Refuses with the return code `code`; `reason` is for the log.
    pub fn new(code: ConnectReturnCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// A service's side of one accepted connection.
///
/// The loop that owns the socket calls these one at a time. It drops a pending [`next`](Self::next)
/// whenever a packet arrives.
pub trait DeviceSession: Send {
    /// The longest packet that the client may send, in bytes.
    fn max_packet(&self) -> usize;

    /// Whether the client has proved its identity. Until then its share of memory
    /// and time is small.
    fn is_proven(&self) -> bool;

    /// Resolves with the reason when the connection has to end. The loop asks for it once and polls
    /// it before every packet of the client and while the client does not read.
    fn closed(&self) -> impl Future<Output = Close> + Send + 'static;

    /// Answers one filter of a SUBSCRIBE.
    fn subscribe(&mut self, filter: &str, qos: QoS)
    -> impl Future<Output = SubscribeResult> + Send;

    /// Handles one filter of an UNSUBSCRIBE.
    fn unsubscribe(&mut self, filter: &str) -> impl Future<Output = ()> + Send;

    /// Handles one PUBLISH. After `Ok` the loop sends PUBACK (for QoS 1) and then every packet of
    /// `replies`, in order. What PUBACK promises must be done when this returns.
    /// An error ends the connection without an acknowledgement.
    fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> impl Future<Output = Result<(), Close>> + Send;

    /// Whether a message is kept by [`keep`](Self::keep), together with those that follow it, and
    /// has no reply. Every other one goes to [`publish`](Self::publish).
    fn keeps(&self, _message: &Publish) -> bool {
        false
    }

    /// Keeps messages in their order. What PUBACK promises must be done when this returns. A session
    /// that [`keeps`](Self::keeps) none has none to keep, and acknowledges none.
    fn keep(
        &mut self,
        _messages: Vec<Publish>,
    ) -> impl Future<Output = Result<(), NotKept>> + Send {
        let close = Close::new("failed", "this session keeps no messages");
        std::future::ready(Err(NotKept { before: 0, close }))
    }

    /// Whether the service remembers an earlier session of the client, for CONNACK.
    fn session_present(&self) -> bool;

    /// The client has the message with this [receipt](Receipt::number): it acknowledged the message,
    /// or a message of QoS 0 was written to the connection.
    fn delivered(&mut self, number: i64);

    /// Resolves with the next message that the server sends by itself; polled only while the client
    /// has room for one. Cancel-safe: dropping the future loses no message.
    fn next(&mut self) -> impl Future<Output = Outgoing> + Send;

    /// The connection has ended. `will` is that of the CONNECT when it ended without DISCONNECT.
    fn ended(self, how: Ending, will: Option<Will>) -> impl Future<Output = ()> + Send;
}
