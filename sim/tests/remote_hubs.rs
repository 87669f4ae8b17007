//! Two servers: the provisioning service of one assigns devices to the hub of the other, which it
//! trusts by that one's CA.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Device, Fleet, Identity, MqttDevice, Server, Workshop, until};

const FLEET: usize = 400;
const FIRST_TWIN: &str = "--initial-twin-tags '{\"by\":\"group\"}'";

/// Two servers; the first one's service is linked to the second one's hub as `remote`.
async fn pair() -> Result<(Server, Server)> {
    let remote = Server::start().await?;
    let near = Server::start_trusting(&remote).await?;
    link(&near, &remote.show("/hubs/0/connectionString")?).await?;
    Ok((near, remote))
}

async fn link(near: &Server, connection_string: &str) -> Result<()> {
    let link = "dps linked-hub create --name remote --connection-string";
    let linked = near
        .muster(&format!("{link} '{connection_string}'"))
        .await?;
    ensure!(linked["location"] == "remote", "{linked}");
    Ok(())
}

/// Lets the group of all devices choose other hubs.
async fn send_to(near: &Server, host: &str) -> Result<()> {
    let update = "dps enrollment-group update --enrollment-id factory --iot-hubs";
    near.muster(&format!("{update} {host}")).await.map(drop)
}

/// Creates the group of all devices, whose hub is that of this host.
async fn group_at(near: &Server, workshop: &Workshop, host: &str, flags: &str) -> Result<()> {
    let policy = format!("--allocation-policy static --iot-hubs {host} {flags}");
    near.enroll_group("factory", &workshop.root(), &policy)
        .await
        .map(drop)
}

/// Registers and waits until it is over; the registration as the operator sees it.
async fn provision(near: &Server, identity: &Identity, status: &str) -> Result<Value> {
    Device::with_certificate(near, identity)?.begin().await?;
    near.wait_for_registration(&identity.name, status).await
}

/// Connects to the hub of a server.
async fn session(server: &Server, identity: &Identity) -> Result<MqttDevice> {
    let device = Device::with_certificate(server, identity)?;
    device.connect(&server.host()).await
}

async fn wait_for_health(near: &Server, state: &str) -> Result<Value> {
    until(state, Duration::from_secs(60), || async {
        let answer = near.muster("dps linked-hub show --name remote").await?;
        ensure!(answer["health"]["state"] == state, "{answer}");
        Ok(answer)
    })
    .await
}

async fn tag(server: &Server, device: &str, tags: &Value) -> Result<()> {
    let update = format!("hub device-twin update -d {device} --tags '{tags}'");
    server.muster(&update).await.map(drop)
}

async fn wait_until_gone(server: &Server, device: &str) -> Result<()> {
    until("the old device to go", Duration::from_secs(30), || async {
        let found = server
            .try_muster(&format!("hub device-identity show -d {device}"))
            .await?;
        ensure!(found.code == Some(1), "{}", found.stdout);
        Ok(())
    })
    .await
}

/// A device on its way between two servers.
struct Journey {
    near: Server,
    remote: Server,
    workshop: Workshop,
    identity: Identity,
}

impl Journey {
    async fn begin() -> Result<Self> {
        let (near, remote) = pair().await?;
        let workshop = Workshop::with_muster_ca()?;
        let identity = workshop.issue("traveller")?;
        Ok(Self {
            near,
            remote,
            workshop,
            identity,
        })
    }

    async fn arrive(&self, host: &str, substatus: &str) -> Result<()> {
        let state = provision(&self.near, &self.identity, "assigned").await?;
        ensure!(state["assignedHub"] == host, "{state}");
        ensure!(state["substatus"] == substatus, "{state}");
        Ok(())
    }

    async fn first_time(&self) -> Result<()> {
        let there = self.remote.host();
        let flags = format!("--edge-enabled true {FIRST_TWIN}");
        group_at(&self.near, &self.workshop, &there, &flags).await?;
        self.arrive(&there, "initialAssignment").await?;
        let device = self.remote.twin("traveller").await?;
        ensure!(device["tags"]["by"] == "group", "{device}");
        ensure!(device["capabilities"]["iotEdge"] == true, "{device}");
        let mut session = session(&self.remote, &self.identity).await?;
        session.report(&json!({"temperature": 20})).await?;
        until("the report", Duration::from_secs(20), || async {
            let twin = self.remote.twin("traveller").await?;
            let reported = &twin["properties"]["reported"];
            ensure!(reported["temperature"] == 20, "{reported}");
            Ok(())
        })
        .await
    }

