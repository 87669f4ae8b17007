//! Bytes that other implementations send, or that the standard shows, against packets. One
//! direction per side of the arrow.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use bytes::{Bytes, BytesMut};
use mqtt::{
    ConnAck, Connect, ConnectReturnCode, DecodeError, Delivery, EncodeError, MAX_CLIENT_ID,
    MAX_FILTERS, Packet, PacketId, Password, Publish, QoS, SubAck, Subscribe, SubscribeFilter,
    SubscribeResult, Unsubscribe, Will, decode, encode,
};

const MAX: usize = 256 * 1024;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn decoded(bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    decode(&mut BytesMut::from(bytes), MAX)
}

/// What the Python SDK's Paho sends as a provisioning CONNECT: flags 0xC0, keep-alive 60.
fn python_connect() -> Pair {
    let bytes =
        b"\x10\x23\x00\x04MQTT\x04\xc0\x00\x3c\x00\x05dev-1\x00\x08s/r/user\x00\x06secret".to_vec();
    let connect = Connect {
        client_id: "dev-1".into(),
        clean_session: false,
        keep_alive: 60,
        will: None,
        username: Some("s/r/user".into()),
        password: Some(Password::new("secret")),
    };
    (bytes, Packet::Connect(connect))
}

type Pair = (Vec<u8>, Packet);

fn pairs() -> Vec<Pair> {
    [connecting(), publishing(), the_rest()].concat()
}

fn connecting() -> Vec<Pair> {
    let will = Will {
        topic: "w".into(),
        payload: Bytes::from_static(b"bye"),
        qos: QoS::AtLeastOnce,
        retain: true,
    };
    let with_will = Connect {
        client_id: "d/m".into(),
        clean_session: true,
        keep_alive: 0,
        will: Some(will),
        username: None,
        password: None,
    };
    let ack = |session_present, code| {
        Packet::ConnAck(ConnAck {
            session_present,
            code,
        })
    };
    vec![
        python_connect(),
        (
            b"\x10\x17\x00\x04MQTT\x04\x2e\x00\x00\x00\x03d/m\x00\x01w\x00\x03bye".to_vec(),
            Packet::Connect(with_will),
        ),
        (
            b"\x20\x02\x00\x00".to_vec(),
            ack(false, ConnectReturnCode::Accepted),
        ),
        (
            b"\x20\x02\x01\x00".to_vec(),
            ack(true, ConnectReturnCode::Accepted),
        ),
        (
            b"\x20\x02\x00\x05".to_vec(),
            ack(false, ConnectReturnCode::NotAuthorized),
        ),
    ]
}

fn publishing() -> Vec<Pair> {
    let publish = |topic: &str, payload: &'static [u8], retain, delivery| {
        let payload = Bytes::from_static(payload);
        Packet::Publish(Publish {
            topic: topic.into(),
            payload,
            retain,
            delivery,
        })
    };
    let delivery = |number, duplicate| Delivery::AtLeastOnce {
        id: id(number),
        duplicate,
    };
    vec![
        (
            b"\x30\x06\x00\x03a/bx".to_vec(),
            publish("a/b", b"x", false, Delivery::AtMostOnce),
        ),
        (
            b"\x31\x05\x00\x03a/b".to_vec(),
            publish("a/b", b"", true, Delivery::AtMostOnce),
        ),
        (
            b"\x32\x08\x00\x03a/b\x00\x0ax".to_vec(),
            publish("a/b", b"x", false, delivery(10, false)),
        ),
        (
            b"\x3b\x07\x00\x03a/b\xff\xff".to_vec(),
            publish("a/b", b"", true, delivery(65535, true)),
        ),
    ]
}

fn the_rest() -> Vec<Pair> {
    let filter = |filter: &str, qos| SubscribeFilter {
        filter: filter.into(),
        qos,
    };
    vec![
        (b"\x40\x02\x12\x34".to_vec(), Packet::PubAck(id(0x1234))),
        // Figure 3.23 of the standard.
        (
            b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x00".to_vec(),
            Packet::Subscribe(Subscribe {
                id: id(10),
                filters: vec![
                    filter("a/b", QoS::AtLeastOnce),
                    filter("c/d", QoS::AtMostOnce),
                ],
            }),
        ),
        (
            b"\x90\x05\x00\x0a\x00\x01\x80".to_vec(),
            Packet::SubAck(SubAck {
                id: id(10),
                results: vec![
                    SubscribeResult::Granted(QoS::AtMostOnce),
                    SubscribeResult::Granted(QoS::AtLeastOnce),
                    SubscribeResult::Refused,
                ],
            }),
        ),
        // Figure 3.30.
        (
            b"\xa2\x0c\x00\x0a\x00\x03a/b\x00\x03c/d".to_vec(),
            Packet::Unsubscribe(Unsubscribe {
                id: id(10),
                filters: vec!["a/b".into(), "c/d".into()],
            }),
        ),
        (b"\xb0\x02\x00\x0a".to_vec(), Packet::UnsubAck(id(10))),
        (b"\xc0\x00".to_vec(), Packet::PingReq),
        (b"\xd0\x00".to_vec(), Packet::PingResp),
        (b"\xe0\x00".to_vec(), Packet::Disconnect),
    ]
}

