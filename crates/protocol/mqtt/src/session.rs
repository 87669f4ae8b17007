mod client;
mod flight;
mod server;

pub use client::{ClientEvent, ClientSession, ClientTimer};
pub use flight::WindowFull;
pub use server::{Overdue, ServerEvent, ServerSession};

/// A moment of a clock that only goes forward, in milliseconds since any fixed moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// How much one connection may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// QoS 1 messages of the peer that are not acknowledged yet.
    pub incoming: usize,
    /// QoS 1 messages of ours that the peer has not acknowledged yet.
    pub outgoing: usize,
    /// Longest keep-alive interval granted, seconds, before the factor 1.5.
    pub keep_alive: u16,
}

impl Default for SessionLimits {
    /// 64 either way, and IoT Hub's 1178 s (1.5 times which is its 29.45 minutes).
    fn default() -> Self {
        Self {
            incoming: 64,
            outgoing: 64,
            keep_alive: 1178,
        }
    }
}

/// The peer broke the protocol; the connection has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A packet that this side never receives, or not in this state.
    #[error("{0} is not expected here")]
    Unexpected(&'static str),
    /// More QoS 1 messages than allowed before the first was acknowledged.
    #[error("more than {0} messages are waiting for their acknowledgement")]
    TooManyIncoming(usize),
    /// The answer to a SUBSCRIBE has another number of results than it had
    /// filters, or answers none.
    #[error("a SUBACK that answers no SUBSCRIBE")]
    UnmatchedSubAck,
}