    async fn here(&self) -> Result<()> {
        tag(&self.remote, "traveller", &json!({"site": "remote"})).await?;
        let host = self.near.host();
        send_to(&self.near, &host).await?;
        self.arrive(&host, "deviceDataMigrated").await?;
        let moved = self.near.twin("traveller").await?;
        ensure!(
            moved["tags"] == json!({"by": "group", "site": "remote"}),
            "{moved}"
        );
        ensure!(
            moved["properties"]["reported"]["temperature"] == 20,
            "{moved}"
        );
        ensure!(moved["capabilities"]["iotEdge"] == true, "{moved}");
        wait_until_gone(&self.remote, "traveller").await?;
        session(&self.near, &self.identity).await.map(drop)
    }

    async fn back_there(&self) -> Result<()> {
        tag(&self.near, "traveller", &json!({"site": "near"})).await?;
        let host = self.remote.host();
        send_to(&self.near, &host).await?;
        self.arrive(&host, "deviceDataMigrated").await?;
        let moved = self.remote.twin("traveller").await?;
        ensure!(
            moved["tags"] == json!({"by": "group", "site": "near"}),
            "{moved}"
        );
        wait_until_gone(&self.near, "traveller").await?;
        session(&self.remote, &self.identity).await.map(drop)
    }

