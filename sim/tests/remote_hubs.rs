//! Two servers: the provisioning service of one assigns devices to the hub of the other, which it trusts by that one's CA.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Identity, MqttDevice, Program, Server, Workshop, binary, until};

const FLEET: usize = 400;

/// Two servers; the first one's service is linked to the second one's hub as `remote`.
async fn pair() -> Result<(Server, Server)> {
    let remote = Server::start().await?;
    let near = Server::start_trusting(&remote).await?;
    link(&near, &remote.show("/hubs/0/connectionString")?)?;
    Ok((near, remote))
}

fn link(near: &Server, connection_string: &str) -> Result<()> {
    let link = [
        "dps",
        "linked-hub",
        "create",
        "--name",
        "far",
        "--connection-string",
        connection_string,
    ];
    let linked = near.run_muster(&link)?.json()?;
    ensure!(linked["location"] == "remote", "{linked}");
    Ok(())
}

/// Creates or changes the group of all devices.
fn group(near: &Server, workshop: &Workshop, verb: &str, flags: &[&str]) -> Result<()> {
    let root = workshop.root();
    let root = root.to_string_lossy();
    let mut group = vec![
        "dps",
        "enrollment-group",
        verb,
        "--enrollment-id",
        "factory",
    ];
    if verb == "create" {
        group.extend(["--certificate-path", &root]);
    }
    group.extend(flags);
    near.run_muster(&group)?.ok().map(drop)
}

/// Registers and waits until it is over; the registration as the operator sees it.
async fn provision(near: &Server, identity: &Identity, status: &str) -> Result<Value> {
    let (code, answer) = near.register(&identity.name, &identity.pem()?).await?;
    ensure!(code == 202, "{answer}");
    near.wait_for_registration(&identity.name, status).await
}

async fn wait_for_health(near: &Server, state: &str) -> Result<Value> {
    let show = ["dps", "linked-hub", "show", "--name", "far"];
    until(state, Duration::from_secs(60), || async {
        let shown = near.run_muster(&show)?.json()?;
        ensure!(shown["health"]["state"] == state, "{shown}");
        Ok(shown)
    })
    .await
}

fn twin(server: &Server, device: &str) -> Result<Value> {
    server
        .run_muster(&["hub", "device-twin", "show", "-d", device])?
        .json()
}

fn tag(server: &Server, device: &str, tags: &Value) -> Result<()> {
    let tags = tags.to_string();
    let update = [
        "hub",
        "device-twin",
        "update",
        "-d",
        device,
        "--tags",
        &tags,
    ];
    server.run_muster(&update)?.ok().map(drop)
}

