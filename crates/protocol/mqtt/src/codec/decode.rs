use bytes::{Buf, Bytes, BytesMut};

use super::{MAX_CLIENT_ID, MAX_CREDENTIAL, MAX_FILTER, MAX_FILTERS, MAX_TOPIC};
use super::{PROTOCOL_LEVEL, PROTOCOL_NAME, SUBSCRIPTION_REFUSED, flag, kind};
use crate::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will,
};

/// Why bytes are not a packet. The connection cannot go on after one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The fixed header announces more than the limit.
    #[error("a packet of {announced} bytes was announced, {limit} at most are accepted")]
    TooLarge {
        /// Bytes announced after the fixed header.
        announced: usize,
        /// The limit that the caller set, in bytes.
        limit: usize,
    },
    /// The remaining length takes more than four bytes.
    #[error("the remaining length is malformed")]
    RemainingLength,
    /// A packet type that 3.1.1 does not have, or flags that the type does not allow.
    #[error("packet type {kind} with flags {flags:#06b} does not exist")]
    UnknownPacket {
        /// Upper half of the first byte.
        kind: u8,
        /// The lower four bits of the first byte.
        flags: u8,
    },
    /// The client speaks another version; answered by CONNACK 1.
    #[error("protocol {name:?} level {level} is not MQTT 3.1.1")]
    Protocol {
        /// The protocol name sent.
        name: String,
        /// The protocol level that the client sent.
        level: u8,
    },
    /// QoS 2 in a message or a will.
    #[error("QoS 2 is not supported")]
    QoS2,
    /// A text is not UTF-8, or holds U+0000.
    #[error("{what} is not well-formed UTF-8")]
    Text {
        /// The name of the field.
        what: &'static str,
    },
    /// A text or list is longer than allowed.
    #[error("{what} is longer than {limit}")]
    TooLong {
        /// The name of the field.
        what: &'static str,
        /// Bytes, or entries of a list.
        limit: usize,
    },
    /// Everything else: what is wrong, in words.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
}

impl DecodeError {
    /// The CONNACK code that tells the client, where there is one.
    #[must_use]
    pub fn refusal(&self) -> Option<ConnectReturnCode> {
        matches!(self, Self::Protocol { .. })
            .then_some(ConnectReturnCode::UnacceptableProtocolVersion)
    }
}

/// Takes one packet from the front of `buf`; `None` when it is not complete yet, and
/// then nothing is taken.
///
/// `max_packet` limits the bytes after the fixed header, so that a reader never holds more
/// than `max_packet + 5`.
///
/// # Errors
/// When the bytes are not a packet within the limits; `buf` is then in no useful state.
pub fn decode(buf: &mut BytesMut, max_packet: usize) -> Result<Option<Packet>, DecodeError> {
    let Some(&first) = buf.first() else {
        return Ok(None);
    };
    let Some((length, length_bytes)) = remaining_length(&buf[1..])? else {
        return Ok(None);
    };
    if length > max_packet {
        return Err(DecodeError::TooLarge {
            announced: length,
            limit: max_packet,
        });
    }
    let header = 1 + length_bytes;
    if buf.len() < header + length {
        return Ok(None);
    }
    buf.advance(header);
    let mut body = Body(buf.split_to(length).freeze());
    let packet = packet(first >> 4, first & 0x0f, &mut body)?;
    if !body.0.is_empty() {
        return Err(DecodeError::Malformed(
            "bytes are left after the last field",
        ));
    }
    Ok(Some(packet))
}

/// Section 2.2.3: seven bits a byte, least significant first, at most four bytes.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    match bytes.len() {
        0..4 => Ok(None),
        _ => Err(DecodeError::RemainingLength),
    }
}

fn packet(kind: u8, flags: u8, body: &mut Body) -> Result<Packet, DecodeError> {
    Ok(match (kind, flags) {
        (kind::CONNECT, 0) => Packet::Connect(connect(body)?),
        (kind::CONNACK, 0) => Packet::ConnAck(connack(body)?),
        (kind::PUBLISH, _) => Packet::Publish(publish(flags, body)?),
        (kind::PUBACK, 0) => Packet::PubAck(body.id()?),
        (kind::SUBSCRIBE, 2) => Packet::Subscribe(subscribe(body)?),
        (kind::SUBACK, 0) => Packet::SubAck(suback(body)?),
        (kind::UNSUBSCRIBE, 2) => Packet::Unsubscribe(unsubscribe(body)?),
        (kind::UNSUBACK, 0) => Packet::UnsubAck(body.id()?),
        (kind::PINGREQ, 0) => Packet::PingReq,
        (kind::PINGRESP, 0) => Packet::PingResp,
        (kind::DISCONNECT, 0) => Packet::Disconnect,
        _ => return Err(DecodeError::UnknownPacket { kind, flags }),
    })
}

fn connect(body: &mut Body) -> Result<Connect, DecodeError> {
    let name = body.text("protocol name", 16)?;
    let level = body.byte()?;
    if name != PROTOCOL_NAME || level != PROTOCOL_LEVEL {
        // What follows may be laid out otherwise, and the client is refused whatever it says.
        body.0.clear();
        return Err(DecodeError::Protocol { name, level });
    }
    let flags = body.byte()?;
    if flags & flag::RESERVED != 0 {
        return Err(DecodeError::Malformed("the reserved CONNECT flag is set"));
    }
    if flags & flag::PASSWORD != 0 && flags & flag::USER_NAME == 0 {
        return Err(DecodeError::Malformed("a password without a user name"));
    }
    let keep_alive = body.short()?;
    let client_id = body.text("client id", MAX_CLIENT_ID)?;
    let will = will(flags, body)?;
    let username = (flags & flag::USER_NAME != 0)
        .then(|| body.text("user name", MAX_CREDENTIAL))
        .transpose()?;
    let password = (flags & flag::PASSWORD != 0)
        .then(|| body.binary("password", MAX_CREDENTIAL))
        .transpose()?;
    Ok(Connect {
        client_id,
        clean_session: flags & flag::CLEAN_SESSION != 0,
        keep_alive,
        will,
        username,
        password: password.map(Password::new),
    })
}