    async fn blocked(&self) -> Result<()> {
        let blocked = self
            .near
            .muster("dps block --registration-id traveller")
            .await?;
        let done = json!([{"hub": "remote", "state": "done"}]);
        ensure!(blocked["hubs"] == done, "{blocked}");
        let again = session(&self.remote, &self.identity).await;
        ensure!(again.is_err(), "its hub does not let it in");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_goes_to_the_hub_of_another_server_and_its_twin_moves_with_it() -> Result<()> {
    let journey = Journey::begin().await?;
    journey.first_time().await?;
    journey.here().await?;
    journey.back_there().await?;
    journey.blocked().await
}

async fn devices(server: &Server) -> Result<Vec<String>> {
    let twins = server.muster("hub device-twin list").await?;
    let rows = twins.as_array().context("no list")?.iter();
    let ids = rows.filter_map(|twin| Some(twin["deviceId"].as_str()?.to_owned()));
    Ok(ids.collect())
}

async fn each_is_recorded_and_made_once(near: &Server, remote: &Server) -> Result<()> {
    let list = "dps enrollment-group registration list --enrollment-id factory";
    let records = near.muster(list).await?;
    let mut registered = BTreeSet::new();
    for record in records.as_array().context("no list")? {
        let is_there = record["assignedHub"] == remote.host();
        ensure!(record["status"] == "assigned" && is_there, "{record}");
        registered.extend(record["deviceId"].as_str().map(str::to_owned));
    }
    let made = devices(remote).await?;
    ensure!(made.len() == FLEET, "{} devices", made.len());
    let made: BTreeSet<_> = made.into_iter().collect();
    ensure!(made == registered, "each has its record");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_another_server_survive_kill_nine_and_make_each_device_once() -> Result<()>
{
    let (mut near, remote) = pair().await?;
    let workshop = Workshop::with_muster_ca()?;
    group_at(&near, &workshop, &remote.host(), FIRST_TWIN).await?;
    let record = workshop.path().join("acknowledged");
    let flags = format!(
        "--prefix remote --retry-for 120 --record {}",
        record.display()
    );
    let fleet = Fleet::start(&near, &workshop, FLEET, &flags)?;
    until("some devices", Duration::from_secs(60), || async {
        let so_far = devices(&remote).await?.len();
        ensure!(so_far > FLEET / 10, "{so_far} so remote");
        Ok(())
    })
    .await?;
    near.kill()?;
    let before = devices(&remote).await?.len();
    ensure!(
        before < FLEET,
        "the server was killed too late to prove anything"
    );
    near.start_again().await?;
    until(
        "the rest of the fleet",
        Duration::from_secs(150),
        || async {
            let done = std::fs::read_to_string(&record)
                .unwrap_or_default()
                .lines()
                .count();
            ensure!(done == FLEET, "{done} of {FLEET}");
            Ok(())
        },
    )
    .await
    .with_context(|| fleet.log())?;

    each_is_recorded_and_made_once(&near, &remote).await?;
    for device in ["remote-000001", "remote-000200", "remote-000400"] {
        let twin = remote.twin(device).await?;
        ensure!(twin["tags"]["by"] == "group", "{device} has its first twin");
    }
    ensure!(devices(&near).await?.is_empty(), "none is here");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_gets_no_devices_until_it_is_back() -> Result<()> {
    let (near, mut remote) = pair().await?;
    let workshop = Workshop::with_muster_ca()?;
    near.enroll_group("factory", &workshop.root(), "").await?;
    let metrics = near.metrics().await?;
    ensure!(
        metrics.contains(r#"muster_dps_linked_hub_health{hub="remote"} 1"#),
        "{metrics}"
    );
    remote.terminate()?;
    let unhealthy = wait_for_health(&near, "unhealthy").await?;
    let error = unhealthy["health"]["lastError"]
        .as_str()
        .context("no error")?;
    ensure!(error.contains("hub remote gave no answer"), "{error}");
    let metrics = near.metrics().await?;
    ensure!(
        metrics.contains(r#"muster_dps_linked_hub_health{hub="remote"} 0"#),
        "{metrics}"
    );
    for number in 0..8 {
        let identity = workshop.issue(&format!("unhealthy-{number}"))?;
        let state = provision(&near, &identity, "assigned").await?;
        ensure!(state["assignedHub"] == near.host(), "{state}");
    }
    let notes = near
        .muster("dps allocation list --registration-id unhealthy-0")
        .await?;
    let why = notes[0]["skippedHubs"][0]["why"]
        .as_str()
        .context("no reason")?;
    ensure!(
        why.starts_with("hub remote was skipped: unhealthy since"),
        "{why}"
    );

    remote.start_again().await?;
    wait_for_health(&near, "healthy").await?;
    let mut hubs: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..12 {
        let identity = workshop.issue(&format!("back-{number}"))?;
        let state = provision(&near, &identity, "assigned").await?;
        let hub = state["assignedHub"].as_str().context("no hub")?;
        *hubs.entry(hub.to_owned()).or_default() += 1;
    }
    ensure!(
        hubs.contains_key(&remote.host()),
        "it takes its share again: {hubs:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_wrong_key_is_shown_to_the_operator() -> Result<()> {
    let remote = Server::start().await?;
    let near = Server::start_trusting(&remote).await?;
    let other = Server::start().await?;
    let key_of = |server: &Server| -> Result<String> {
        let text = server.show("/hubs/0/connectionString")?;
        let (_, key) = text.split_once("SharedAccessKey=").context("no key")?;
        Ok(key.to_owned())
    };
    let right = remote.show("/hubs/0/connectionString")?;
    link(&near, &right.replace(&key_of(&remote)?, &key_of(&other)?)).await?;
    let workshop = Workshop::with_muster_ca()?;
    let there = remote.host();
    group_at(&near, &workshop, &there, "").await?;
    let identity = workshop.issue("wrong-key")?;
    let state = provision(&near, &identity, "failed").await?;
    ensure!(state["errorCode"] == 401_003, "{state}");
    let message = state["errorMessage"].as_str().context("no message")?;
    ensure!(
        message.contains("hub remote refused the key of its link with status 401"),
        "{message}"
    );
    let unhealthy = wait_for_health(&near, "unhealthy").await?;
    ensure!(
        unhealthy["health"]["lastError"]
            .to_string()
            .contains("refused the key"),
        "{unhealthy}"
    );

    // The right key is another chance at once.
    let update = "dps linked-hub update --name remote --connection-string";
    near.muster(&format!("{update} '{right}'")).await?;
    let state = provision(&near, &identity, "assigned").await?;
    ensure!(state["assignedHub"] == there, "{state}");
    session(&remote, &identity).await?;
    Ok(())
}
