//! Properties of the codec and of both sessions, for any packets in any order.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod strategies;

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use mqtt::{
    ClientEvent, ClientSession, ClientTimer, ConnAck, Connect, ConnectReturnCode, Delivery, Millis,
    Overdue, Packet, PacketId, ProtocolError, Publish, QoS, ServerEvent, ServerSession,
    SessionLimits, SubAck, Subscribe, SubscribeFilter, SubscribeResult, decode, encode,
};
use proptest::collection::vec;
use proptest::prelude::*;

use strategies::{hostile_bytes, packet};

const MAX: usize = 1024 * 1024;

fn a_connect(keep_alive: u16) -> Connect {
    Connect {
        client_id: "d".into(),
        clean_session: true,
        keep_alive,
        will: None,
        username: None,
        password: None,
    }
}

fn qos1(id: PacketId) -> Packet {
    let delivery = Delivery::AtLeastOnce {
        id,
        duplicate: false,
    };
    Packet::Publish(Publish {
        topic: "t".into(),
        payload: Bytes::new(),
        retain: false,
        delivery,
    })
}

fn sent_id(packet: &Packet) -> PacketId {
    match packet {
        Packet::Publish(Publish {
            delivery: Delivery::AtLeastOnce { id, .. },
            ..
        }) => *id,
        other => panic!("{other:?} has no id"),
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(packets in vec(packet(), 1..5)) {
        let mut bytes = BytesMut::new();
        for packet in &packets {
            encode(packet, &mut bytes).unwrap();
        }
        for packet in packets {
            prop_assert_eq!(decode(&mut bytes, MAX), Ok(Some(packet)));
        }
        prop_assert!(bytes.is_empty());
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in hostile_bytes()) {
        let mut buf = BytesMut::from(&bytes[..]);
        while let Ok(Some(packet)) = decode(&mut buf, 4096) {
            // Whatever was accepted can be written, except texts that grew.
            let mut out = BytesMut::new();
            encode(&packet, &mut out).unwrap();
            prop_assert_eq!(decode(&mut out, 8192), Ok(Some(packet)));
        }
    }

    #[test]
    fn ids_in_flight_are_distinct_and_limited(
        limit in 1_usize..6,
        steps in vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
    ) {
        let limits = SessionLimits { outgoing: limit, ..SessionLimits::default() };
        let mut session = ServerSession::with_limits(&a_connect(60), limits, Millis(0));
        let mut open: Vec<PacketId> = Vec::new();
        for (publish, at) in steps {
            if publish {
                prop_assert_eq!(session.can_publish(), open.len() < limit);
                match session.publish("t", Bytes::new(), QoS::AtLeastOnce, Millis(0)) {
                    Ok(publish) => open.push(sent_id(&Packet::Publish(publish))),
                    Err(full) => prop_assert_eq!((full.limit, open.len()), (limit, limit)),
                }
                prop_assert_eq!(open.iter().collect::<HashSet<_>>().len(), open.len());
                prop_assert!(open.len() <= limit);
            } else if !open.is_empty() {
                let id = open.swap_remove(at.index(open.len()));
                let event = session.receive(Packet::PubAck(id), Millis(0));
                prop_assert_eq!(event, Ok(ServerEvent::Delivered(id)));
                let again = session.receive(Packet::PubAck(id), Millis(0));
                prop_assert_eq!(again, Ok(ServerEvent::Ignored));
            }
        }
    }

    #[test]
    fn a_message_is_handled_once_until_it_is_acknowledged(
        limit in 1_usize..6,
        steps in vec((1_u16..9, any::<bool>()), 0..200),
    ) {
        let limits = SessionLimits { incoming: limit, ..SessionLimits::default() };
        let mut session = ServerSession::with_limits(&a_connect(60), limits, Millis(0));
        let mut open: HashSet<PacketId> = HashSet::new();
        for (number, arrives) in steps {
            let id = PacketId::new(number).unwrap();
            if !arrives {
                open.remove(&id);
                prop_assert_eq!(session.acknowledge(id), Packet::PubAck(id));
                continue;
            }
            match session.receive(qos1(id), Millis(0)) {
                Ok(ServerEvent::Publish(_)) => prop_assert!(open.insert(id)),
                Ok(ServerEvent::Ignored) => prop_assert!(open.contains(&id)),
                Err(ProtocolError::TooManyIncoming(most)) => {
                    prop_assert_eq!((most, open.len()), (limit, limit));
                    prop_assert!(!open.contains(&id));
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn a_client_is_alive_for_one_and_a_half_keep_alives(
        keep_alive in any::<u16>(),
        packets in vec((0_u64..2_000_000, packet()), 0..20),
    ) {
        let promised = if keep_alive == 0 { 1178 } else { u64::from(keep_alive.min(1178)) };
        let mut now = Millis(5);
        let mut session = ServerSession::new(&a_connect(keep_alive), now);
        for (later, packet) in packets {
            let deadline = (Millis(now.0 + promised * 1500), Overdue::KeepAlive);
            prop_assert_eq!(session.deadline(), deadline);
            now = Millis(now.0 + later);
            let wrong = matches!(
                packet,
                Packet::Connect(_)
                    | Packet::ConnAck(_)
                    | Packet::SubAck(_)
                    | Packet::UnsubAck(_)
                    | Packet::PingResp
            );
            prop_assert_eq!(session.receive(packet, now).is_err(), wrong);
        }
    }

    /// A client whose timer is obeyed never breaks its promise to a server that takes
    /// it by its word.
    #[test]
    fn a_silent_client_pings_in_time(keep_alive in 1_u16..3000, steps in 1_usize..20) {
        let mut now = Millis(0);
        let mut server = ServerSession::new(&a_connect(keep_alive), now);
        let mut client = ClientSession::new(keep_alive, SessionLimits::default(), now);
        let accepted = ConnAck { session_present: false, code: ConnectReturnCode::Accepted };
        client.receive(Packet::ConnAck(accepted), now).unwrap();
        for _ in 0..steps {
            match client.timer(now) {
                ClientTimer::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until < server.deadline().0);
                    now = until;
                }
                ClientTimer::Send(ping) => {
                    let reply = server.receive(ping, now).unwrap();
                    prop_assert_eq!(&reply, &ServerEvent::Reply(Packet::PingResp));
                    client.receive(Packet::PingResp, now).unwrap();
                }
                ClientTimer::Dead => prop_assert!(false, "the server answered"),
            }
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let mut client = ClientSession::new(60, SessionLimits::default(), Millis(0));
    let ClientTimer::Wait(greeting) = client.timer(Millis(0)) else {
        panic!("nothing is due yet")
    };
    assert_eq!(client.timer(greeting), ClientTimer::Dead, "no CONNACK");

    let mut client = ClientSession::new(60, SessionLimits::default(), Millis(0));
    let accepted = ConnAck {
        session_present: true,
        code: ConnectReturnCode::Accepted,
    };
    let event = client
        .receive(Packet::ConnAck(accepted), Millis(0))
        .unwrap();
    assert_eq!(
        event,
        ClientEvent::Accepted {
            session_present: true
        }
    );
    assert_eq!(
        client.timer(Millis(45_000)),
        ClientTimer::Send(Packet::PingReq)
    );
    assert_eq!(
        client.timer(Millis(45_000)),
        ClientTimer::Wait(Millis(75_000))
    );
    assert_eq!(
        client.timer(Millis(75_000)),
        ClientTimer::Dead,
        "no PINGRESP"
    );
}

#[test]
fn nothing_comes_before_connack() {
    let mut client = ClientSession::new(60, SessionLimits::default(), Millis(0));
    let error = client.receive(Packet::PingResp, Millis(0)).unwrap_err();
    assert_eq!(error, ProtocolError::Unexpected("PINGRESP"));
}

#[test]
fn a_suback_answers_its_subscribe() {
    let mut client = ClientSession::new(60, SessionLimits::default(), Millis(0));
    let accepted = ConnAck {
        session_present: false,
        code: ConnectReturnCode::Accepted,
    };
    client
        .receive(Packet::ConnAck(accepted), Millis(0))
        .unwrap();
    let filter = SubscribeFilter {
        filter: "t".into(),
        qos: QoS::AtLeastOnce,
    };
    let Ok(Packet::Subscribe(Subscribe { id, .. })) = client.subscribe(vec![filter]) else {
        panic!("a SUBSCRIBE was expected");
    };
    let ack = |results| Packet::SubAck(SubAck { id, results });
    let granted = vec![SubscribeResult::Granted(QoS::AtLeastOnce)];
    let event = client.receive(ack(granted.clone()), Millis(0));
    assert_eq!(event, Ok(ClientEvent::Subscribed(id, granted.clone())));
    let again = client.receive(ack(granted), Millis(0));
    assert_eq!(again, Err(ProtocolError::UnmatchedSubAck));
}

/// A2: a client that does not acknowledge messages is closed before its keep-alive is over.
#[test]
fn an_unacknowledged_message_ends_the_session_in_time() {
    let mut session = ServerSession::new(&a_connect(1178), Millis(0));
    let keep_alive = session.deadline();
    assert_eq!(keep_alive.1, Overdue::KeepAlive);
    let sent = |session: &mut ServerSession, now| {
        let publish = session.publish("t", Bytes::new(), QoS::AtLeastOnce, Millis(now));
        sent_id(&Packet::Publish(publish.unwrap()))
    };
    let first = sent(&mut session, 1_000);
    let second = sent(&mut session, 5_000);
    assert_eq!(
        session.deadline(),
        (Millis(121_000), Overdue::Acknowledgement)
    );
    // Pings do not put it off, acknowledgements do.
    session.receive(Packet::PingReq, Millis(6_000)).unwrap();
    assert_eq!(
        session.deadline(),
        (Millis(121_000), Overdue::Acknowledgement)
    );
    session
        .receive(Packet::PubAck(first), Millis(6_000))
        .unwrap();
    assert_eq!(
        session.deadline(),
        (Millis(125_000), Overdue::Acknowledgement)
    );
    session
        .receive(Packet::PubAck(second), Millis(6_000))
        .unwrap();
    assert_eq!(session.deadline().1, Overdue::KeepAlive);
}
