//! kill -9 of the server while telemetry is routed to a webhook: what a device was told is taken
//! reaches the webhook, in order.

use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{Device, EventSink, Server, Workshop, until};

/// Messages before the server is killed.
const MESSAGES: usize = 200;

/// Routes all telemetry to the webhook.
async fn route_to(server: &Server, sink: &EventSink) -> Result<()> {
    let url = sink.url();
    server
        .muster(&format!(
            "hub routing-endpoint create --endpoint-name hook --endpoint-type webhook --url {url}"
        ))
        .await?;
    server
        .muster(
            "hub message-route create --route-name all --source-type DeviceMessages \
             --endpoint-name hook",
        )
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_telemetry_reaches_the_webhook_after_a_kill() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let mut server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let sink = EventSink::start().await?;
    route_to(&server, &sink).await?;
    let device = Device::with_certificate(&server, &workshop.issue("d1")?)?;
    let hub = device.assigned_hub().await?;
    let kill_it = async {
        let some = until("deliveries", Duration::from_secs(60), || async {
            let so_far = sink.bodies().len();
            ensure!(so_far > MESSAGES, "{so_far} so far");
            // The rest waits in the log.
            sink.answer(503);
            Ok(())
        });
        some.await?;
        server.kill()
    };
    let (killed, taken) = tokio::join!(kill_it, device.send_until_refused(&hub));
    killed?;
    ensure!(taken.len() > MESSAGES, "only {} were taken", taken.len());
    sink.answer(200);
    server.start_again().await?;
    let all = until("the rest", Duration::from_secs(60), || async {
        let came = sink.bodies();
        let lost: Vec<_> = taken.iter().filter(|body| !came.contains(body)).collect();
        ensure!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
        Ok(came)
    });
    let mut came = all.await?;
    // What was delivered twice came twice; each first time is in order.
    let mut seen = std::collections::BTreeSet::new();
    came.retain(|body| seen.insert(body.clone()));
    came.truncate(taken.len());
    assert_eq!(came, taken);
    let health = server.muster("hub routing-endpoint show-health").await?;
    ensure!(health[0]["deadLettered"] == 0, "{health}");
    Ok(())
}
