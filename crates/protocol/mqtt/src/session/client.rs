use std::collections::HashMap;

use bytes::Bytes;

use super::flight::{Inbox, Outbox, Receipt};
use super::server::outgoing_publish;
use crate::{
    ConnectReturnCode, Millis, Packet, PacketId, ProtocolError, Publish, QoS, SessionLimits,
    Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, WindowFull,
};

/// Longest wait for the answer to a PINGREQ, milliseconds.
const PONG_WITHIN: u64 = 30_000;

/// Nobody asks the device's side how long its packets have waited: whether the server lives is
/// found out with pings.
const UNTIMED: Millis = Millis(0);

/// What a packet of the server tells the device's loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The server accepted the connection.
    Accepted {
        /// Whether the server remembers an earlier session.
        session_present: bool,
    },
    /// The server does not want this client; it closes the connection.
    Refused(ConnectReturnCode),
    /// Handle a message; for QoS 1 send [`ClientSession::acknowledge`] afterwards.
    Publish(Publish),
    /// The server has the QoS 1 message of this id.
    Delivered(PacketId),
    /// One result for each filter of the SUBSCRIBE of this id.
    Subscribed(PacketId, Vec<SubscribeResult>),
    /// The UNSUBSCRIBE of this id is done.
    Unsubscribed(PacketId),
    /// The caller has nothing to do.
    Ignored,
}

/// What the client's timer has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTimer {
    /// Nothing before this moment.
    Wait(Millis),
    /// Send this packet now and ask again.
    Send(Packet),
    /// The server does not answer; close the connection.
    Dead,
}

/// The device's side of one connection, from the moment that CONNECT is sent.
#[derive(Debug)]
pub struct ClientSession {
    incoming: Inbox,
    outgoing: Outbox,
    /// SUBSCRIBEs that wait for their SUBACK: how many filters each had.
    subscribing: HashMap<PacketId, usize>,
    /// Milliseconds between two pings.
    ping_every: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// CONNECT is sent; CONNACK has to come before this moment.
    Connecting(Millis),
    /// Next ping at this moment.
    Quiet(Millis),
    /// A ping is out; its answer has to come before this moment.
    Pinged(Millis),
}

impl ClientSession {
    /// Starts when CONNECT is sent. `keep_alive` is what it promises, seconds; 0 is taken as the
    /// longest that the limits allow.
    #[must_use]
    pub fn new(keep_alive: u16, limits: SessionLimits, now: Millis) -> Self {
        let seconds = match keep_alive {
            0 => limits.keep_alive,
            promised => promised.min(limits.keep_alive),
        };
        Self {
            incoming: Inbox::new(limits.incoming),
            outgoing: Outbox::new(limits.outgoing),
            subscribing: HashMap::new(),
            // Three quarters, so that a slow network does not break the promise.
            ping_every: u64::from(seconds) * 750,
            state: State::Connecting(now.plus(PONG_WITHIN)),
        }
    }

    /// Takes in one packet of the server.
    ///
    /// # Errors
    /// When the server broke the protocol.
    pub fn receive(&mut self, packet: Packet, now: Millis) -> Result<ClientEvent, ProtocolError> {
        match (self.state, &packet) {
            (State::Connecting(_), Packet::ConnAck(ack)) => {
                self.state = State::Quiet(now.plus(self.ping_every));
                return Ok(match ack.code {
                    ConnectReturnCode::Accepted => ClientEvent::Accepted {
                        session_present: ack.session_present,
                    },
                    code => ClientEvent::Refused(code),
                });
            }
            (State::Connecting(_), other) => return Err(ProtocolError::Unexpected(other.name())),
            (State::Pinged(_), Packet::PingResp) => {
                self.state = State::Quiet(now.plus(self.ping_every));
            }
            _ => {}
        }
        self.receive_connected(packet)
    }

    fn receive_connected(&mut self, packet: Packet) -> Result<ClientEvent, ProtocolError> {
        Ok(match packet {
            Packet::Publish(publish) => match self.incoming.receive(&publish)? {
                Receipt::New => ClientEvent::Publish(publish),
                Receipt::Repeated => ClientEvent::Ignored,
            },
            Packet::PubAck(id) if self.outgoing.close(id) => ClientEvent::Delivered(id),
            Packet::SubAck(ack) => {
                let expected = self.subscribing.remove(&ack.id);
                self.outgoing.close(ack.id);
                if expected != Some(ack.results.len()) {
                    return Err(ProtocolError::UnmatchedSubAck);
                }
                ClientEvent::Subscribed(ack.id, ack.results)
            }
            Packet::UnsubAck(id) if self.outgoing.close(id) => ClientEvent::Unsubscribed(id),
            Packet::PubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => ClientEvent::Ignored,
            other @ (Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect) => return Err(ProtocolError::Unexpected(other.name())),
        })
    }

    /// The PUBACK of a message that [`ClientEvent::Publish`] delivered.
    pub fn acknowledge(&mut self, id: PacketId) -> Packet {
        self.incoming.acknowledge(id);
        Packet::PubAck(id)
    }

    /// Whether a QoS 1 message, SUBSCRIBE or UNSUBSCRIBE may be sent now.
    #[must_use]
    pub fn can_send(&self) -> bool {
        !self.outgoing.is_full()
    }

    /// The PUBLISH for a message of the device; QoS 1 gets the next free id.
    ///
    /// # Errors
    /// When the server has too many packets unacknowledged.
    pub fn publish(
        &mut self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        qos: QoS,
    ) -> Result<Packet, WindowFull> {
        let message = (topic.into(), payload.into(), qos);
        outgoing_publish(&mut self.outgoing, message, UNTIMED).map(Packet::Publish)
    }

    /// The SUBSCRIBE for `filters`, of which there must be at least one.
    ///
    /// # Errors
    /// When the server has too many packets unacknowledged.
    pub fn subscribe(&mut self, filters: Vec<SubscribeFilter>) -> Result<Packet, WindowFull> {
        let id = self.outgoing.open(UNTIMED)?;
        self.subscribing.insert(id, filters.len());
        Ok(Packet::Subscribe(Subscribe { id, filters }))
    }

    /// The UNSUBSCRIBE for `filters`, of which there must be at least one.
    ///
    /// # Errors
    /// When the server has too many packets unacknowledged.
    pub fn unsubscribe(&mut self, filters: Vec<String>) -> Result<Packet, WindowFull> {
        let id = self.outgoing.open(UNTIMED)?;
        Ok(Packet::Unsubscribe(Unsubscribe { id, filters }))
    }

    /// What is due at `now`: wait, send a ping, or give the server up.
    pub fn timer(&mut self, now: Millis) -> ClientTimer {
        match self.state {
            State::Connecting(until) | State::Pinged(until) if now >= until => ClientTimer::Dead,
            State::Quiet(until) if now >= until => {
                self.state = State::Pinged(now.plus(PONG_WITHIN.min(self.ping_every)));
                ClientTimer::Send(Packet::PingReq)
            }
            State::Connecting(until) | State::Pinged(until) | State::Quiet(until) => {
                ClientTimer::Wait(until)
            }
        }
    }
}
