use bytes::Bytes;

use crate::{ConnectReturnCode, Publish, QoS, SubscribeResult, Will};

/// A message that the server wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// How it is delivered.
    pub qos: QoS,
}

/// The server ends a connection, and why, for the log. MQTT 3.1.1 gives a server no way to tell the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Close {
    /// A stable name of the cause, for logs and programs.
    pub code: &'static str,
    /// One sentence.
    pub reason: String,
}

impl Close {
    /// Ends a connection for the cause `code`, which `reason` tells in words.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// DISCONNECT: the client said goodbye.
    #[error("the client said goodbye")]
    Disconnect,
    /// Without it.
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

/// A CONNECT that the application does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct ConnectRefused {
    /// What CONNACK says.
    pub code: ConnectReturnCode,
    /// Why, for the log; the client does not see it.
    pub reason: String,
}

impl ConnectRefused {
    /// Refuses with `code` for `reason`.
    pub fn new(code: ConnectReturnCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// What stands behind one accepted connection: a provisioning session or a hub session.
///
/// The loop that owns the socket calls these one at a time. It drops a pending [`next`](Self::next) whenever a packet comes in.
pub trait Application: Send {
    /// Most bytes of a packet that the client may send.
    fn max_packet(&self) -> usize;

    /// Whether the client has proved who it is. Until then it has no claim to the server's memory and time.
    fn is_proven(&self) -> bool;

    /// Resolves when the connection has to end, and tells why. It is asked for once, and waited for whatever else the connection
    /// does: also while the client takes no more messages, and before every packet of the client.
    fn closed(&self) -> impl Future<Output = Close> + Send + 'static;

    /// Answers one filter of a SUBSCRIBE.
    fn subscribe(&mut self, filter: &str, qos: QoS)
    -> impl Future<Output = SubscribeResult> + Send;

    /// One filter of an UNSUBSCRIBE.
    fn unsubscribe(&mut self, filter: &str) -> impl Future<Output = ()> + Send;

    /// Handles one PUBLISH. When it returns `Ok` the loop sends PUBACK (for QoS 1) first, then every packet in `replies`, in
    /// order; what the PUBACK promises must be done by then.
    ///
    /// # Errors
    /// To end the connection without an acknowledgement.
    fn publish(
        &mut self,
        publish: Publish,
        replies: &mut Vec<Outgoing>,
    ) -> impl Future<Output = Result<(), Close>> + Send;

    /// Resolves with the next message that the server itself wants to send; waited for only while the client has room for one.
    /// Cancel-safe: dropping the future loses no message.
    fn next(&mut self) -> impl Future<Output = Outgoing> + Send;

    /// The connection is over; `will` when it ended without DISCONNECT and the CONNECT left one.
    fn ended(self, how: Ending, will: Option<Will>) -> impl Future<Output = ()> + Send;
}