#[test]
fn packets_have_their_bytes_both_ways() {
    for (bytes, packet) in pairs() {
        assert_eq!(decoded(&bytes), Ok(Some(packet.clone())));
        let mut out = BytesMut::new();
        encode(&packet, &mut out).unwrap();
        assert_eq!(out, bytes, "{packet:?}");
    }
}

#[test]
fn a_packet_is_taken_only_when_it_is_complete() {
    for (bytes, packet) in pairs() {
        for cut in 0..bytes.len() {
            let mut buf = BytesMut::from(&bytes[..cut]);
            assert_eq!(decode(&mut buf, MAX), Ok(None));
            assert_eq!(buf, bytes[..cut], "nothing is taken");
        }
        let mut buf = BytesMut::from(&bytes[..]);
        buf.extend_from_slice(b"\xc0\x00");
        assert_eq!(decode(&mut buf, MAX), Ok(Some(packet)));
        assert_eq!(decode(&mut buf, MAX), Ok(Some(Packet::PingReq)));
        assert!(buf.is_empty());
    }
}

#[test]
fn asking_for_qos_2_reads_as_1_and_sending_it_is_refused() {
    let Ok(Some(Packet::Subscribe(subscribe))) = decoded(b"\x82\x06\x00\x01\x00\x01a\x02") else {
        panic!("a subscription was expected");
    };
    assert_eq!(subscribe.filters[0].qos, QoS::AtLeastOnce);
    assert_eq!(
        decoded(b"\x34\x05\x00\x01a\x00\x01"),
        Err(DecodeError::QoS2)
    );
    let will = b"\x10\x12\x00\x04MQTT\x04\x16\x00\x00\x00\x00\x00\x01w\x00\x01x";
    assert_eq!(decoded(will), Err(DecodeError::QoS2));
}

#[test]
fn another_protocol_version_is_answered_with_code_1() {
    for bytes in [
        b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x3c\x00\x00".as_slice(),
        b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",
    ] {
        let error = decoded(bytes).unwrap_err();
        assert_eq!(
            error.refusal(),
            Some(ConnectReturnCode::UnacceptableProtocolVersion)
        );
    }
    assert_eq!(DecodeError::QoS2.refusal(), None);
}

#[test]
fn malformed_packets_are_refused() {
    let mut long_id = b"\x10\x8d\x04\x00\x04MQTT\x04\x02\x00\x00\x02\x01".to_vec();
    long_id.extend([b'x'; 513]);
    let cases: [(&[u8], &str); 20] = [
        (b"\x00\x00", "type 0"),
        (b"\xf0\x00", "type 15"),
        (b"\x50\x02\x00\x01", "type 5"),
        (b"\x80\x06\x00\x01\x00\x01a\x00", "flags"),
        (b"\xc1\x00", "flags"),
        (b"\xc0\x01x", "bytes are left"),
        (b"\x30\xff\xff\xff\xff\x01", "remaining length"),
        (b"\x30\x02\x00\x00", "topic is empty"),
        (b"\x30\x04\x00\x05ab", "middle of a field"),
        (b"\x30\x04\x00\x02\xc3\x28", "UTF-8"),
        (b"\x30\x05\x00\x03a\x00b", "UTF-8"),
        (b"\x32\x05\x00\x01a\x00\x00", "packet id 0"),
        (b"\x36\x05\x00\x01a\x00\x01", "QoS 3"),
        (b"\x38\x03\x00\x01a", "duplicate"),
        (b"\x82\x02\x00\x01", "middle of a field"),
        (b"\x82\x06\x00\x01\x00\x01a\x03", "reserved QoS"),
        (
            b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00",
            "reserved CONNECT flag",
        ),
        (
            b"\x10\x0e\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x00",
            "password without",
        ),
        (
            b"\x10\x0c\x00\x04MQTT\x04\x0a\x00\x00\x00\x00",
            "will flags",
        ),
        (b"\x20\x02\x00\x06", "CONNACK code"),
    ];
    for (bytes, wanted) in cases {
        let error = decoded(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{bytes:x?}: {error}");
    }
    let error = decoded(&long_id).unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooLong {
            what: "client id",
            limit: MAX_CLIENT_ID
        }
    );
}

#[test]
fn sizes_are_limited() {
    let mut buf = BytesMut::from(&b"\x30\x80\x08"[..]);
    let error = decode(&mut buf, 1023).unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooLarge {
            announced: 1024,
            limit: 1023
        }
    );

    let filters = vec![
        SubscribeFilter {
            filter: "a".into(),
            qos: QoS::AtMostOnce
        };
        MAX_FILTERS + 1
    ];
    let mut out = BytesMut::new();
    encode(
        &Packet::Subscribe(Subscribe { id: id(1), filters }),
        &mut out,
    )
    .unwrap();
    assert!(matches!(
        decode(&mut out, MAX),
        Err(DecodeError::TooLong { .. })
    ));

    let topic = "t".repeat(70_000);
    let publish = Publish {
        topic,
        payload: Bytes::new(),
        retain: false,
        delivery: Delivery::AtMostOnce,
    };
    let error = encode(&Packet::Publish(publish), &mut out).unwrap_err();
    assert_eq!(
        error,
        EncodeError::FieldTooLong {
            what: "topic",
            length: 70_000
        }
    );
    assert!(
        out.is_empty(),
        "a packet that cannot be written leaves no bytes"
    );
}

#[test]
fn passwords_are_not_shown() {
    let (_, packet) = python_connect();
    assert!(!format!("{packet:?}").contains("secret"));
}
