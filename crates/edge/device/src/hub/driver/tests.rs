use mqtt::{ConnAck, decode};
use tokio::io::DuplexStream;

use bytes::Bytes;
use mqtt::{Delivery, Publish};

use super::*;

/// A driver that is through its greeting, and the hub's end of its connection.
async fn connected(keep_alive: u16) -> (Driver, DuplexStream, mpsc::Receiver<Event>) {
    let (device_end, mut hub_end) = tokio::io::duplex(64 * 1024);
    let (events_in, events) = mpsc::channel(4);
    let identity = (DeviceId::parse("d").unwrap(), None);
    let mut driver = Driver::new(Box::new(device_end), keep_alive, identity, events_in);
    let connect = Connect {
        client_id: "d".into(),
        clean_session: true,
        keep_alive,
        will: None,
        username: None,
        password: None,
    };
    let accepted = ConnAck {
        session_present: false,
        code: ConnectReturnCode::Accepted,
    };
    say(&mut hub_end, &Packet::ConnAck(accepted)).await;
    let code = driver.connect(connect).await.unwrap();
    assert_eq!(code, ConnectReturnCode::Accepted);
    (driver, hub_end, events)
}

async fn say(hub_end: &mut DuplexStream, packet: &Packet) {
    let mut out = BytesMut::new();
    mqtt::encode(packet, &mut out).unwrap();
    hub_end.write_all(&out).await.unwrap();
}

/// Everything that the device sent until it hung up.
async fn heard(mut hub_end: DuplexStream) -> Vec<Packet> {
    let mut bytes = Vec::new();
    hub_end.read_to_end(&mut bytes).await.unwrap();
    let mut bytes = BytesMut::from(&bytes[..]);
    std::iter::from_fn(|| decode(&mut bytes, MAX_PACKET).unwrap()).collect()
}

fn call(rid: usize) -> Packet {
    Packet::Publish(Publish {
        topic: format!("$iothub/methods/POST/m/?$rid={rid}"),
        payload: Bytes::new(),
        retain: false,
        delivery: Delivery::AtMostOnce,
    })
}

#[tokio::test]
async fn a_hub_that_answers_no_ping_is_given_up() {
    let (driver, hub_end, _events) = connected(1).await;
    let (_calls, calls) = mpsc::channel(1);
    assert_eq!(driver.run(calls).await, Lost::Silent);
    let packets: Vec<&str> = heard(hub_end).await.iter().map(Packet::name).collect();
    assert_eq!(packets, ["CONNECT", "PINGREQ"]);
}

#[tokio::test]
async fn events_that_nobody_takes_end_the_connection() {
    let (driver, mut hub_end, mut events) = connected(60).await;
    let (_calls, calls) = mpsc::channel(1);
    for rid in 0..5 {
        say(&mut hub_end, &call(rid)).await;
    }
    assert_eq!(driver.run(calls).await, Lost::NotRead);
    let mut taken = 0;
    while let Some(Event::Method(call)) = events.recv().await {
        assert_eq!(call.rid, taken.to_string());
        taken += 1;
    }
    assert_eq!(taken, 4, "what was taken in is delivered");
}

#[tokio::test]
async fn a_hub_that_breaks_the_protocol_is_left() {
    for bytes in [&b"\x00\x00"[..], b"\x10\x00", b"\x30\xff\xff\xff\x7f"] {
        let (driver, mut hub_end, _events) = connected(60).await;
        let (_calls, calls) = mpsc::channel(1);
        hub_end.write_all(bytes).await.unwrap();
        let lost = driver.run(calls).await;
        assert!(matches!(lost, Lost::Protocol(_)), "{bytes:?}: {lost:?}");
    }
}

#[tokio::test]
async fn messages_wait_while_too_many_are_unacknowledged() {
    let (driver, hub_end, _events) = connected(60).await;
    let window = SessionLimits::default().outgoing;
    let (calls_in, calls) = mpsc::channel(window + 2);
    let mut waiting = Vec::new();
    for _ in 0..=window {
        let (done, delivered) = oneshot::channel();
        let (bag, payload) = (String::new(), Bytes::new());
        let call = Call::Telemetry { bag, payload, done };
        calls_in.send(call).await.unwrap();
        waiting.push(delivered);
    }
    let running = tokio::spawn(driver.run(calls));
    let (mut reader, mut writer) = tokio::io::split(hub_end);
    let mut received = BytesMut::new();
    let mut ids = Vec::new();
    while ids.len() < window {
        reader.read_buf(&mut received).await.unwrap();
        ids.extend(published(&mut received));
    }
    assert_eq!(calls_in.capacity(), window + 1, "one call is still waiting");
    let mut ack = BytesMut::new();
    mqtt::encode(&Packet::PubAck(ids[0]), &mut ack).unwrap();
    writer.write_all(&ack).await.unwrap();
    waiting.remove(0).await.unwrap();
    while ids.len() == window {
        reader.read_buf(&mut received).await.unwrap();
        ids.extend(published(&mut received));
    }
    drop(calls_in);
    // The window is full again, so the end of the calls is not seen before another acknowledgement.
    let mut ack = BytesMut::new();
    mqtt::encode(&Packet::PubAck(ids[1]), &mut ack).unwrap();
    writer.write_all(&ack).await.unwrap();
    assert_eq!(running.await.unwrap(), Lost::Ended);
}

fn published(received: &mut BytesMut) -> Vec<PacketId> {
    let packets = std::iter::from_fn(|| decode(received, MAX_PACKET).unwrap());
    let id = |packet| match packet {
        Packet::Publish(Publish {
            delivery: Delivery::AtLeastOnce { id, .. },
            ..
        }) => Some(id),
        _ => None,
    };
    packets.filter_map(id).collect()
}
