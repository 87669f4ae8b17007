//! Statements of MQTT 3.1.1, by their numbers, in raw packets: what a client sends, what it reads,
//! and whether its connection goes on.

use std::future::pending;
use std::sync::{Arc, Mutex};

use mqtt::{Publish, QoS, SubscribeResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;
use crate::device_session::{ConnectRefused, NotKept, Outgoing};
use crate::fake::peer;
use crate::mqtts;

/// What a service saw of its client.
#[derive(Default)]
struct Seen {
    topics: Vec<String>,
    wills: Vec<Option<Will>>,
}

/// Accepts every client, grants every filter but "no", and takes 100 s for messages to "slow".
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Seen>>);

impl DeviceService for Recorder {
    type Session = Self;

    async fn connect(&self, _: &Connect, _: Peer) -> Result<Self, ConnectRefused> {
        Ok(self.clone())
    }
}

impl DeviceSession for Recorder {
    fn max_packet(&self) -> usize {
        300 * 1024
    }

    fn is_proven(&self) -> bool {
        true
    }

    fn closed(&self) -> impl Future<Output = Close> + Send + 'static {
        pending()
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        match filter {
            "no" => SubscribeResult::Refused,
            _ => SubscribeResult::Granted(qos),
        }
    }

    async fn unsubscribe(&mut self, _: &str) {}

    fn keeps(&self, _: &Publish) -> bool {
        true
    }

    async fn keep(&mut self, messages: Vec<Publish>) -> Result<(), NotKept> {
        for message in messages {
            self.see(message).await;
        }
        Ok(())
    }

    async fn publish(&mut self, message: Publish, _: &mut Vec<Outgoing>) -> Result<(), Close> {
        self.see(message).await;
        Ok(())
    }

    fn session_present(&self) -> bool {
        false
    }

    fn delivered(&mut self, _: i64) {}

    async fn next(&mut self) -> Outgoing {
        pending().await
    }

    async fn ended(self, _: Ending, will: Option<Will>) {
        self.0.lock().unwrap().wills.push(will);
    }
}

impl Recorder {
    async fn see(&self, message: Publish) {
        if message.topic == "slow" {
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        self.0.lock().unwrap().topics.push(message.topic);
    }
}

/// A server that runs until its client is gone, and the client's side.
fn server(recorder: &Recorder) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (server, client) = tokio::io::duplex(1024 * 1024);
    let (stop, stopping) = watch::channel(false);
    let recorder = recorder.clone();
    let running = tokio::spawn(async move {
        mqtts::serve(server, peer(), recorder, stopping).await;
        drop(stop);
    });
    (client, running)
}

