//! Clients that do not keep their side, on virtual time: it passes when every task waits.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use super::packet_stream::{PACKET_DEADLINE, SEND_DEADLINE};
use super::*;
use crate::fake::{Fake, peer};
use crate::mqtts;

/// A client that sends `sends` and then neither sends nor reads.
struct Deaf {
    sends: &'static [u8],
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.sends.is_empty() {
            return Poll::Pending;
        }
        buffer.put_slice(self.sends);
        self.sends = &[];
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Pending
    }
}

/// How long a connection lasts, with or without a stop of the server.
async fn lasts(client: Deaf, stopping: bool) -> Duration {
    let (_stop, stopping) = watch::channel(stopping);
    let begun = Instant::now();
    serve(client, peer(), Fake, stopping).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_refusal_is_disconnected() {
    // CONNECT of level 3 ("MQIsdp" was its name), which is answered with CONNACK 1.
    let sends = b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00";
    let lasted = lasts(Deaf { sends }, false).await;
    assert!(lasted >= SEND_DEADLINE, "the answer was not sent");
    // H19: one deadline, not one after the other.
    assert!(
        lasted < SEND_DEADLINE + Duration::from_secs(1),
        "{lasted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_connect_ends_with_its_deadline_and_at_once_when_the_server_stops() {
    let waited = lasts(Deaf { sends: b"\x10" }, false).await;
    assert!(waited >= CONNECT_DEADLINE, "{waited:?}");
    let stopped = lasts(Deaf { sends: b"\x10" }, true).await;
    assert!(
        stopped <= SEND_DEADLINE,
        "only the last bytes are waited for: {stopped:?}"
    );
}

/// A CONNECT whose keep-alive promises nothing.
fn connect() -> Vec<u8> {
    let field = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length, text.as_bytes()].concat()
    };
    let body = [field("MQTT"), vec![4, 2, 0, 0], field("dev1")].concat();
    [vec![0x10, u8::try_from(body.len()).unwrap()], body].concat()
}

/// Sends `first`, then `again` every twenty seconds, and reads all the time: how long the
/// connection lasts, and what is read.
async fn talk(first: &[u8], again: &'static [u8]) -> (Duration, Vec<u8>) {
    let (_stop, stopping) = watch::channel(false);
    let (server, client) = tokio::io::duplex(1024 * 1024);
    let (mut reading, mut writing) = tokio::io::split(client);
    writing.write_all(first).await.unwrap();
    let begun = Instant::now();
    tokio::spawn(async move {
        // Virtual time: what is under test is a clock.
        loop {
            tokio::time::sleep(Duration::from_secs(20)).await;
            if writing.write_all(again).await.is_err() {
                return;
            }
        }
    });
    mqtts::serve(server, peer(), Fake, stopping).await;
    let lasted = begun.elapsed();
    let mut read = Vec::new();
    reading.read_to_end(&mut read).await.unwrap();
    (lasted, read)
}

const CONNACK: &[u8] = b"\x20\x02\x00\x00";

#[tokio::test(start_paused = true)]
async fn a_packet_that_is_not_finished_ends_its_connection() {
    // C3: a PUBLISH of 64 KiB of which all but one byte comes, and then nothing or a byte now and
    // then.
    let half = [&[0x30, 0x80, 0x80, 0x04], &[0; 65_535 - 100][..]].concat();
    let sent = [connect(), half].concat();
    for again in [&b""[..], b"\x00"] {
        let (lasted, read) = talk(&sent, again).await;
        assert_eq!(read, CONNACK);
        assert!(lasted >= PACKET_DEADLINE, "{lasted:?}");
        assert!(lasted < PACKET_DEADLINE + Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn packets_are_limited_before_connack_and_by_the_session() {
    // C3: 21 KiB before CONNACK, 101 KiB in a session that takes 100.
    let (lasted, read) = talk(b"\x10\x80\xa8\x01", b"").await;
    assert!(read.is_empty() && lasted.is_zero(), "{lasted:?} {read:?}");
    let publish = b"\x30\x80\xa8\x06".to_vec();
    let sent = [connect(), publish].concat();
    let (lasted, read) = talk(&sent, b"").await;
    assert_eq!(read, CONNACK);
    assert!(lasted.is_zero(), "{lasted:?}");
}

/// A PUBLISH at QoS 1.
fn publish(id: u8, topic: &str, payload: &str) -> Vec<u8> {
    let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
    let body = [&length[..], topic.as_bytes(), &[0, id], payload.as_bytes()].concat();
    [vec![0x32, u8::try_from(body.len()).unwrap()], body].concat()
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_together_are_kept_together_and_acknowledged_in_order() {
    let sent = [
        connect(),
        publish(1, "kept", "a"),
        publish(2, "kept", "b"),
        publish(3, "other", ""),
        publish(4, "kept", "c"),
        publish(5, "kept", "bad"),
        publish(6, "kept", "d"),
    ]
    .concat();
    let (_, read) = talk(&sent, b"").await;
    let acknowledged = |id| vec![0x40, 2, 0, id];
    let reply = b"\x30\x0d\x00\x08together[2]".to_vec();
    let expected = [
        CONNACK.to_vec(),
        acknowledged(1),
        acknowledged(2),
        acknowledged(3),
        reply,
        // What came before the message that could not be kept is acknowledged, nothing after it.
        acknowledged(4),
    ];
    assert_eq!(read, expected.concat());
}

#[tokio::test(start_paused = true)]
async fn messages_that_take_several_reads_are_kept_together() {
    let payload = "x".repeat(4096);
    let large = |id: u8| {
        let small = publish(id, "kept", "");
        let length = small.len() - 2 + payload.len();
        let length = [(length % 128) as u8 | 0x80, (length / 128) as u8];
        [&small[..1], &length, &small[2..], payload.as_bytes()].concat()
    };
    let sent = [
        connect(),
        (1..=64).flat_map(large).collect(),
        publish(65, "other", ""),
        b"\xe0\x00".to_vec(),
    ]
    .concat();
    let (_, read) = talk(&sent, b"").await;
    let acknowledged: Vec<u8> = (1..=65).flat_map(|id| [0x40, 2, 0, id]).collect();
    let reply = b"\x30\x0e\x00\x08together[64]".to_vec();
    assert_eq!(read, [CONNACK.to_vec(), acknowledged, reply].concat());
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sent_before_it_went_away_is_kept_and_acknowledged() {
    let (_stop, stopping) = watch::channel(false);
    let (server, client) = tokio::io::duplex(1024 * 1024);
    let (mut reading, mut writing) = tokio::io::split(client);
    let sent = [connect(), publish(1, "kept", "a"), publish(2, "kept", "b")];
    writing.write_all(&sent.concat()).await.unwrap();
    writing.shutdown().await.unwrap();
    mqtts::serve(server, peer(), Fake, stopping).await;
    let mut read = Vec::new();
    reading.read_to_end(&mut read).await.unwrap();
    let acknowledged = [0x40, 2, 0, 1, 0x40, 2, 0, 2];
    assert_eq!(read, [CONNACK, &acknowledged].concat());
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_messages_has_a_limit() {
    let many: Vec<u8> = (1..=70).flat_map(|id| publish(id, "kept", "a")).collect();
    let sent = [
        connect(),
        many,
        publish(71, "other", ""),
        b"\xe0\x00".to_vec(),
    ]
    .concat();
    let (_, read) = talk(&sent, b"").await;
    let text = String::from_utf8_lossy(&read);
    assert!(text.ends_with("together[64, 6]"), "{text}");
}
