//! Cloud-to-device messages through real sockets: sent by `muster device`, received over MQTT and
//! HTTPS, kept through kill -9.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Device, MqttDevice, Server, until};

const SEND: &str = "device c2d-message send -d dev-1";
const FILTER: &str = "devices/dev-1/messages/devicebound/#";

async fn create(server: &Server) -> Result<Device> {
    let url = format!(
        "https://{}/devices/dev-1?api-version=2021-04-12",
        server.host()
    );
    let request = server.client()?.put(url);
    let request = request.header("authorization", server.hub_owner_token()?);
    let created = request.body(r#"{"deviceId": "dev-1"}"#).send().await?;
    let device: Value = serde_json::from_slice(&created.bytes().await?)?;
    let key = device["authentication"]["symmetricKey"]["primaryKey"].as_str();
    Device::with_key(server, "dev-1", key.context("no key")?)
}

async fn queued(server: &Server) -> Result<u64> {
    let device = server.muster("hub device-identity show -d dev-1").await?;
    let count = device["cloudToDeviceMessageCount"].as_u64();
    count.context("no count")
}

async fn until_queued(server: &Server, expected: u64) -> Result<()> {
    until("the queue", Duration::from_secs(30), || async {
        let count = queued(server).await?;
        ensure!(count == expected, "{count} messages, not {expected}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_devices_exchange_messages() -> Result<()> {
    let server = Server::start().await?;
    let device = create(&server).await?;
    let hub = server.host();
    let mut session = device.connect_again(&hub).await?;
    ensure!(!session.session_present());
    session.subscribe(FILTER).await?;
    let flags = "--message-id m1 --properties Room=7;floor=2 --content-type text/plain --ack full";
    let sent = server
        .muster(&format!("{SEND} --data hello {flags}"))
        .await?;
    assert_eq!(sent, json!({"messageId": "m1"}));
    let message = session.message().await?;
    assert_eq!(
        (message.duplicate, message.payload.as_slice()),
        (false, &b"hello"[..])
    );
    for property in ["%24.mid=m1", "Room=7", "floor=2", "%24.ct=text%2Fplain"] {
        ensure!(message.topic.contains(property), "{}", message.topic);
    }
    drop(session);

    // It was not acknowledged: it comes again, without another SUBSCRIBE.
    let mut session = device.connect_again(&hub).await?;
    ensure!(session.session_present());
    let again = session.message().await?;
    assert_eq!((again.duplicate, &again.topic), (true, &message.topic));
    session.acknowledge(&again).await?;
    until_queued(&server, 0).await?;
    let watch = "hub monitor-feedback -d dev-1 --wait-on-msg m1 --timeout 60";
    let feedback = server.muster(watch).await?;
    assert_eq!(feedback["statusCode"], "Success");

    let wait = format!("{SEND} --data hello --message-id größe --ack full --wait");
    let acknowledge = async {
        let message = session.message().await?;
        session.acknowledge(&message).await
    };
    let (feedback, acknowledged) = tokio::join!(server.muster(&wait), acknowledge);
    acknowledged?;
    assert_eq!(feedback?["originalMessageId"], "größe");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_receive_and_purge_in_the_place_of_a_device() -> Result<()> {
    let server = Server::start().await?;
    create(&server).await?;
    let (receive, rest) = ("device c2d-message receive -d dev-1", "-d dev-1 --etag");
    assert_eq!(server.muster(receive).await?, Value::Null);
    server
        .muster(&format!("{SEND} --data two --message-id m2"))
        .await?;
    let two = server.muster(receive).await?;
    assert_eq!(
        (
            &two["data"],
            &two["properties"]["system"]["iothub-messageid"]
        ),
        (&json!("two"), &json!("m2"))
    );
    let etag = two["etag"].as_str().context("no etag")?;
    server
        .muster(&format!("device c2d-message abandon {rest} {etag}"))
        .await?;
    let again = server.muster(&format!("{receive} --complete")).await?;
    assert_eq!(again["properties"]["system"]["iothub-deliverycount"], "1");
    assert_eq!(again["ack"], "complete");
    let lost = server
        .try_muster(&format!("device c2d-message complete {rest} {etag}"))
        .await?;
    assert_eq!(lost.code, Some(1));
    for number in 0..3 {
        server.muster(&format!("{SEND} --data {number}")).await?;
    }
    let purged = server.muster("device c2d-message purge -d dev-1").await?;
    assert_eq!(purged["totalMessagesPurged"], 3);
    Ok(())
}

/// Sends over HTTPS until the server no longer answers; what it acknowledged.
async fn send_until_it_dies(server: &Server, first: usize, most: usize) -> Result<Vec<String>> {
    let (client, token) = (server.client()?, server.hub_owner_token()?);
    let url = format!(
        "https://{}/messages/devicebound?api-version=2021-04-12",
        server.host()
    );
    let mut acknowledged = Vec::new();
    for number in first..first + most {
        let id = format!("m{number:04}");
        let sent = client
            .post(&url)
            .header("authorization", &token)
            .header("iothub-to", "/devices/dev-1/messages/devicebound")
            .header("iothub-messageid", &id)
            .body(id.clone())
            .send();
        match sent.await {
            Ok(sent) if sent.status() == 204 => acknowledged.push(id),
            Ok(refused) => {
                let status = refused.status();
                anyhow::bail!(
                    "{id}: {status} {}",
                    refused.text().await.unwrap_or_default()
                );
            }
            Err(_the_server_is_gone) => break,
        }
    }
    Ok(acknowledged)
}

/// Receives and acknowledges so many messages; their ids.
async fn take(session: &mut MqttDevice, count: usize) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let message = session.message().await?;
        session.acknowledge(&message).await?;
        taken.push(String::from_utf8(message.payload)?);
    }
    Ok(taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_sent_message_and_brings_back_no_completed_one() -> Result<()> {
    let mut server = Server::start().await?;
    let device = create(&server).await?;
    let hub = server.host();
    let mut session = device.connect_again(&hub).await?;
    session.subscribe(FILTER).await?;
    let mut next = 0;
    for round in 0..4_u64 {
        // Ten messages are completed for certain, ten are not acknowledged.
        let mut sent = send_until_it_dies(&server, next, 20).await?;
        ensure!(sent.len() == 20, "round {round}: {} were sent", sent.len());
        let completed: BTreeSet<String> = take(&mut session, 10).await?.into_iter().collect();
        until_queued(&server, 10).await?;
        let process = server.process_id();
        let kill_it = async {
            // Somewhere within the sends that go on meanwhile.
            tokio::time::sleep(Duration::from_millis(20 + 17 * round)).await;
            let process = nix::unistd::Pid::from_raw(i32::try_from(process)?);
            Ok::<_, anyhow::Error>(nix::sys::signal::kill(process, nix::sys::signal::SIGKILL)?)
        };
        let (killed, more) = tokio::join!(kill_it, send_until_it_dies(&server, next + 20, 30));
        killed?;
        sent.extend(more?);
        server.kill()?;
        server.start_again().await?;
        next += 50;

        session = device.connect_again(&hub).await?;
        ensure!(session.session_present(), "the subscription is kept");
        // The last send may have been durable and not acknowledged.
        let count = usize::try_from(queued(&server).await?)?;
        let waiting: BTreeSet<&String> =
            sent.iter().filter(|id| !completed.contains(*id)).collect();
        let found = take(&mut session, count).await?;
        ensure!(found.is_sorted(), "in order: {found:?}");
        let found: BTreeSet<String> = found.into_iter().collect();
        let again: Vec<_> = found.intersection(&completed).collect();
        ensure!(
            again.is_empty(),
            "round {round}: completed, and sent again: {again:?}"
        );
        let lost: Vec<_> = waiting
            .into_iter()
            .filter(|id| !found.contains(*id))
            .collect();
        ensure!(
            lost.is_empty(),
            "round {round}: acknowledged, and lost: {lost:?}"
        );
        until_queued(&server, 0).await?;
    }
    Ok(())
}
