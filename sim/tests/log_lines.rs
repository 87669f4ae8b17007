//! What an operator reads in the log at its default level: each thing once, with the device that it
//! is about and why.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Device, Server, Workshop};
use wire::topic::DeviceTopic;

/// Lines of the log with all of these texts.
fn lines(server: &Server, texts: &[&str]) -> Vec<String> {
    let log = server.log();
    let all = |line: &&str| texts.iter().all(|text| line.contains(text));
    log.lines().filter(all).map(str::to_owned).collect()
}

async fn wait_for_line(server: &Server, texts: &[&str]) -> Result<()> {
    let what = format!("a line with {texts:?}");
    sim::until(&what, Duration::from_secs(10), || async {
        let found = lines(server, texts);
        ensure!(found.len() == 1, "{found:?} in\n{}", server.log());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_thing_has_one_line_with_its_device_and_its_cause() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;

    // R15: a device that registers.
    let press = Device::with_certificate(&server, &workshop.issue("press-1")?)?;
    let hub = press.assigned_hub().await?;
    wait_for_line(&server, &[" INFO ", "registration press-1 is assigned"]).await?;

    // C10: one that is refused and comes back and back.
    let other_factory = Workshop::with_muster_ca()?;
    let unknown = Device::with_certificate(&server, &other_factory.issue("press-2")?)?;
    for _ in 0..20 {
        let (status, _) = unknown.register().await?;
        assert_eq!(status, 401);
    }
    wait_for_line(&server, &["registration press-2 was refused"]).await?;

    // H6: a session that ends for what its device did, and one that was taken over.
    let mut device = press.connect(&hub).await?;
    let remote = DeviceTopic::Events {
        bag: "a=#".to_owned(),
    };
    device.publish(&remote, b"x").await?;
    ensure!(device.received().await?.is_none(), "H23: it was closed");
    let device_id = "device.id=press-1";
    wait_for_line(&server, &[" INFO ", device_id, "reason.code=\"topic\""]).await?;
    let mut older = press.connect(&hub).await?;
    let mut newer = press.connect(&hub).await?;
    ensure!(older.received().await?.is_none(), "it was closed");
    wait_for_line(
        &server,
        &[" INFO ", device_id, "reason.code=\"taken_over\""],
    )
    .await?;

    // A device that is silent when a method is called is no failure of the server.
    newer.subscribe("$iothub/methods/POST/#").await?;
    let call = json!({"methodName": "ping", "responseTimeoutInSeconds": 5});
    let url = format!("https://{hub}/twins/press-1/methods?api-version=2021-04-12");
    let request = server.client()?.request(Method::POST, url);
    let request = request.header("authorization", server.hub_owner_token()?);
    let answer = request.json(&call).send().await?;
    assert_eq!(answer.status(), 504, "{:?}", answer.json::<Value>().await?);
    assert_eq!(lines(&server, &[" ERROR "]), [""; 0]);
    Ok(())
}
