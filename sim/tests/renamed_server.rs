//! R1. A server that gets another host name keeps its devices: who comes under the old name is told, registers again where it always
//! did, and works under the new one.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sim::{Identity, Server, Workshop, binary, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Only this test can resolve it.
const NEW: &str = "renamed.hub.test";

/// A device's client, which trusts the server's CA only.
fn client(server: &Server, identity: &Identity) -> Result<reqwest::Client> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(server.ca()?)?)?;
    Ok(reqwest::Client::builder()
        .tls_certs_only(roots)
        .identity(reqwest::Identity::from_pem(identity.pem()?.as_bytes())?)
        .resolve(NEW, SocketAddr::new(server.host().parse()?, 443))
        .build()?)
}

/// Registers at the endpoint that the device has always known; the hub that it is assigned to.
async fn provision(server: &Server, scope: &str, identity: &Identity) -> Result<String> {
    let client = client(server, identity)?;
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

async fn send(server: &Server, hub: &str, identity: &Identity) -> Result<StatusCode> {
    let path = format!("devices/{}/messages/events", identity.name);
    let url = format!("https://{hub}/{path}?api-version=2020-09-30");
    let request = client(server, identity)?.post(url).body("{}");
    Ok(request.send().await?.status())
}

/// CONNACK's return code for a device that names a hub.
async fn connack(server: &Server, hub: &str, identity: &Identity) -> Result<u8> {
    let text = |text: &str| -> Result<Vec<u8>> {
        let length = u16::try_from(text.len())?.to_be_bytes();
        Ok([&length, text.as_bytes()].concat())
    };
    let (device, mut connect) = (&identity.name, text("MQTT")?);
    connect.extend([4, 0x82, 0, 60]);
    connect.extend(text(device)?);
    connect.extend(text(&format!("{hub}/{device}/?api-version=2021-04-12"))?);
    let mut stream = server.connect_as(identity, 8883).await?;
    let header = [0x10, u8::try_from(connect.len())?];
    stream.write_all(&[&header, &connect[..]].concat()).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[..2] == [0x20, 2], "{answer:?}");
    Ok(answer[3])
}

#[tokio::test]
async fn devices_of_the_old_name_are_told_and_come_back() -> Result<()> {
    let mut server = Server::start().await?;
    let old = server.host();
    let workshop = Workshop::with_muster_ca()?;
    let root = workshop.root();
    let group = ["dps", "enrollment-group", "create", "--enrollment-id", "g"];
    let listed = [
        "--certificate-path",
        &root.to_string_lossy(),
        "--iot-hubs",
        &old,
    ];
    server.run_muster(&[&group[..], &listed].concat())?.ok()?;
    let identity = workshop.issue("dev-1")?;
    let scope = server.id_scope()?;
    ensure!(provision(&server, &scope, &identity).await? == old);
    ensure!(send(&server, &old, &identity).await?.is_success());
    ensure!(connack(&server, &old, &identity).await? == 0);
    let dps = server.show("/dps/connectionString")?;
    let hub = server.show("/hubs/0/connectionString")?;

    server.terminate()?;
    server.rename(NEW);
    server.start_again().await?;
    ensure!(server.show("/hubs/0/hostname")? == NEW);
    let log = server.log();
    let told = log.matches("host name of this server").count();
    ensure!(told == 1 && log.contains(&old), "{log}");
    // The handshakes are verified: the certificate still names the old host.
    ensure!(send(&server, &old, &identity).await? == StatusCode::UNAUTHORIZED);
    ensure!(connack(&server, &old, &identity).await? == 5);
    let log = server.log();
    ensure!(log.matches("former name").count() == 2, "{log}");
    // The enrollment lists the old name, which means the hub that had it.
    ensure!(provision(&server, &scope, &identity).await? == NEW);
    ensure!(send(&server, NEW, &identity).await?.is_success());
    ensure!(connack(&server, NEW, &identity).await? == 0);

    // Back ends and scripts keep the connection strings that they have.
    let ca = server.ca()?.to_string_lossy().into_owned();
    for (list, login) in [
        (["dps", "enrollment-group", "list"], &dps),
        (["hub", "device-identity", "list"], &hub),
    ] {
        let login = ["--login", login.as_str(), "--server-ca", &ca];
        run(&binary("muster")?, [&list[..], &login].concat())?.ok()?;
    }
    server.terminate()?;
    server.start_again().await?;
    ensure!(send(&server, &old, &identity).await? == StatusCode::UNAUTHORIZED);
    ensure!(send(&server, NEW, &identity).await?.is_success());
    Ok(())
}
