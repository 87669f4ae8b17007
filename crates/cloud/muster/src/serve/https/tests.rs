//! What a stop does to connections in different states.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::serve::mqtt_door::tests::{front, visit};

/// Sends `request`, stops the server, and tells how long the connection stays and what the client reads.
async fn stays(request: &str) -> (Duration, String) {
    let directory = tempfile::tempdir().unwrap();
    let front = front(directory.path()).await;
    let (stop, stopping) = watch::channel(false);
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(serve(near, nobody(), front, stopping));
    far.write_all(request.as_bytes()).await.unwrap();
    // Virtual time passes when everybody waits: the request has been read by then.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = Instant::now();
    stop.send(true).unwrap();
    serving.await.unwrap();
    let stayed = begun.elapsed();
    let mut read = String::new();
    far.read_to_string(&mut read).await.unwrap();
    (stayed, read)
}

#[tokio::test(start_paused = true)]
async fn half_a_request_does_not_keep_a_server_that_stops() {
    let (id, key) = (
        "PUT /0ne/registrations/a/register",
        "?api-version=2021-06-01",
    );
    for half in [
        format!("{id} HTTP/1.1\r\nhost: a\r\n"),
        format!("{id}{key} HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\n\r\n{{\"regi"),
    ] {
        let (stayed, read) = stays(&half).await;
        assert!(stayed <= 2 * QUIET, "{stayed:?}: {half}");
        assert_eq!(read, "", "nothing was owed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_at_once() {
    let (stayed, read) = stays("GET /0ne/registrations HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(stayed < QUIET, "{stayed:?}");
    assert!(read.starts_with("HTTP/1.1 404"), "{read}");
}

/// What a connection answers to `request` by itself, and when it is done.
async fn answered(request: &str) -> (Duration, String) {
    let directory = tempfile::tempdir().unwrap();
    let front = front(directory.path()).await;
    let (_stop, stopping) = watch::channel(false);
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let begun = Instant::now();
    tokio::spawn(serve(near, nobody(), front, stopping));
    far.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    far.read_to_string(&mut read).await.unwrap();
    (begun.elapsed(), read)
}

/// H20: what is announced as too long is refused at once, and nobody is told to go on sending it.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_announced_as_too_long_is_not_waited_for() {
    let register = "PUT /0ne/registrations/a/register?api-version=2021-06-01";
    let events = "POST /devices/a/messages/events?api-version=2021-04-12";
    for (path, expected) in [(register, "HTTP/1.1 413"), (events, "HTTP/1.1 401")] {
        for expect in ["", "expect: 100-continue\r\n"] {
            for length in [900_000_u64, 100_000_000] {
                let head = format!(
                    "{path} HTTP/1.1\r\nhost: hub.example\r\n{expect}content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let (took, read) = answered(&head).await;
                assert!(read.starts_with(expected), "{head}: {read}");
                // Without Expect the body is on its way, and a short one is taken off the connection.
                let patient = expect.is_empty() && length < 1_000_000;
                assert!(patient || took < Duration::from_secs(1), "{took:?}: {head}");
            }
        }
    }
}

/// H20.
#[tokio::test(start_paused = true)]
async fn a_late_body_is_told_so() {
    let head = "PUT /0ne/registrations/a/register?api-version=2021-06-01 HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\n\r\n{";
    let (took, read) = answered(head).await;
    assert!(read.starts_with("HTTP/1.1 408"), "{read}");
    assert!(read.to_ascii_lowercase().contains("connection: close"));
    assert!(took >= BODY_DEADLINE && took < BODY_DEADLINE + Duration::from_secs(5));
}

fn nobody() -> Peer {
    Peer {
        chain: pki::PeerChain::default(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        visit: visit(),
    }
}
