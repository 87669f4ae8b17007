//! An edge device that proves itself by its TPM: from nothing to its hub, through restarts, and
//! with a TPM that has lost its keys.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sim::{EdgeDevice, Server, Tpm, until};

/// Connecting does not wait for the container engine.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";
const SOON: Duration = Duration::from_secs(60);
const ID: &str = "edge-tpm";

struct World {
    server: Server,
    tpm: Tpm,
    device: EdgeDevice,
}

impl World {
    /// A device that is enrolled with what `iotedge tpm show` prints, and configured.
    async fn prepare() -> Result<Self> {
        let server = Server::start().await?;
        let tpm = Tpm::start().await?;
        let provisioning = format!(
            r#"source = "dps"
global_endpoint = "https://{host}"
id_scope = "{scope}"

[provisioning.attestation]
method = "tpm"
registration_id = "{ID}"

[tpm]
tcti = "{tcti}"
"#,
            host = server.host(),
            scope = server.id_scope()?,
            tcti = tpm.tcti(),
        );
        let device = EdgeDevice::provisioned_by(&server, ID, &provisioning, NO_ENGINE)?;
        let printed = device.iotedge("tpm show --output json")?.ok()?;
        let printed: Value = serde_json::from_str(&printed)?;
        ensure!(printed["manufacturer"] == "IBM", "{printed}");
        let key = printed["endorsementKey"]
            .as_str()
            .context("no endorsement key")?;
        let create = format!("dps enrollment create --enrollment-id {ID} --attestation-type tpm");
        let create = format!("{create} --endorsement-key {key} --edge-enabled true");
        server.muster(&create).await?;
        Ok(Self {
            server,
            tpm,
            device,
        })
    }

    async fn wait_until_connected(&self) -> Result<()> {
        let waited = until("the device is connected", SOON, || async {
            let status = self.device.iotedge("system status")?;
            let is_connected = status.stdout.contains("connected");
            ensure!(
                is_connected && !status.stdout.contains("not connected"),
                "{status:?}"
            );
            let identity = format!("hub module-identity show -d {ID} -m $edgeAgent");
            let agent = self.server.muster(&identity).await?;
            ensure!(agent["connectionState"] == "Connected", "{agent}");
            Ok(())
        });
        waited.await.with_context(|| self.device.log())
    }

    /// When the device registered last.
    async fn registered_at(&self) -> Result<Value> {
        let show = format!("dps enrollment registration show --enrollment-id {ID}");
        let state = self.server.muster(&show).await?;
        Ok(state["lastUpdatedDateTimeUtc"].clone())
    }
}

#[tokio::test]
async fn tpm_device_goes_from_nothing_to_its_hub_and_through_restarts() -> Result<()> {
    let mut world = World::prepare().await?;
    world.device.apply()?;
    world.device.start()?;
    world.wait_until_connected().await?;
    let registered = world.registered_at().await?;
    // The key for the hub is where other programs look for it, and nothing is left loaded.
    let kept = world.tpm.output("getcap", &["handles-persistent"])?;
    ensure!(kept.contains("0x81000100"), "{kept}");
    let loaded = world.tpm.output("getcap", &["handles-transient"])?;
    ensure!(loaded.trim().is_empty(), "{loaded}");

    world.device.kill()?;
    world.device.start()?;
    world.wait_until_connected().await?;
    world.device.terminate()?;
    world.device.start()?;
    world.wait_until_connected().await?;
    ensure!(world.registered_at().await? == registered, "it asked again");

    // Asked to, it does.
    world.device.iotedge("system reprovision")?.ok()?;
    world.wait_until_connected().await?;
    ensure!(world.registered_at().await? != registered, "it did not ask");
    world.device.terminate()?;
    Ok(())
}

#[tokio::test]
async fn tpm_device_whose_ownership_was_cleared_says_so_and_registers_again() -> Result<()> {
    let mut world = World::prepare().await?;
    world.device.apply()?;
    world.device.start()?;
    world.wait_until_connected().await?;
    let registered = world.registered_at().await?;
    world.device.terminate()?;
    world.tpm.tool("clear", &[])?;
    world.device.start()?;
    world.wait_until_connected().await?;
    ensure!(
        world.registered_at().await? != registered,
        "it did not register"
    );
    let log = world.device.log();
    ensure!(
        log.contains("the ownership of the TPM was cleared"),
        "{log}"
    );
    world.device.terminate()?;
    Ok(())
}
