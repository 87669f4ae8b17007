//! A webhook chooses hubs: silent, while the server is killed, and in good health.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sim::{Device, Server, Webhook, Workshop, until};

const DEVICES: usize = 20;

/// A server with a group whose devices a webhook allocates.
async fn plant(workshop: &Workshop, webhook: &Webhook) -> Result<Server> {
    let server = Server::start().await?;
    let flags = format!(
        "--allocation-policy custom --webhook-url '{}' --api-version 2021-10-01",
        webhook.url()
    );
    server
        .enroll_group("factory", &workshop.root(), &flags)
        .await?;
    let key = server.muster("dps allocation key").await?;
    webhook.trust(key["key"].as_str().context("a key")?)?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_wait_for_a_webhook_survive_kill_nine() -> Result<()> {
    let (workshop, webhook) = (Workshop::with_muster_ca()?, Webhook::start().await?);
    let mut server = plant(&workshop, &webhook).await?;
    let ids: Vec<String> = (0..DEVICES)
        .map(|number| format!("wait-{number:02}"))
        .collect();
    for id in &ids {
        let device = Device::with_certificate(&server, &workshop.issue(id)?)?;
        let (status, answer) = device.register().await?;
        ensure!(status == 202 && answer["status"] == "assigning", "{answer}");
    }
    until(
        "the webhook to be asked",
        Duration::from_secs(20),
        || async {
            ensure!(!webhook.asked().is_empty(), "nobody was asked about");
            Ok(())
        },
    )
    .await?;
    server.kill()?;

    webhook.answer_now();
    server.start_again().await?;
    for id in &ids {
        let state = server.wait_for_registration(id, "assigned").await?;
        assert_eq!(state["payload"]["for"], *id);
        assert_eq!(state["substatus"], "initialAssignment", "assigned once");
    }
    let twins = server.muster("hub device-twin list").await?;
    let mut there: Vec<&str> = twins
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|twin| twin["deviceId"].as_str())
        .collect();
    there.sort_unstable();
    assert_eq!(there, ids, "each device exists once");
    let list = format!("dps allocation list --registration-id {}", ids[0]);
    let notes = server.muster(&list).await?;
    assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
    let replay = format!("dps allocation replay --id {}", notes[0]["id"]);
    let replay = server.muster(&replay).await?;
    assert_eq!(replay["same"], true, "{replay}");
    assert!(
        !server.log().contains("secret"),
        "the URL's key is not logged"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_webhook_fails_the_registration_within_a_minute() -> Result<()> {
    let (workshop, webhook) = (Workshop::with_muster_ca()?, Webhook::start().await?);
    let server = plant(&workshop, &webhook).await?;
    let began = std::time::Instant::now();
    let device = Device::with_certificate(&server, &workshop.issue("silent")?)?;
    device.begin().await?;
    let show = "dps enrollment-group registration show --registration-id silent";
    let state = until("the failure", Duration::from_secs(60), || async {
        let answer = server.muster(show).await?;
        ensure!(answer["status"] == "failed", "it is {answer}");
        Ok(answer)
    })
    .await?;
    assert_eq!(state["errorCode"], 400_207);
    assert_eq!(webhook.asked()["silent"], 2);
    assert!(began.elapsed() < Duration::from_secs(60));
    Ok(())
}
