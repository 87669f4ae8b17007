//! Real devices on a real container engine: modules by tag, and what a crash of either side does
//! not do to them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{EdgeDevice, Engine, Identity, Server, Workshop, until};

const MODULE: &str = "tempSensor";
const PATIENCE: Duration = Duration::from_secs(90);

/// The deployment of the story: one module from the locally built image.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands its image over in the environment"
)]
fn deployment() -> Result<Value> {
    let image = std::env::var("MUSTER_TEST_IMAGE")
        .context("MUSTER_TEST_IMAGE names no image; run the tests with `cargo xtask test`")?;
    let create_options = json!({ "HostConfig": { "NetworkMode": "host" } }).to_string();
    let content = json!({ "modulesContent": {
        "$edgeAgent": { "properties.desired": {
            "schemaVersion": "1.1",
            "runtime": { "type": "docker", "settings": { "minDockerVersion": "v1.25" } },
            "systemModules": {
                "edgeAgent": { "type": "docker",
                    "settings": { "image": "muster/agent", "createOptions": "{}" } },
                "edgeHub": { "type": "docker", "status": "running", "restartPolicy": "always",
                    "settings": { "image": "muster/hub", "createOptions": "{}" } },
            },
            "modules": { MODULE: { "version": "1.0", "type": "docker", "status": "running",
                "restartPolicy": "always", "imagePullPolicy": "never",
                "env": { "SAMPLE": { "value": "yes" } },
                "settings": { "image": image, "createOptions": create_options } } },
        } },
        "$edgeHub": { "properties.desired": {
            "schemaVersion": "1.0", "routes": {},
            "storeAndForwardConfiguration": { "timeToLiveSecs": 7200 } } },
        MODULE: { "properties.desired": { "SendInterval": 1 } },
    } });
    Ok(content)
}

struct Plant {
    server: Server,
    engine: Engine,
    workshop: Workshop,
}

impl Plant {
    async fn start() -> Result<Self> {
        let plant = Self {
            server: Server::start().await?,
            engine: Engine::connect()?,
            workshop: Workshop::with_muster_ca()?,
        };
        let content = deployment()?;
        let condition = "tags.environment='test'";
        plant.server.deploy("base", condition, 10, &content).await?;
        Ok(plant)
    }

    /// A device with an individual enrollment, configured, applied and started.
    async fn device(&self, name: &str) -> Result<(EdgeDevice, Identity)> {
        let identity = self.workshop.issue(name)?;
        self.server.enroll_edge_device(&identity).await?;
        let mut device = EdgeDevice::configured(&self.server, &identity, &self.engine)?;
        device.apply()?;
        device.start()?;
        Ok((device, identity))
    }

    /// Container ids of a device's modules.
    async fn containers(&self, device: &EdgeDevice) -> Result<Vec<(String, String)>> {
        let containers = self
            .engine
            .running_with_label("muster.device", device.name())
            .await?;
        ensure!(
            !containers.is_empty(),
            "no container of {} runs",
            device.name()
        );
        Ok(containers)
    }

    /// Waits until the device's agent has reported that the module runs.
    async fn wait_until_reported(&self, device: &str, status: &str) -> Result<()> {
        until(
            &format!("{device} reports {MODULE} {status}"),
            PATIENCE,
            || async {
                let twin = self.server.module_twin(device, "$edgeAgent").await?;
                let reported = &twin["properties"]["reported"];
                ensure!(
                    reported["modules"][MODULE]["runtimeStatus"] == status,
                    "reported: {reported}"
                );
                ensure!(
                    reported["lastDesiredStatus"]["code"] == 200,
                    "reported: {reported}"
                );
                Ok(())
            },
        )
        .await
    }
}

#[tokio::test]
async fn engine_modules_run_by_tag_and_keep_running_when_the_daemon_dies() -> Result<()> {
    let plant = Plant::start().await?;
    let (mut device, _) = plant.device("edge-kill").await?;
    device.wait_until_running(MODULE, PATIENCE).await?;
    plant.wait_until_reported("edge-kill", "running").await?;
    let before = plant.containers(&device).await?;

    device.kill()?;
    assert_eq!(
        plant.containers(&device).await?,
        before,
        "a daemon that was killed takes no module along"
    );
    device.start()?;
    device.wait_until_running(MODULE, PATIENCE).await?;
    let ping = "hub invoke-module-method -d edge-kill -m '$edgeAgent' --method-name ping";
    until("the agent answers again", PATIENCE, || async {
        plant.server.muster(ping).await
    })
    .await?;
    assert_eq!(
        plant.containers(&device).await?,
        before,
        "the same containers, not new ones"
    );

    assert_eq!(device.terminate()?, Some(0), "{}", device.log());
    assert_eq!(
        plant.containers(&device).await?,
        before,
        "stopping the daemon stops no module"
    );
    Ok(())
}

#[tokio::test]
async fn engine_a_provisioned_device_starts_its_modules_without_the_server() -> Result<()> {
    let mut plant = Plant::start().await?;
    let (mut device, _) = plant.device("edge-offline").await?;
    device.wait_until_running(MODULE, PATIENCE).await?;
    assert_eq!(device.terminate()?, Some(0), "{}", device.log());
    for (id, _) in plant.containers(&device).await? {
        plant.engine.stop(&id).await?;
    }
    plant.server.kill()?;

    device.start()?;
    device.wait_until_running(MODULE, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn engine_a_module_follows_its_twin_and_leaves_with_its_deployment() -> Result<()> {
    let plant = Plant::start().await?;
    let (device, _) = plant.device("edge-twin").await?;
    device.wait_until_running(MODULE, PATIENCE).await?;
    until("the module reports its interval", PATIENCE, || async {
        let twin = plant.server.module_twin("edge-twin", MODULE).await?;
        ensure!(
            twin["properties"]["reported"]["SendInterval"] == 1,
            "{}",
            twin["properties"]
        );
        Ok(())
    })
    .await
    .with_context(|| {
        format!(
            "the module's log: {:?}",
            device.iotedge(&format!("logs {MODULE}"))
        )
    })?;
    let update = format!("hub module-twin update -d edge-twin -m {MODULE}");
    let desired = json!({"SendInterval": 2});
    plant
        .server
        .muster(&format!("{update} --desired '{desired}'"))
        .await?;
    let event = plant.server.first_event("edge-twin", 30).await?;
    assert_eq!(event["moduleId"], MODULE);

    let empty = json!({ "modulesContent": { "$edgeAgent": { "properties.desired": {
        "schemaVersion": "1.1",
        "runtime": { "type": "docker", "settings": { "minDockerVersion": "v1.25" } },
        "systemModules": {
            "edgeAgent": { "type": "docker",
                    "settings": { "image": "muster/agent", "createOptions": "{}" } },
            "edgeHub": { "type": "docker", "status": "running", "restartPolicy": "always",
                "settings": { "image": "muster/hub", "createOptions": "{}" } },
        },
        "modules": {},
    } } } });
    let condition = "deviceId='edge-twin'";
    plant.server.deploy("empty", condition, 20, &empty).await?;
    until("the module is gone", PATIENCE, || async {
        ensure!(device.module(MODULE).is_err(), "it is still listed");
        Ok(())
    })
    .await
}
