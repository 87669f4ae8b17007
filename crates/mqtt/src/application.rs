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

/// The application ends a connection, and why, for the log. MQTT 3.1.1 gives a server no way to tell the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Close {
    /// One sentence.
    pub reason: String,
}

impl Close {
    /// Ends a connection for `reason`.
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
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

    /// Resolves with the next message that the server itself wants to send. Cancel-safe: dropping the future loses no message.
    ///
    /// # Errors
    /// To end the connection.
    fn next(&mut self) -> impl Future<Output = Result<Outgoing, Close>> + Send;

    /// The connection is over; `will` when it ended without DISCONNECT and the CONNECT left one.
    fn ended(self, will: Option<Will>) -> impl Future<Output = ()> + Send;
}