/// A CONNECT with these flags and keep-alive, and what follows the client id.
fn connect(flags: u8, keep_alive: u16, rest: &[u8]) -> Vec<u8> {
    let keep_alive = keep_alive.to_be_bytes();
    let head = [
        &b"\x00\x04MQTT\x04"[..],
        &[flags],
        &keep_alive,
        b"\x00\x01d",
    ];
    let body = [&head.concat(), rest].concat();
    [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

const CLEAN: u8 = 0x02;
const ACCEPTED: &[u8] = b"\x20\x02\x00\x00";
const PING: &[u8] = b"\xc0\x00";
const PONG: &[u8] = b"\xd0\x00";

/// What is read after `sent`, and whether the server ended the connection by itself.
async fn answers(sent: &[u8]) -> (Vec<u8>, bool) {
    let (mut client, running) = server(&Recorder::default());
    client.write_all(sent).await.unwrap();
    let mut read = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(1), client.read_to_end(&mut read)).await;
    drop(client);
    running.await.unwrap();
    (read, ended.is_ok())
}

/// What ends an accepted connection.
const BROKEN: [(&str, &[u8]); 28] = [
    (
        "1.5.3-1 a surrogate in a topic",
        b"\x30\x05\x00\x03\xed\xa0\x80",
    ),
    (
        "1.5.3-1 a surrogate in a filter",
        b"\x82\x08\x00\x01\x00\x03\xed\xa0\x80\x00",
    ),
    ("1.5.3-2 U+0000 in a topic", b"\x30\x05\x00\x03a\x00b"),
    (
        "1.5.3-2 U+0000 in a filter",
        b"\xa2\x07\x00\x01\x00\x03a\x00b",
    ),
    (
        "2.2.2-2 flags of SUBSCRIBE",
        b"\x80\x06\x00\x01\x00\x01a\x00",
    ),
    ("2.2.2-2 flags of UNSUBSCRIBE", b"\xa0\x05\x00\x01\x00\x01a"),
    ("2.2.2-2 flags of PUBACK", b"\x42\x02\x00\x01"),
    ("2.2.2-2 flags of PINGREQ", b"\xc1\x00"),
    (
        "2.3.1-1 packet id 0 of PUBLISH",
        b"\x32\x05\x00\x01a\x00\x00",
    ),
    (
        "2.3.1-1 packet id 0 of SUBSCRIBE",
        b"\x82\x06\x00\x00\x00\x01a\x00",
    ),
    (
        "2.3.1-1 packet id 0 of UNSUBSCRIBE",
        b"\xa2\x05\x00\x00\x00\x01a",
    ),
    (
        "3.1.0-2 a second CONNECT",
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01d",
    ),
    ("3.3.1-2 DUP with QoS 0", b"\x38\x03\x00\x01a"),
    ("3.3.1-4 QoS 3", b"\x36\x05\x00\x01a\x00\x01"),
    ("3.8.3-3 SUBSCRIBE without a filter", b"\x82\x02\x00\x01"),
    (
        "3.8.3-4 QoS 3 is asked for",
        b"\x82\x06\x00\x01\x00\x01a\x03",
    ),
    (
        "3.8.3-4 reserved bits of a filter",
        b"\x82\x06\x00\x01\x00\x01a\x05",
    ),
    ("3.10.3-2 UNSUBSCRIBE without a filter", b"\xa2\x02\x00\x01"),
    ("3.14.1-1 flags of DISCONNECT", b"\xe1\x00"),
    ("4.7.3-1 an empty topic", b"\x30\x02\x00\x00"),
    ("4.7.3-1 an empty filter", b"\x82\x05\x00\x01\x00\x00\x00"),
    ("4.8.0-1 CONNACK is the server's", b"\x20\x02\x00\x00"),
    ("4.8.0-1 SUBACK is the server's", b"\x90\x03\x00\x01\x00"),
    ("4.8.0-1 PINGRESP is the server's", b"\xd0\x00"),
    (
        "deviation: PUBLISH with QoS 2",
        b"\x34\x05\x00\x01a\x00\x01",
    ),
    ("deviation: PUBREC", b"\x50\x02\x00\x01"),
    ("deviation: PUBREL", b"\x62\x02\x00\x01"),
    ("deviation: PUBCOMP", b"\x70\x02\x00\x01"),
];

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_ends_the_connection_without_an_answer() {
    for (statement, sent) in BROKEN {
        let (read, ended) = answers(&[&connect(CLEAN, 60, b""), sent, PING].concat()).await;
        assert_eq!((&read[..], ended), (ACCEPTED, true), "{statement}");
    }
}

/// First packets that are not answered.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let connect = |flags, rest: &[u8]| connect(CLEAN | flags, 60, rest);
    let no_will = [
        ("3.1.2-13 QoS of no will", connect(0x08, b"")),
        ("3.1.2-15 RETAIN of no will", connect(0x20, b"")),
        ("3.1.2-14 QoS 3", connect(0x1c, b"\x00\x01w\x00\x00")),
        ("deviation: QoS 2", connect(0x14, b"\x00\x01w\x00\x00")),
    ];
    let others = [
        ("3.1.0-1 PUBLISH is first", b"\x30\x03\x00\x01a".to_vec()),
        ("3.1.2-3 the reserved flag", connect(1, b"")),
        ("3.1.2-18 an unflagged user name", connect(0, b"\x00\x01u")),
        ("3.1.2-22 a password alone", connect(0x40, b"\x00\x01p")),
        ("3.1.3-11 U+0000", connect(0x80, b"\x00\x01\x00")),
    ];
    no_will.into_iter().chain(others).collect()
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_malformed_is_not_answered_and_another_version_is() {
    for (statement, sent) in malformed() {
        let (read, ended) = answers(&[&sent[..], PING].concat()).await;
        assert_eq!((&read[..], ended), (&b""[..], true), "{statement}");
    }
    // 3.1.2-1, 3.1.2-2
    for head in [&b"\x00\x04MQTT\x05"[..], b"\x00\x04MQTX\x04"] {
        let sent = [b"\x10\x0c", head, b"\x02\x00\x3c\x00\x00"].concat();
        let (read, ended) = answers(&sent).await;
        assert_eq!((&read[..], ended), (&b"\x20\x02\x00\x01"[..], true));
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_to_the_protocol_is_answered_in_its_order() {
    for (statement, sent, expected) in [
        ("3.12.4-1", &b"\xc0\x00"[..], &b"\xd0\x00"[..]),
        (
            "2.3.1-6 PUBACK has the id",
            b"\x32\x05\x00\x01a\x12\x34",
            b"\x40\x02\x12\x34",
        ),
        (
            "3.3.1-1 DUP",
            b"\x3a\x05\x00\x01a\x00\x01",
            b"\x40\x02\x00\x01",
        ),
        (
            "4.6.0-2 acknowledged in order; an id is free again afterwards",
            b"\x32\x05\x00\x01a\x00\x02\x32\x05\x00\x01a\x00\x01\x32\x05\x00\x01a\x00\x02",
            b"\x40\x02\x00\x02\x40\x02\x00\x01\x40\x02\x00\x02",
        ),
        ("3.3.1-12 RETAIN and no body", b"\x31\x03\x00\x01a", b""),
        (
            "3.8.4-2, -5: one code for each filter, and QoS 2 is granted as 1",
            b"\x82\x0f\x00\x07\x00\x01a\x02\x00\x02no\x01\x00\x01b\x00",
            b"\x90\x05\x00\x07\x01\x80\x00",
        ),
        (
            "3.10.4-4, -5: also without a subscription",
            b"\xa2\x05\x00\x08\x00\x01a",
            b"\xb0\x02\x00\x08",
        ),
        ("an acknowledgement of nothing", b"\x40\x02\x00\x63", b""),
        (
            "1.5.3-3 U+FEFF is a character",
            b"\x32\x08\x00\x04\xef\xbb\xbfa\x00\x01",
            b"\x40\x02\x00\x01",
        ),
    ] {
        let (read, ended) = answers(&[&connect(CLEAN, 60, b""), sent, PING].concat()).await;
        assert_eq!(read, [ACCEPTED, expected, PONG].concat(), "{statement}");
        assert!(!ended, "{statement}");
    }
    // 3.1.4-5: packets may follow CONNECT before CONNACK has come; 3.2.2-1: no session is present.
    let (read, ended) = answers(&connect(0, 60, b"")).await;
    assert_eq!((&read[..], ended), (ACCEPTED, false), "CleanSession 0");
}

#[tokio::test(start_paused = true)]
async fn a_will_counts_unless_the_client_says_disconnect() {
    let will = connect(CLEAN | 0x0c, 60, b"\x00\x01w\x00\x03bye");
    for (statement, then, counts) in [
        (
            "3.1.2-10, 3.14.4-3: DISCONNECT",
            Some(&b"\xe0\x00"[..]),
            false,
        ),
        ("3.1.2-8: the connection is lost", None, true),
        ("3.1.2-8: the protocol is broken", Some(b"\xf0\x00"), true),
        (
            "3.14.4-1: nothing counts behind DISCONNECT",
            Some(b"\xe0\x00\xf0\x00"),
            false,
        ),
    ] {
        let recorder = Recorder::default();
        let (mut client, running) = server(&recorder);
        client.write_all(&will).await.unwrap();
        client.read_exact(&mut [0; 4]).await.unwrap();
        client.write_all(then.unwrap_or_default()).await.unwrap();
        drop(client);
        running.await.unwrap();
        let wills = std::mem::take(&mut recorder.0.lock().unwrap().wills);
        let topics: Vec<_> = wills
            .into_iter()
            .map(|will| will.map(|will| will.topic))
            .collect();
        assert_eq!(topics, [counts.then(|| "w".to_owned())], "{statement}");
    }
}

/// How long a client is served that sends `then` after so many seconds, and nothing more.
async fn lasts(keep_alive: u16, first: &[u8], (at, then): (u64, &[u8])) -> Duration {
    let begun = Instant::now();
    let (mut client, running) = server(&Recorder::default());
    let sent = [&connect(CLEAN, keep_alive, b""), first].concat();
    client.write_all(&sent).await.unwrap();
    tokio::time::sleep(Duration::from_secs(at)).await;
    client.write_all(then).await.unwrap();
    running.await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_served_for_one_and_a_half_keep_alives() {
    for (statement, keep_alive, then, seconds) in [
        ("3.1.2-24", 60, (0, &b""[..]), 90),
        (
            "any packet counts",
            60,
            (50, &b"\x30\x03\x00\x01a"[..]),
            140,
        ),
        ("deviation: 0 counts as the maximum", 0, (0, b""), 1767),
        ("deviation: there is a maximum", 3600, (0, b""), 1767),
    ] {
        let lasted = lasts(keep_alive, b"", then).await;
        assert_eq!(lasted.as_secs(), seconds, "{statement}: {lasted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sent_while_the_service_waited_counts_whatever_its_length() {
    let slow = b"\x30\x06\x00\x04slow";
    // 200 KiB, of which the socket is read 8 KiB at a time.
    let long = [&b"\x30\x80\xc0\x0c\x00\x01a"[..], &[0; 200 * 1024 - 3]].concat();
    for then in [&long[..], PING] {
        // The keep-alive ran out after 90 s, while the service was busy until 100 s.
        let lasted = lasts(60, slow, (80, then)).await;
        assert_eq!(lasted.as_secs(), 190, "{} bytes", then.len());
    }
    let lasted = lasts(60, slow, (80, b"")).await;
    assert_eq!(lasted.as_secs(), 100, "one that sent nothing was silent");
}
