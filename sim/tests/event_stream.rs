//! Events as server-sent events, read by curl as an operator would: while they arrive, until the
//! server stops, and from there on after a restart.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{Device, Program, Server, Workshop, until};

/// `curl -N` of the stream; it prints to a file.
fn follow(server: &Server, last_seen: &str, file: &Path) -> Result<Program> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-N", "--cacert"]).arg(server.ca()?);
    curl.arg("-H");
    curl.arg(format!("Authorization: {}", server.hub_owner_token()?));
    curl.args(["-H", "Accept: text/event-stream"]);
    curl.args(["-H", &format!("Last-Event-ID: {last_seen}")]);
    curl.arg(format!("https://{}/muster/v1/events", server.host()));
    Program::start(curl, file)
}

/// What curl has printed, once an event with this offset is there.
async fn read_to(curl: &mut Program, offset: u64) -> Result<String> {
    let text = until("an event", Duration::from_secs(30), || {
        let (text, running) = (curl.log(), curl.still_runs());
        async move {
            running?;
            ensure!(text.contains(&format!("id: {offset}\n")), "{text}");
            Ok(text)
        }
    });
    text.await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_follows_events_and_goes_on_after_a_restart() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let mut server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = Device::with_certificate(&server, &workshop.issue("d1")?)?;
    let hub = device.assigned_hub().await?;
    ensure!(device.send(&hub, "one").await?.is_success());
    let mut curl = follow(&server, "", &workshop.path().join("first"))?;
    read_to(&mut curl, 1).await?;
    ensure!(device.send(&hub, "two").await?.is_success());
    let text = read_to(&mut curl, 2).await?;
    ensure!(
        text.contains("event: Telemetry\ndata: {\"offset\":2,"),
        "{text}"
    );
    // A stream keeps no server from stopping, and ends whole.
    server.terminate()?;
    let ended = until("the end of curl", Duration::from_secs(10), || {
        let ended = curl.still_runs();
        async move {
            let ended = ended.err().map(|error| error.to_string());
            ensure!(ended.is_some_and(|text| text.contains("exit status: 0")));
            Ok(())
        }
    });
    ended.await?;
    server.start_again().await?;
    ensure!(device.send(&hub, "three").await?.is_success());
    let mut curl = follow(&server, "2", &workshop.path().join("second"))?;
    let text = read_to(&mut curl, 3).await?;
    ensure!(!text.contains("id: 2\n"), "{text}");
    Ok(())
}
