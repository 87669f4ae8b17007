//! What a stop does to connections in different states, on virtual time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::fake::{Fake, peer};

/// Sends `request` and stops the server: how long the connection stays open, and
/// what the client reads.
async fn after_stop(request: &str) -> (Duration, String) {
    let (stop, stopping) = watch::channel(false);
    let (server, mut client) = tokio::io::duplex(64 * 1024);
    let server_task = tokio::spawn(serve(server, peer(), Fake, stopping));
    client.write_all(request.as_bytes()).await.unwrap();
    // Virtual time passes when every task waits: the request has been read by then.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let begun = Instant::now();
    stop.send(true).unwrap();
    server_task.await.unwrap();
    let stayed = begun.elapsed();
    let mut read = String::new();
    client.read_to_string(&mut read).await.unwrap();
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
        let (stayed, read) = after_stop(&half).await;
        assert!(stayed <= 2 * QUIET, "{stayed:?}: {half}");
        assert_eq!(read, "", "nothing was owed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_at_once() {
    let (stayed, read) = after_stop("GET /0ne/registrations HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(stayed < QUIET, "{stayed:?}");
    assert!(read.starts_with("HTTP/1.1 404"), "{read}");
}
