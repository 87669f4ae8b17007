//! Hubs and provisioning services that are added to a running server: there at once, trusted at once, and there after kill -9.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sim::{Identity, Server, Workshop, binary, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::connection_string::ConnectionString;
use wire::sas::SharedAccessKey;

/// Host names that only this test can resolve; they lead to the server.
const SECOND: &str = "second.hub.test";
const THIRD: &str = "third.hub.test";
const TENANT: &str = "factory.dps.test";

/// A client that shows a device's certificate, trusts the server's CA only, and finds the test's host names.
fn device_client(server: &Server, identity: &Identity) -> Result<reqwest::Client> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(server.ca()?)?)?;
    let shown = reqwest::Identity::from_pem(identity.pem()?.as_bytes())?;
    let address = SocketAddr::new(server.host().parse()?, 443);
    let mut client = reqwest::Client::builder()
        .tls_certs_only(roots)
        .identity(shown);
    for name in [SECOND, THIRD, TENANT] {
        client = client.resolve(name, address);
    }
    Ok(client.build()?)
}

fn create_hub(server: &Server, name: &str, host: &str) -> Result<()> {
    let created = server
        .run_muster(&["hub", "create", "--name", name, "--hostname", host])?
        .json()?;
    ensure!(created["hostName"] == host, "{created}");
    let shown = server.run_muster(&["show"])?.json()?;
    let hubs = shown["hubs"].as_array().context("no hubs")?;
    let listed = hubs.iter().any(|hub| hub["name"] == name);
    ensure!(listed, "show lists it at once: {shown}");
    Ok(())
}

fn link(server: &Server, name: &str, weight: &str) -> Result<()> {
    let link = ["hub", "link", "--name", name, "--allocation-weight", weight];
    let linked = server
        .run_muster(&[&link[..], &["--apply-allocation-policy", "true"]].concat())?
        .json()?;
    let weight: u64 = weight.parse()?;
    ensure!(linked["allocationWeight"] == weight, "{linked}");
    Ok(())
}

/// Registers, polls, and returns the hub that the device was assigned to.
async fn provision(server: &Server, scope: &str, identity: &Identity) -> Result<String> {
    let client = device_client(server, identity)?;
    let id = &identity.name;
    let base = format!("https://{}/{scope}/registrations/{id}", server.host());
    let accepted = client
        .put(format!("{base}/register?api-version=2021-06-01"))
        .json(&json!({ "registrationId": id }))
        .send()
        .await?;
    let accepted: Value = accepted.json().await?;
    let operation = accepted["operationId"].as_str();
    let operation = operation.with_context(|| accepted.to_string())?;
    let poll = format!("{base}/operations/{operation}?api-version=2021-06-01");
    let state: Value = client.get(poll).send().await?.json().await?;
    let hub = state["registrationState"]["assignedHub"].as_str();
    Ok(hub.with_context(|| state.to_string())?.to_owned())
}

/// Sends telemetry to a hub under its own name, with the certificate that the device registered with; the status.
async fn send(server: &Server, hub: &str, identity: &Identity) -> Result<StatusCode> {
    let url = format!(
        "https://{hub}/devices/{}/messages/events?api-version=2020-09-30",
        identity.name
    );
    let client = device_client(server, identity)?;
    Ok(client.post(url).body("{}").send().await?.status())
}

/// What a hub answers to the MQTT CONNECT of a device that shows nothing: CONNACK's return code.
async fn connack(server: &Server, hub: &str, device: &str) -> Result<u8> {
    let text = |text: &str| -> Result<Vec<u8>> {
        let length = u16::try_from(text.len())?.to_be_bytes();
        Ok([&length, text.as_bytes()].concat())
    };
    let username = format!("{hub}/{device}/?api-version=2021-04-12");
    // MQTT 3.1.1, user name and clean session, a minute of keep-alive.
    let mut connect = text("MQTT")?;
    connect.extend([4, 0x82, 0, 60]);
    connect.extend([text(device)?, text(&username)?].concat());
    let mut stream = server.connect(8883).await?;
    stream
        .write_all(&[&[0x10, u8::try_from(connect.len())?], &connect[..]].concat())
        .await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[..2] == [0x20, 2], "{answer:?}");
    Ok(answer[3])
}

async fn fleet(
    server: &Server,
    workshop: &Workshop,
    scope: &str,
    count: usize,
) -> Result<BTreeMap<String, String>> {
    let mut hubs = BTreeMap::new();
    for number in 0..count {
        let identity = workshop.issue(&format!("dev-{number:02}"))?;
        let hub = provision(server, scope, &identity).await?;
        hubs.insert(identity.name, hub);
    }
    Ok(hubs)
}

fn enroll(server: &Server, workshop: &Workshop, more: &[&str]) -> Result<()> {
    let root = workshop.root();
    let root = root.to_string_lossy();
    let group = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "factory",
    ];
    let group = [&group[..], &["--certificate-path", &root], more].concat();
    server.run_muster(&group)?.ok().map(drop)
}