async fn wait_until_gone(server: &Server, device: &str) -> Result<()> {
    until("the old device to go", Duration::from_secs(30), || async {
        let show = ["hub", "device-identity", "show", "-d", device];
        let shown = server.run_muster(&show)?;
        ensure!(shown.code == Some(1), "{}", shown.stdout);
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
        let flags = ["--allocation-policy", "static", "--iot-hubs", &there];
        let more = [
            "--edge-enabled",
            "true",
            "--initial-twin-tags",
            "{\"by\":\"group\"}",
        ];
        group(
            &self.near,
            &self.workshop,
            "create",
            &[flags, more].concat(),
        )?;
        self.arrive(&there, "initialAssignment").await?;
        let device = twin(&self.remote, "traveller")?;
        ensure!(device["tags"]["by"] == "group", "{device}");
        ensure!(device["capabilities"]["iotEdge"] == true, "{device}");
        let mut session = MqttDevice::connect(&self.remote, &self.identity).await?;
        session.report(&json!({"temperature": 20})).await?;
        until("the report", Duration::from_secs(20), || async {
            let reported = twin(&self.remote, "traveller")?["properties"]["reported"].clone();
            ensure!(reported["temperature"] == 20, "{reported}");
            Ok(())
        })
        .await
    }

    async fn here(&self) -> Result<()> {
        tag(&self.remote, "traveller", &json!({"site": "far"}))?;
        let host = self.near.host();
        group(&self.near, &self.workshop, "update", &["--iot-hubs", &host])?;
        self.arrive(&host, "deviceDataMigrated").await?;
        let moved = twin(&self.near, "traveller")?;
        ensure!(
            moved["tags"] == json!({"by": "group", "site": "far"}),
            "{moved}"
        );
        ensure!(
            moved["properties"]["reported"]["temperature"] == 20,
            "{moved}"
        );
        ensure!(moved["capabilities"]["iotEdge"] == true, "{moved}");
        wait_until_gone(&self.remote, "traveller").await?;
        MqttDevice::connect(&self.near, &self.identity)
            .await
            .map(drop)
    }

    async fn back_there(&self) -> Result<()> {
        tag(&self.near, "traveller", &json!({"site": "near"}))?;
        let host = self.remote.host();
        group(&self.near, &self.workshop, "update", &["--iot-hubs", &host])?;
        self.arrive(&host, "deviceDataMigrated").await?;
        let moved = twin(&self.remote, "traveller")?;
        ensure!(
            moved["tags"] == json!({"by": "group", "site": "near"}),
            "{moved}"
        );
        wait_until_gone(&self.near, "traveller").await?;
        MqttDevice::connect(&self.remote, &self.identity)
            .await
            .map(drop)
    }

    async fn blocked(&self) -> Result<()> {
        let block = ["dps", "block", "--registration-id", "traveller"];
        let blocked = self.near.run_muster(&block)?.json()?;
        let done = json!([{"hub": "far", "state": "done"}]);
        ensure!(blocked["hubs"] == done, "{blocked}");
        let again = MqttDevice::connect(&self.remote, &self.identity).await;
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

fn start_fleet(near: &Server, workshop: &Workshop, record: &Path) -> Result<Program> {
    let mut command = Command::new(binary("muster")?);
    let count = FLEET.to_string();
    command.args([
        "fleet",
        "simulate",
        "--devices",
        &count,
        "--prefix",
        "far",
        "--retry-for",
        "120",
    ]);
    command
        .arg("--record")
        .arg(record)
        .arg("--ca-dir")
        .arg(workshop.path());
    command.arg("--data-dir").arg(near.data_dir());
    Program::start(command, &workshop.path().join("fleet.log"))
}

fn devices(server: &Server) -> Result<Vec<String>> {
    let twins = server.run_muster(&["hub", "device-twin", "list"])?.json()?;
    let rows = twins.as_array().context("no list")?.iter();
    let ids = rows.filter_map(|twin| Some(twin["deviceId"].as_str()?.to_owned()));
    Ok(ids.collect())
}

fn each_is_recorded_and_made_once(near: &Server, remote: &Server) -> Result<()> {
    let list = [
        "dps",
        "enrollment-group",
        "registration",
        "list",
        "--enrollment-id",
        "factory",
    ];
    let records = near.run_muster(&list)?.json()?;
    let mut registered = BTreeSet::new();
    for record in records.as_array().context("no list")? {
        ensure!(
            record["status"] == "assigned" && record["assignedHub"] == remote.host(),
            "{record}"
        );
        registered.extend(record["deviceId"].as_str().map(str::to_owned));
    }
    let made = devices(remote)?;
    ensure!(made.len() == FLEET, "{} devices", made.len());
    ensure!(
        made.into_iter().collect::<BTreeSet<_>>() == registered,
        "each has its record"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_another_server_survive_kill_nine_and_make_each_device_once() -> Result<()>
{
    let (mut near, remote) = pair().await?;
    let workshop = Workshop::with_muster_ca()?;
    let there = remote.host();
    let to_remote = [
        "--allocation-policy",
        "static",
        "--iot-hubs",
        &there,
        "--initial-twin-tags",
        "{\"by\":\"group\"}",
    ];
    group(&near, &workshop, "create", &to_remote)?;
    let record = workshop.path().join("acknowledged");
    let fleet = start_fleet(&near, &workshop, &record)?;
    until("some devices", Duration::from_secs(60), || async {
        let so_far = devices(&remote)?.len();
        ensure!(so_far > FLEET / 10, "{so_far} so far");
        Ok(())
    })
    .await?;
    near.kill()?;
    let before = devices(&remote)?.len();
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

    each_is_recorded_and_made_once(&near, &remote)?;
    for device in ["far-000001", "far-000200", "far-000400"] {
        ensure!(
            twin(&remote, device)?["tags"]["by"] == "group",
            "{device} has its first twin"
        );
    }
    ensure!(devices(&near)?.is_empty(), "none is here");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_gets_no_devices_until_it_is_back() -> Result<()> {
    let (near, mut remote) = pair().await?;
    let workshop = Workshop::with_muster_ca()?;
    group(&near, &workshop, "create", &[])?;
    let metrics = || async {
        let url = format!("https://{}/metrics", near.host());
        anyhow::Ok(near.client()?.get(url).send().await?.text().await?)
    };
    ensure!(
        metrics()
            .await?
            .contains("muster_dps_linked_hub_health{hub=\"far\"} 1"),
        "it is well"
    );
    remote.terminate()?;
    let dead = wait_for_health(&near, "dead").await?;
    let error = dead["health"]["lastError"].as_str().context("no error")?;
    ensure!(error.contains("hub far gave no answer"), "{error}");
    ensure!(
        metrics()
            .await?
            .contains("muster_dps_linked_hub_health{hub=\"far\"} 0"),
        "it is dead"
    );
    for number in 0..8 {
        let identity = workshop.issue(&format!("dead-{number}"))?;
        let state = provision(&near, &identity, "assigned").await?;
        ensure!(state["assignedHub"] == near.host(), "{state}");
    }
    let list = ["dps", "allocation", "list", "--registration-id", "dead-0"];
    let notes = near.run_muster(&list)?.json()?;
    let why = notes[0]["passedOver"][0]["why"]
        .as_str()
        .context("no reason")?;
    ensure!(
        why.starts_with("hub far was passed over: dead since"),
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
async fn a_link_with_a_wrong_key_tells_the_operator_so() -> Result<()> {
    let remote = Server::start().await?;
    let near = Server::start_trusting(&remote).await?;
    let stranger = Server::start().await?;
    let key_of = |server: &Server| -> Result<String> {
        let text = server.show("/hubs/0/connectionString")?;
        let (_, key) = text.split_once("SharedAccessKey=").context("no key")?;
        Ok(key.to_owned())
    };
    let right = remote.show("/hubs/0/connectionString")?;
    link(
        &near,
        &right.replace(&key_of(&remote)?, &key_of(&stranger)?),
    )?;
    let workshop = Workshop::with_muster_ca()?;
    let there = remote.host();
    group(
        &near,
        &workshop,
        "create",
        &["--allocation-policy", "static", "--iot-hubs", &there],
    )?;
    let identity = workshop.issue("wrong-key")?;
    let state = provision(&near, &identity, "failed").await?;
    ensure!(state["errorCode"] == 401_003, "{state}");
    let message = state["errorMessage"].as_str().context("no message")?;
    ensure!(
        message.contains("hub far refused the key of its link with status 401"),
        "{message}"
    );
    let dead = wait_for_health(&near, "dead").await?;
    ensure!(
        dead["health"]["lastError"]
            .to_string()
            .contains("refused the key"),
        "{dead}"
    );

    // The right key is another chance at once.
    let update = [
        "dps",
        "linked-hub",
        "update",
        "--name",
        "far",
        "--connection-string",
        &right,
    ];
    near.run_muster(&update)?.ok()?;
    let state = provision(&near, &identity, "assigned").await?;
    ensure!(state["assignedHub"] == there, "{state}");
    MqttDevice::connect(&remote, &identity).await?;
    Ok(())
}
