//! Any packets, and bytes that are nearly packets.

use bytes::{Bytes, BytesMut};
use mqtt::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, Password, Publish, QoS,
    SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will, encode,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "[^\0]{1,40}"
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

pub fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|number| PacketId::new(number).unwrap())
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::AtMostOnce),
        (packet_id(), any::<bool>())
            .prop_map(|(id, duplicate)| Delivery::AtLeastOnce { id, duplicate }),
    ]
}

fn connect() -> impl Strategy<Value = Connect> {
    let will =
        (text(), payload(), qos(), any::<bool>()).prop_map(|(topic, payload, qos, retain)| Will {
            topic,
            payload,
            qos,
            retain,
        });
    let user = option::of((text(), option::of(payload())));
    (
        "[^\0]{0,40}",
        any::<bool>(),
        any::<u16>(),
        option::of(will),
        user,
    )
        .prop_map(|(client_id, clean_session, keep_alive, will, user)| {
            let (username, password) =
                user.map_or((None, None), |(u, p)| (Some(u), p.map(Password::new)));
            Connect {
                client_id,
                clean_session,
                keep_alive,
                will,
                username,
                password,
            }
        })
}

fn publish() -> impl Strategy<Value = Publish> {
    (text(), payload(), any::<bool>(), delivery()).prop_map(|(topic, payload, retain, delivery)| {
        Publish {
            topic,
            payload,
            retain,
            delivery,
        }
    })
}

pub fn packet() -> impl Strategy<Value = Packet> {
    let code = (0..6_u8).prop_map(|code| ConnectReturnCode::from_code(code).unwrap());
    let ack = (any::<bool>(), code).prop_map(|(session_present, code)| {
        Packet::ConnAck(ConnAck {
            session_present,
            code,
        })
    });
    let filters = vec((text(), qos()), 1..8);
    let subscribe = (packet_id(), filters).prop_map(|(id, filters)| {
        let filters = filters
            .into_iter()
            .map(|(filter, qos)| SubscribeFilter { filter, qos })
            .collect();
        Packet::Subscribe(Subscribe { id, filters })
    });
    let result = prop_oneof![
        qos().prop_map(SubscribeResult::Granted),
        Just(SubscribeResult::Refused)
    ];
    let suback = (packet_id(), vec(result, 1..8))
        .prop_map(|(id, results)| Packet::SubAck(SubAck { id, results }));
    let unsubscribe = (packet_id(), vec(text(), 1..8))
        .prop_map(|(id, filters)| Packet::Unsubscribe(Unsubscribe { id, filters }));
    prop_oneof![
        connect().prop_map(Packet::Connect),
        ack,
        publish().prop_map(Packet::Publish),
        packet_id().prop_map(Packet::PubAck),
        subscribe,
        suback,
        unsubscribe,
        packet_id().prop_map(Packet::UnsubAck),
        Just(Packet::PingReq),
        Just(Packet::PingResp),
        Just(Packet::Disconnect),
    ]
}

/// Bytes that often begin like a packet.
pub fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let framed = (any::<u8>(), vec(any::<u8>(), 0..120)).prop_map(|(first, body)| {
        let mut bytes = vec![first, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        bytes
    });
    let damaged =
        (packet(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(packet, at, byte)| {
            let mut out = BytesMut::new();
            encode(&packet, &mut out).unwrap();
            let at = at.index(out.len());
            out[at] = byte;
            out.to_vec()
        });
    prop_oneof![vec(any::<u8>(), 0..200), framed, damaged]
}