#[tokio::test]
async fn hubs_that_are_added_get_their_devices_and_outlive_a_kill() -> Result<()> {
    let mut server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll(&server, &workshop, &[])?;
    create_hub(&server, "second", SECOND)?;
    create_hub(&server, "third", THIRD)?;
    link(&server, "second", "2")?;
    link(&server, "third", "3")?;
    let scope = server.id_scope()?;
    let hubs = fleet(&server, &workshop, &scope, 24).await?;
    let first = server.host();
    for host in [first.as_str(), SECOND, THIRD] {
        ensure!(hubs.values().any(|hub| hub == host), "{host}: {hubs:?}");
    }
    for (device, hub) in hubs.iter().take(6) {
        let identity = workshop.identity(device);
        let status = send(&server, hub, &identity).await?;
        ensure!(status.is_success(), "{device} at {hub}: {status}");
        let remote = [first.as_str(), SECOND, THIRD]
            .into_iter()
            .find(|host| host != hub);
        let status = send(&server, remote.context("a hub")?, &identity).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{device}: {status}");
    }
    ensure!(
        connack(&server, SECOND, "dev-00").await? == 5,
        "a hub, but no proof"
    );

    let (device, _) = hubs.iter().find(|(_, hub)| *hub == THIRD).context("none")?;
    server
        .run_muster(&["hub", "unlink", "--name", "third"])?
        .ok()?;
    server.kill()?;
    server.start_again().await?;
    let record = ["dps", "enrollment-group", "registration", "show"];
    let record = [&record[..], &["--registration-id", device]].concat();
    let unlinked = server.run_muster(&record)?.json()?;
    let message = unlinked["errorMessage"].as_str().unwrap_or_default();
    ensure!(message.contains("no longer linked"), "{unlinked}");
    let identity = workshop.identity(device);
    let status = send(&server, THIRD, &identity).await?;
    ensure!(status.is_success(), "an unlinked hub is a hub: {status}");
    let again = provision(&server, &scope, &identity).await?;
    ensure!(again != THIRD, "it chose again");
    let shown = server.run_muster(&["show"])?.json()?;
    ensure!(shown["hubs"].as_array().map(Vec::len) == Some(3), "{shown}");
    let links = &shown["services"][0]["linkedHubs"];
    ensure!(links[1]["allocationWeight"] == 2, "{shown}");
    Ok(())
}

/// A request of whoever holds a connection string, to a host that only this test can resolve.
async fn operate(
    client: &reqwest::Client,
    connection: &str,
    path: &str,
    body: &Value,
) -> Result<Value> {
    let connection = ConnectionString::parse(connection)?;
    let key = SharedAccessKey::try_from(&connection.key)?;
    let host = connection.host.as_str();
    let remote = ids::Timestamp::from_unix_seconds(4_000_000_000);
    let token = wire::sas::build(host, Some(&connection.policy), remote, &key);
    let url = format!("https://{host}{path}?api-version=2021-10-01");
    let request = client.put(url).header("authorization", token).json(body);
    let response = request.send().await?;
    let (status, answer) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "{path}: {status} {answer}");
    Ok(serde_json::from_str(&answer)?)
}

#[tokio::test]
async fn a_tenant_has_an_id_scope_and_keys_of_its_own() -> Result<()> {
    let mut server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let create = ["dps", "create", "--name", "factory", "--hostname", TENANT];
    let created = server.run_muster(&create)?.json()?;
    let scope = created["idScope"].as_str().context("no scope")?;
    let string = created["connectionString"].as_str().context("no string")?;
    let identity = workshop.issue("dev-1")?;
    // Under its own name, which the certificate covers since the answer.
    let client = device_client(&server, &identity)?;
    let hub = json!({ "connectionString": server.show("/hubs/0/connectionString")? });
    operate(&client, string, "/muster/v1/dps/linkedHubs/hub", &hub).await?;
    let certificate = json!({ "certificate": std::fs::read_to_string(workshop.root())? });
    let group = json!({
        "enrollmentGroupId": "factory",
        "attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": certificate}}},
    });
    operate(&client, string, "/enrollmentGroups/factory", &group).await?;
    let wrong = string.replace(TENANT, &server.host());
    let refused = operate(&client, &wrong, "/enrollmentGroups/factory", &group).await;
    ensure!(refused.is_err(), "a tenant's key opens no other service");

    ensure!(provision(&server, scope, &identity).await? == server.host());
    let first = server.id_scope()?;
    let refused = provision(&server, &first, &identity).await;
    ensure!(refused.is_err(), "it is not enrolled there: {refused:?}");
    server.kill()?;
    server.start_again().await?;
    ensure!(provision(&server, scope, &identity).await? == server.host());
    let services = server.run_muster(&["dps", "list"])?.json()?;
    ensure!(services[1]["idScope"] == scope, "{services}");
    ensure!(server.show("/services/1/connectionString")? == string);
    Ok(())
}

#[tokio::test]
async fn a_policy_opens_what_its_rights_say_as_long_as_it_is_there() -> Result<()> {
    let server = Server::start().await?;
    let create = ["dps", "policy", "create", "--policy-name", "reader"];
    let rights = ["--rights", "EnrollmentRead", "RegistrationStatusRead"];
    let policy = server
        .run_muster(&[&create[..], &rights].concat())?
        .json()?;
    let key = policy["primaryKey"].as_str().context("no key")?;
    let host = server.host();
    let reader = format!("HostName={host};SharedAccessKeyName=reader;SharedAccessKey={key}");
    let ca = server.ca()?;
    let as_reader = |arguments: &[&str]| -> Result<Option<i32>> {
        let ca = ca.to_string_lossy();
        let login = ["--login", reader.as_str(), "--server-ca", &ca];
        Ok(run(&binary("muster")?, [arguments, &login].concat())?.code)
    };
    let list = ["dps", "enrollment-group", "list"];
    ensure!(as_reader(&list)? == Some(0));
    ensure!(
        as_reader(&["dps", "policy", "list"])? == Some(1),
        "it may not configure"
    );
    let delete = ["dps", "policy", "delete", "--policy-name", "reader"];
    server.run_muster(&delete)?.ok()?;
    ensure!(as_reader(&list)? == Some(1), "it is gone");
    Ok(())
}
