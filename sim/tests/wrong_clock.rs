//! Devices whose clock is wrong: without a battery, or set by somebody who erred.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sim::{EdgeDevice, Server, Workshop, until};

const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";
const PATIENCE: Duration = Duration::from_secs(60);

fn status(device: &EdgeDevice) -> Result<Value> {
    let printed = device.iotedge("system status --output json")?;
    serde_json::from_str(&printed.stdout).with_context(|| format!("{printed:?}"))
}

async fn wait(device: &EdgeDevice, what: &str, holds: fn(&Value) -> bool) -> Result<Value> {
    let waited = until(what, PATIENCE, || async {
        let status = status(device)?;
        ensure!(holds(&status), "{status}");
        Ok(status)
    });
    waited.await.with_context(|| device.log())
}

fn is_connected(status: &Value) -> bool {
    status["connection"]["state"] == "connected"
}

fn says_nothing_of_the_clock(status: &Value) -> bool {
    is_connected(status) && status["clockProblem"].is_null()
}

/// The key signs tokens, which expire by the clock.
async fn device_with_key(server: &Server, name: &str) -> Result<EdgeDevice> {
    let create = "dps enrollment create --attestation-type symmetrickey --edge-enabled true";
    let created = server
        .muster(&format!("{create} --enrollment-id {name}"))
        .await?;
    let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
    let provisioning = format!(
        "source = \"dps\"\nglobal_endpoint = \"https://{}\"\nid_scope = \"{}\"\n\n\
         [provisioning.attestation]\nmethod = \"symmetric_key\"\n\
         registration_id = \"{name}\"\nsymmetric_key = {{ value = \"{}\" }}\n",
        server.host(),
        server.id_scope()?,
        key.context("no key")?,
    );
    let device = EdgeDevice::provisioned_by(server, name, &provisioning, NO_ENGINE)?;
    device.apply()?;
    Ok(device)
}

#[tokio::test]
async fn a_device_without_a_battery_works_in_1970_and_believes_its_clock_when_it_is_set()
-> Result<()> {
    let server = Server::start().await?;
    let mut device = device_with_key(&server, "early-1").await?;
    device.start_at("1970-01-02 00:00:00")?;
    let status = wait(&device, "a session in 1970", is_connected).await?;
    let problem = status["clockProblem"].to_string();
    ensure!(problem.contains("1970-01-0"), "{status}");
    let printed = device.iotedge("system status")?.stdout;
    ensure!(
        printed.contains("Clock: the clock of this device says"),
        "{printed}"
    );
    device.set_clock()?;
    // The next look at the clock is at the next event; the owner asks for one.
    device.iotedge("system reprovision")?.ok()?;
    wait(
        &device,
        "a clock that is believed",
        says_nothing_of_the_clock,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_not_expired_because_a_clock_is_in_2090() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let identity = workshop.issue("late-1")?;
    server.enroll_edge_device(&identity).await?;
    let mut device = EdgeDevice::with_engine_uri(&server, &identity, NO_ENGINE)?;
    device.apply()?;
    device.start_at("2090-01-01 00:00:00")?;
    let status = wait(&device, "a session in 2090", is_connected).await?;
    let problem = status["clockProblem"].to_string();
    ensure!(problem.contains("2090-01-01"), "{status}");
    Ok(())
}
