use bytes::{BufMut, BytesMut};

use super::{PROTOCOL_LEVEL, PROTOCOL_NAME, SUBSCRIPTION_REFUSED, flag, kind};
use crate::{Connect, Delivery, Packet, Publish, QoS, SubscribeResult, Will};

/// Longest remaining length that four bytes can say.
const MAX_REMAINING: usize = 268_435_455;

/// Why a packet cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text or byte string is longer than its 16 bit length can say.
    #[error("{what} has {length} bytes, MQTT can carry 65535")]
    FieldTooLong {
        /// The name of the field.
        what: &'static str,
        /// The length of the field in bytes.
        length: usize,
    },
    /// The whole packet is longer than MQTT allows.
    #[error("the packet has {0} bytes, MQTT can carry 268435455")]
    PacketTooLong(usize),
    /// A password without a user name.
    #[error("a password needs a user name")]
    PasswordAlone,
}

/// Appends a packet to `out`.
///
/// # Errors
/// When the packet does not fit into MQTT's fields; `out` then holds what it held before.
pub fn encode(packet: &Packet, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = Body(BytesMut::new());
    let (kind, flags) = match packet {
        Packet::Connect(connect) => (kind::CONNECT, connect_body(connect, &mut body)?),
        Packet::ConnAck(ack) => {
            body.0.put_u8(u8::from(ack.session_present));
            body.0.put_u8(ack.code.code());
            (kind::CONNACK, 0)
        }
        Packet::Publish(publish) => return append_publish(publish, out),
        Packet::PubAck(id) => (kind::PUBACK, body.id(*id)),
        Packet::Subscribe(subscribe) => {
            body.id(subscribe.id);
            for filter in &subscribe.filters {
                body.field("topic filter", filter.filter.as_bytes())?;
                body.0.put_u8(qos_bits(filter.qos));
            }
            (kind::SUBSCRIBE, 2)
        }
        Packet::SubAck(ack) => {
            body.id(ack.id);
            body.0.extend(ack.results.iter().map(|r| result_code(*r)));
            (kind::SUBACK, 0)
        }
        Packet::Unsubscribe(unsubscribe) => {
            body.id(unsubscribe.id);
            for filter in &unsubscribe.filters {
                body.field("topic filter", filter.as_bytes())?;
            }
            (kind::UNSUBSCRIBE, 2)
        }
        Packet::UnsubAck(id) => (kind::UNSUBACK, body.id(*id)),
        Packet::PingReq => (kind::PINGREQ, 0),
        Packet::PingResp => (kind::PINGRESP, 0),
        Packet::Disconnect => (kind::DISCONNECT, 0),
    };
    header(kind, flags, body.0.len(), out)?;
    out.put(body.0);
    Ok(())
}

/// Messages may be large, so their payload is copied once, straight into `out`.
fn append_publish(publish: &Publish, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = Body(BytesMut::with_capacity(publish.topic.len() + 4));
    body.field("topic", publish.topic.as_bytes())?;
    let mut flags = u8::from(publish.retain) | qos_bits(publish.qos()) << 1;
    if let Delivery::AtLeastOnce { id, duplicate } = publish.delivery {
        body.id(id);
        flags |= u8::from(duplicate) << 3;
    }
    header(
        kind::PUBLISH,
        flags,
        body.0.len() + publish.payload.len(),
        out,
    )?;
    out.put(body.0);
    out.put_slice(&publish.payload);
    Ok(())
}

fn connect_body(connect: &Connect, body: &mut Body) -> Result<u8, EncodeError> {
    if connect.password.is_some() && connect.username.is_none() {
        return Err(EncodeError::PasswordAlone);
    }
    body.field("protocol name", PROTOCOL_NAME.as_bytes())?;
    body.0.put_u8(PROTOCOL_LEVEL);
    body.0.put_u8(connect_flags(connect));
    body.0.put_u16(connect.keep_alive);
    body.field("client id", connect.client_id.as_bytes())?;
    if let Some(Will { topic, payload, .. }) = &connect.will {
        body.field("will topic", topic.as_bytes())?;
        body.field("will message", payload)?;
    }
    if let Some(username) = &connect.username {
        body.field("user name", username.as_bytes())?;
    }
    if let Some(password) = &connect.password {
        body.field("password", password.as_bytes())?;
    }
    Ok(0)
}

fn connect_flags(connect: &Connect) -> u8 {
    let set = |flag: u8, on: bool| if on { flag } else { 0 };
    let will = connect.will.as_ref().map_or(0, |will| {
        flag::WILL | qos_bits(will.qos) << 3 | set(flag::WILL_RETAIN, will.retain)
    });
    will | set(flag::CLEAN_SESSION, connect.clean_session)
        | set(flag::USER_NAME, connect.username.is_some())
        | set(flag::PASSWORD, connect.password.is_some())
}

fn qos_bits(qos: QoS) -> u8 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
    }
}

fn result_code(result: SubscribeResult) -> u8 {
    match result {
        SubscribeResult::Granted(qos) => qos_bits(qos),
        SubscribeResult::Refused => SUBSCRIPTION_REFUSED,
    }
}

fn header(kind: u8, flags: u8, mut length: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    if length > MAX_REMAINING {
        return Err(EncodeError::PacketTooLong(length));
    }
    out.reserve(length + 5);
    out.put_u8(kind << 4 | flags);
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            out.put_u8(low & 0x7f);
            return Ok(());
        }
        out.put_u8(low | 0x80);
    }
}

struct Body(BytesMut);

impl Body {
    /// Writes an id and gives the flags of the packets that are nothing else.
    fn id(&mut self, id: crate::PacketId) -> u8 {
        self.0.put_u16(id.get());
        0
    }

    fn field(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        let length = bytes.len();
        let short =
            u16::try_from(length).map_err(|_| EncodeError::FieldTooLong { what, length })?;
        self.0.put_u16(short);
        self.0.put_slice(bytes);
        Ok(())
    }
}
