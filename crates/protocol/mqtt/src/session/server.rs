use bytes::Bytes;

use super::flight::{Inbox, Outbox, Receipt};
use crate::{
    Connect, Delivery, Millis, Packet, PacketId, ProtocolError, Publish, QoS, SessionLimits,
    Subscribe, Unsubscribe, WindowFull,
};

/// What a packet of the client asks the server's loop to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// Handle a message; for QoS 1 send [`ServerSession::acknowledge`] when what it
    /// asks for is done.
    Publish(Publish),
    /// Answer with [`Packet::SubAck`], one result for each filter.
    Subscribe(Subscribe),
    /// Answer with [`Packet::UnsubAck`], which carries the same packet id.
    Unsubscribe(Unsubscribe),
    /// The client has the QoS 1 message of this id.
    Delivered(PacketId),
    /// Send this packet; there is nothing else to do.
    Reply(Packet),
    /// The caller has nothing to do.
    Ignored,
    /// The client is leaving in good order; its will is void.
    Disconnect,
}

/// What a client has let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// It was silent for longer than 1.5 times its keep-alive.
    KeepAlive,
    /// It did not acknowledge a QoS 1 message.
    Acknowledgement,
}

/// Longest wait for the acknowledgement of a QoS 1 message, milliseconds. 3.1.1 sends nothing again
/// within a connection, so that waiting longer would not help.
const ACKNOWLEDGED_WITHIN: u64 = 120_000;

/// The server's side of one connection, from the accepted CONNECT on.
#[derive(Debug)]
pub struct ServerSession {
    incoming: Inbox,
    outgoing: Outbox,
    /// How long the client may be silent, milliseconds.
    allowance: u64,
    deadline: Millis,
}

impl ServerSession {
    /// Starts with the usual limits when CONNACK is sent.
    #[must_use]
    pub fn new(connect: &Connect, now: Millis) -> Self {
        Self::with_limits(connect, SessionLimits::default(), now)
    }

    /// Starts with `limits` when CONNACK is sent.
    #[must_use]
    pub fn with_limits(connect: &Connect, limits: SessionLimits, now: Millis) -> Self {
        // 0 switches the client's promise off; the server's own limit stays.
        let seconds = match connect.keep_alive {
            0 => limits.keep_alive,
            asked => asked.min(limits.keep_alive),
        };
        let allowance = u64::from(seconds) * 1500;
        Self {
            incoming: Inbox::new(limits.incoming),
            outgoing: Outbox::new(limits.outgoing),
            allowance,
            deadline: now.plus(allowance),
        }
    }

    /// When the connection has to be closed, and for which omission, unless something
    /// arrives before: 1.5 times its keep-alive after the last packet, or when a message was
    /// not acknowledged in time.
    #[must_use]
    pub fn deadline(&self) -> (Millis, Overdue) {
        let oldest = self.outgoing.waiting_since();
        let acknowledged = oldest.map(|since| since.plus(ACKNOWLEDGED_WITHIN));
        match acknowledged {
            Some(by) if by < self.deadline => (by, Overdue::Acknowledgement),
            _ => (self.deadline, Overdue::KeepAlive),
        }
    }

    /// Takes in one packet of the client.
    ///
    /// # Errors
    /// When the client broke the protocol.
    pub fn receive(&mut self, packet: Packet, now: Millis) -> Result<ServerEvent, ProtocolError> {
        self.deadline = now.plus(self.allowance);
        Ok(match packet {
            Packet::Publish(publish) => match self.incoming.receive(&publish)? {
                Receipt::New => ServerEvent::Publish(publish),
                Receipt::Repeated => ServerEvent::Ignored,
            },
            Packet::PubAck(id) if self.outgoing.close(id) => ServerEvent::Delivered(id),
            Packet::PubAck(_) => ServerEvent::Ignored,
            Packet::Subscribe(subscribe) => ServerEvent::Subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => ServerEvent::Unsubscribe(unsubscribe),
            Packet::PingReq => ServerEvent::Reply(Packet::PingResp),
            Packet::Disconnect => ServerEvent::Disconnect,
            other @ (Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp) => return Err(ProtocolError::Unexpected(other.name())),
        })
    }

    /// The PUBACK of a message that [`ServerEvent::Publish`] delivered.
    pub fn acknowledge(&mut self, id: PacketId) -> Packet {
        self.incoming.acknowledge(id);
        Packet::PubAck(id)
    }

    /// Whether a QoS 1 message may be sent now. While not, the loop should not ask the application
    /// for its next one.
    #[must_use]
    pub fn can_publish(&self) -> bool {
        !self.outgoing.is_full()
    }

    /// The PUBLISH for a message of the server; QoS 1 gets the next free id.
    ///
    /// # Errors
    /// When the client has too many QoS 1 messages unacknowledged.
    pub fn publish(
        &mut self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        qos: QoS,
        now: Millis,
    ) -> Result<Publish, WindowFull> {
        let message = (topic.into(), payload.into(), qos);
        outgoing_publish(&mut self.outgoing, message, now)
    }
}

pub(super) fn outgoing_publish(
    outbox: &mut Outbox,
    (topic, payload, qos): (String, Bytes, QoS),
    now: Millis,
) -> Result<Publish, WindowFull> {
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce {
            id: outbox.open(now)?,
            duplicate: false,
        },
    };
    Ok(Publish {
        topic,
        payload,
        retain: false,
        delivery,
    })
}