fn will(flags: u8, body: &mut Body) -> Result<Option<Will>, DecodeError> {
    let (qos, retain) = ((flags >> 3) & 3, flags & flag::WILL_RETAIN != 0);
    if flags & flag::WILL == 0 {
        return match (qos, retain) {
            (0, false) => Ok(None),
            _ => Err(DecodeError::Malformed("will flags without a will")),
        };
    }
    let qos = self::qos(qos)?;
    let topic = topic(body)?;
    let payload = body.binary("will message", usize::from(u16::MAX))?;
    Ok(Some(Will {
        topic,
        payload,
        qos,
        retain,
    }))
}

fn qos(bits: u8) -> Result<QoS, DecodeError> {
    match bits {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Err(DecodeError::QoS2),
        _ => Err(DecodeError::Malformed("QoS 3 does not exist")),
    }
}

fn topic(body: &mut Body) -> Result<String, DecodeError> {
    match body.text("topic", MAX_TOPIC)? {
        topic if topic.is_empty() => Err(DecodeError::Malformed("the topic is empty")),
        topic => Ok(topic),
    }
}

fn connack(body: &mut Body) -> Result<ConnAck, DecodeError> {
    let flags = body.byte()?;
    if flags > 1 {
        return Err(DecodeError::Malformed("a reserved CONNACK flag is set"));
    }
    let code = ConnectReturnCode::from_code(body.byte()?)
        .ok_or(DecodeError::Malformed("a reserved CONNACK code"))?;
    Ok(ConnAck {
        session_present: flags == 1,
        code,
    })
}

fn publish(flags: u8, body: &mut Body) -> Result<Publish, DecodeError> {
    let duplicate = flags & 8 != 0;
    let qos = qos((flags >> 1) & 3)?;
    let topic = topic(body)?;
    let delivery = match qos {
        QoS::AtMostOnce if duplicate => {
            return Err(DecodeError::Malformed(
                "a QoS 0 message marked as duplicate",
            ));
        }
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce {
            id: body.id()?,
            duplicate,
        },
    };
    Ok(Publish {
        topic,
        payload: std::mem::take(&mut body.0),
        retain: flags & 1 != 0,
        delivery,
    })
}

fn subscribe(body: &mut Body) -> Result<Subscribe, DecodeError> {
    let id = body.id()?;
    let filters = list(body, "list of filters", |body| {
        let filter = filter(body)?;
        let qos = match body.byte()? {
            0 => QoS::AtMostOnce,
            // QoS 2 may be asked for; less may be granted (3.8.4), and always is.
            1 | 2 => QoS::AtLeastOnce,
            _ => return Err(DecodeError::Malformed("a subscription with a reserved QoS")),
        };
        Ok(SubscribeFilter { filter, qos })
    })?;
    Ok(Subscribe { id, filters })
}

fn filter(body: &mut Body) -> Result<String, DecodeError> {
    match body.text("topic filter", MAX_FILTER)? {
        filter if filter.is_empty() => Err(DecodeError::Malformed("a topic filter is empty")),
        filter => Ok(filter),
    }
}

fn suback(body: &mut Body) -> Result<SubAck, DecodeError> {
    let id = body.id()?;
    let results = list(body, "list of results", |body| match body.byte()? {
        0 => Ok(SubscribeResult::Granted(QoS::AtMostOnce)),
        1 => Ok(SubscribeResult::Granted(QoS::AtLeastOnce)),
        SUBSCRIPTION_REFUSED => Ok(SubscribeResult::Refused),
        _ => Err(DecodeError::Malformed("a reserved SUBACK code")),
    })?;
    Ok(SubAck { id, results })
}

fn unsubscribe(body: &mut Body) -> Result<Unsubscribe, DecodeError> {
    let id = body.id()?;
    let filters = list(body, "list of filters", filter)?;
    Ok(Unsubscribe { id, filters })
}

/// Reads entries until the body is used up: at least one, at most [`MAX_FILTERS`].
fn list<T>(
    body: &mut Body,
    what: &'static str,
    mut entry: impl FnMut(&mut Body) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut entries = vec![entry(body)?];
    while !body.0.is_empty() {
        if entries.len() == MAX_FILTERS {
            let limit = MAX_FILTERS;
            return Err(DecodeError::TooLong { what, limit });
        }
        entries.push(entry(body)?);
    }
    Ok(entries)
}

/// What is left of a packet after its fixed header.
struct Body(Bytes);

const SHORT: DecodeError = DecodeError::Malformed("the packet ends in the middle of a field");

impl Body {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    fn short(&mut self) -> Result<u16, DecodeError> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    fn id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.short()?).ok_or(DecodeError::Malformed("packet id 0"))
    }

    fn binary(&mut self, what: &'static str, limit: usize) -> Result<Bytes, DecodeError> {
        let length = usize::from(self.short()?);
        if length > limit {
            return Err(DecodeError::TooLong { what, limit });
        }
        if length > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    fn text(&mut self, what: &'static str, limit: usize) -> Result<String, DecodeError> {
        let bytes = self.binary(what, limit)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| DecodeError::Text { what })?;
        match text.contains('\0') {
            true => Err(DecodeError::Text { what }),
            false => Ok(text.to_owned()),
        }
    }
}
