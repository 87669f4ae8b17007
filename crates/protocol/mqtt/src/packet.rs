use std::num::NonZeroU16;

use bytes::Bytes;

/// Identifies a packet that expects an answer, within one direction of one connection. Never zero.
pub type PacketId = NonZeroU16;

/// Quality of service. "Exactly once" does not exist here: a PUBLISH with it is refused, a
/// subscription asking for it gets QoS 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QoS {
    /// 0: sent and forgotten.
    AtMostOnce,
    /// 1: answered by PUBACK.
    AtLeastOnce,
}

/// One control packet of MQTT 3.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The client's first packet.
    Connect(Connect),
    /// The server's answer to it.
    ConnAck(ConnAck),
    /// A message, either way.
    Publish(Publish),
    /// Answers a QoS 1 message.
    PubAck(PacketId),
    /// The client asks for topics.
    Subscribe(Subscribe),
    /// One result for each filter of a SUBSCRIBE.
    SubAck(SubAck),
    /// The client gives topics up.
    Unsubscribe(Unsubscribe),
    /// The server answers the UNSUBSCRIBE with this packet id.
    UnsubAck(PacketId),
    /// The client is alive.
    PingReq,
    /// So is the server.
    PingResp,
    /// The client ends the connection in good order; its will is not published.
    Disconnect,
}

impl Packet {
    /// The packet's name in the standard, for messages and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "CONNECT",
            Self::ConnAck(_) => "CONNACK",
            Self::Publish(_) => "PUBLISH",
            Self::PubAck(_) => "PUBACK",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::SubAck(_) => "SUBACK",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::UnsubAck(_) => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
        }
    }
}

/// What a client says of itself first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Its name; may be empty, which the application refuses if it needs one.
    pub client_id: String,
    /// Whether an earlier session of the same name is to be forgotten.
    pub clean_session: bool,
    /// Longest silence between two of its packets, seconds; 0 promises nothing.
    pub keep_alive: u16,
    /// A message to publish when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// The user name, if one was sent.
    pub username: Option<String>,
    /// Password; only ever sent together with a user name.
    pub password: Option<Password>,
}

/// A password as it was sent. Shown as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Bytes);

impl Password {
    /// Wraps the bytes of a password.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they were sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The message that a client leaves for the case that it vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// The topic that the will is published to.
    pub topic: String,
    /// The payload of the will.
    pub payload: Bytes,
    /// The quality of service of the will.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
}

/// The answer to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server remembers an earlier session; always false in a refusal.
    pub session_present: bool,
    /// Accepted, or why not.
    pub code: ConnectReturnCode,
}

/// Table 3.1 of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectReturnCode {
    /// Code 0: the connection is accepted.
    Accepted,
    /// 1: the server does not speak this level of the protocol.
    UnacceptableProtocolVersion,
    /// 2: the client id is well formed but not allowed.
    IdentifierRejected,
    /// 3: try again later.
    ServerUnavailable,
    /// 4: user name or password is malformed or wrong.
    BadUserNameOrPassword,
    /// 5: the client may not connect.
    NotAuthorized,
}

impl ConnectReturnCode {
    const ALL: [Self; 6] = [
        Self::Accepted,
        Self::UnacceptableProtocolVersion,
        Self::IdentifierRejected,
        Self::ServerUnavailable,
        Self::BadUserNameOrPassword,
        Self::NotAuthorized,
    ];

    /// The byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code that a byte stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl std::fmt::Display for ConnectReturnCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::UnacceptableProtocolVersion => "unacceptable protocol version",
            Self::IdentifierRejected => "client id rejected",
            Self::ServerUnavailable => "server unavailable",
            Self::BadUserNameOrPassword => "bad user name or password",
            Self::NotAuthorized => "not authorized",
        })
    }
}

/// The packet PUBLISH: a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where it goes. Hub device ids may hold `+` and `#`, so a topic name may, against the
    /// letter of the standard.
    pub topic: String,
    /// The payload, which may be any bytes.
    pub payload: Bytes,
    /// Whether the sender asks the server to retain it.
    pub retain: bool,
    /// Whether it is to be acknowledged.
    pub delivery: Delivery,
}

impl Publish {
    /// The quality of service that its delivery amounts to.
    #[must_use]
    pub fn qos(&self) -> QoS {
        match self.delivery {
            Delivery::AtMostOnce => QoS::AtMostOnce,
            Delivery::AtLeastOnce { .. } => QoS::AtLeastOnce,
        }
    }
}

/// The quality of service of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0: no acknowledgement.
    AtMostOnce,
    /// QoS 1: acknowledged with PUBACK.
    AtLeastOnce {
        /// The id that PUBACK repeats.
        id: PacketId,
        /// Whether the sender sent it before.
        duplicate: bool,
    },
}

/// The packet SUBSCRIBE: filters of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// The id that SUBACK repeats.
    pub id: PacketId,
    /// One entry or more, in order.
    pub filters: Vec<SubscribeFilter>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeFilter {
    /// The filter, with wildcards.
    pub filter: String,
    /// The highest QoS the client wants; asking for 2 reads as 1.
    pub qos: QoS,
}

/// The answer to SUBSCRIBE: one result for each filter, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// The SUBSCRIBE it answers.
    pub id: PacketId,
    /// One entry or more, in order.
    pub results: Vec<SubscribeResult>,
}

/// The result of one filter of a SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeResult {
    /// Messages will come with at most this QoS.
    Granted(QoS),
    /// 0x80: there is no such topic for this client.
    Refused,
}

/// Topics a client gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// The id that UNSUBACK repeats.
    pub id: PacketId,
    /// One entry or more, in order.
    pub filters: Vec<String>,
}
