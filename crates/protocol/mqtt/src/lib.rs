//! MQTT 3.1.1 without sockets: packets, their bytes, and the state machines of both
//! ends of a connection.
//!
//! Knows no topic of ours and performs no I/O, so that everything in here is tested with plain
//! values. The server's loop and the device's loop own the socket, the clock and the timers; they
//! ask this crate what bytes mean and what must be sent next. Standard: MQTT Version 3.1.1, OASIS
//! Standard, 29 October 2014. QoS 2 is left out, as IoT hubs do.

#![warn(missing_docs)]

mod packet;

mod codec;

mod session;

pub use codec::{DecodeError, EncodeError, decode, encode};
pub use codec::{MAX_CLIENT_ID, MAX_CREDENTIAL, MAX_FILTER, MAX_FILTERS, MAX_TOPIC};
pub use packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will,
};
pub use session::{
    ClientEvent, ClientSession, ClientTimer, Millis, Overdue, ProtocolError, ServerEvent,
    ServerSession, SessionLimits, WindowFull,
};
