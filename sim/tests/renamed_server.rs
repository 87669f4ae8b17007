//! R1. A server that gets another host name keeps its devices. One that comes under the old name is
//! told so, registers again where it always did, and works under the new one.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use sim::{Device, Server, Workshop};

/// Only this test can resolve it.
const NEW: &str = "renamed.hub.test";

#[tokio::test]
async fn devices_of_the_old_name_are_refused_and_come_back() -> Result<()> {
    let mut server = Server::start().await?;
    let old = server.host();
    let workshop = Workshop::with_muster_ca()?;
    let flags = format!("--iot-hubs {old}");
    server.enroll_group("g", &workshop.root(), &flags).await?;
    let device = Device::with_certificate(&server, &workshop.issue("dev-1")?)?;
    ensure!(device.assigned_hub().await? == old);
    ensure!(device.send(&old, "{}").await?.is_success());
    ensure!(device.connack(&old).await? == 0);
    let dps = server.show("/dps/connectionString")?;
    let hub = server.show("/hubs/0/connectionString")?;

    server.terminate()?;
    server.rename(NEW);
    server.start_again().await?;
    ensure!(server.show("/hubs/0/hostname")? == NEW);
    let log = server.log();
    let noted = log.matches("host name of this server").count();
    ensure!(noted == 1 && log.contains(&old), "{log}");
    // The handshakes are verified: the certificate still names the old host.
    ensure!(device.send(&old, "{}").await? == StatusCode::UNAUTHORIZED);
    ensure!(device.connack(&old).await? == 5);
    let log = server.log();
    ensure!(log.matches("former name").count() == 2, "{log}");
    // The enrollment lists the old name, which means the hub that had it.
    ensure!(device.assigned_hub().await? == NEW);
    ensure!(device.send(NEW, "{}").await?.is_success());
    ensure!(device.connack(NEW).await? == 0);

    // Back ends and scripts keep the connection strings that they have.
    server
        .try_muster_as(&dps, "dps enrollment-group list")
        .await?
        .ok()?;
    server
        .try_muster_as(&hub, "hub device-identity list")
        .await?
        .ok()?;
    server.terminate()?;
    server.start_again().await?;
    ensure!(device.send(&old, "{}").await? == StatusCode::UNAUTHORIZED);
    ensure!(device.send(NEW, "{}").await?.is_success());
    Ok(())
}
