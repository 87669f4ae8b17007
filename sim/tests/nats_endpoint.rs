//! A real server of NATS as an endpoint: what a device was told is taken is in the stream, in order,
//! whichever server is killed in between.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{Device, NatsServer, Server, Workshop, until};

/// Messages before the first kill, and between it and the second one.
const MESSAGES: u64 = 100;

async fn route_to(server: &Server, nats: &NatsServer, host: &str) -> Result<()> {
    let (url, login) = (nats.url_with(host), nats.login());
    let create = format!(
        "hub routing-endpoint create --endpoint-name stream --endpoint-type nats --url {url} \
         --subject telemetry.{{deviceId}} {login}"
    );
    let created = server.muster(&create).await?;
    ensure!(created["endpointType"] == "nats", "{created}");
    server
        .muster(
            "hub message-route create --route-name all --source-type DeviceMessages \
             --endpoint-name stream",
        )
        .await?;
    Ok(())
}

async fn health(server: &Server) -> Result<serde_json::Value> {
    let health = server.muster("hub routing-endpoint show-health").await?;
    Ok(health[0].clone())
}

async fn hold(nats: &NatsServer, count: u64) -> Result<()> {
    let held = || async {
        let so_far = nats.count().await?;
        ensure!(so_far >= count, "{so_far} so far");
        Ok(())
    };
    until("messages in the stream", Duration::from_secs(60), held).await
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_telemetry_is_in_the_stream_after_kills_of_both_servers() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let mut server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let mut nats = NatsServer::start("telemetry.>").await?;
    route_to(&server, &nats, "127.0.0.1").await?;
    let device = Device::with_certificate(&server, &workshop.issue("d.1")?)?;
    let hub = device.assigned_hub().await?;
    let kill_both = async {
        hold(&nats, MESSAGES).await?;
        nats.kill()?;
        let failing = || async {
            let health = health(&server).await?;
            ensure!(health["healthStatus"] == "unhealthy", "{health}");
            Ok(())
        };
        until("a failed delivery", Duration::from_secs(30), failing).await?;
        nats.start_again()?;
        hold(&nats, 2 * MESSAGES).await?;
        server.kill()
    };
    let (killed, taken) = tokio::join!(kill_both, device.send_until_refused(&hub));
    killed?;
    server.start_again().await?;
    let all = until("the rest", Duration::from_secs(60), || async {
        let messages = nats.messages().await?;
        let came: BTreeSet<_> = messages.iter().map(|message| &message.body).collect();
        let lost: Vec<_> = taken.iter().filter(|body| !came.contains(body)).collect();
        ensure!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
        Ok(messages)
    });
    let messages = all.await?;
    // The stream knows what was published again by its id.
    let mut bodies: Vec<_> = messages.iter().map(|message| &message.body).collect();
    bodies.truncate(taken.len());
    assert_eq!(bodies, taken.iter().collect::<Vec<_>>());
    let first = &messages[0];
    assert_eq!(first.subject, "telemetry.d%2E1");
    assert_eq!(first.header("iothub-connection-device-id"), "d.1");
    assert_eq!(first.header("x-muster-endpoint"), "stream");
    let health = health(&server).await?;
    ensure!(health["deadLettered"] == 0, "{health}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_reached_with_tls_by_the_name_in_its_certificate() -> Result<()> {
    let nats = NatsServer::start_with_tls("telemetry.>").await?;
    let ca = nats.ca().to_string_lossy().into_owned();
    let server = Server::start_with(vec!["--outbound-ca".to_owned(), ca]).await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    route_to(&server, &nats, "127.0.0.1").await?;
    let device = Device::with_certificate(&server, &workshop.issue("d1")?)?;
    let hub = device.assigned_hub().await?;
    let status = device.send(&hub, "hello").await?;
    ensure!(status.is_success(), "{status}");
    let refused = || async {
        let health = health(&server).await?;
        let error = health["lastKnownError"].as_str().unwrap_or_default();
        ensure!(error.contains("certificate"), "{health}");
        Ok(())
    };
    until("a refused certificate", Duration::from_secs(30), refused).await?;
    ensure!(nats.count().await? == 0, "the certificate names no address");
    let url = nats.url_with("localhost");
    let update = format!("hub routing-endpoint update --endpoint-name stream --url {url}");
    server.muster(&update).await?;
    hold(&nats, 1).await?;
    assert_eq!(nats.messages().await?[0].body, "hello");
    Ok(())
}
