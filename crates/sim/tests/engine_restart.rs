//! Real modules on an engine that goes away and comes back: what is started again, and what is told meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{EdgeDevice, OwnEngine, Server, Workshop, until};

const PATIENCE: Duration = Duration::from_secs(120);
const POLICIES: [&str; 4] = ["never", "on-failure", "on-unhealthy", "always"];
const DEVICE: &str = "edge-policies";

#[expect(
    clippy::disallowed_methods,
    reason = "the test runner hands its image over in the environment"
)]
fn image() -> Result<String> {
    std::env::var("MUSTER_TEST_IMAGE")
        .context("MUSTER_TEST_IMAGE names no image; run the tests with `cargo xtask test`")
}

/// A module for each restart policy, of a program that ends well when it is told to.
fn deployment(image: &str) -> Value {
    let options = json!({ "hostConfig": { "networkMode": "host" }, "StopTimeout": 20 }).to_string();
    let module = |policy: &str| {
        json!({ "type": "docker", "status": "running", "restartPolicy": policy, "imagePullPolicy": "never",
            "settings": { "image": image, "createOptions": options } })
    };
    let modules: serde_json::Map<String, Value> = POLICIES
        .iter()
        .map(|policy| ((*policy).to_owned(), module(policy)))
        .collect();
    json!({ "modulesContent": { "$edgeAgent": { "properties.desired": {
        "schemaVersion": "1.1",
        "runtime": { "type": "docker", "settings": {} },
        "systemModules": {
            "edgeAgent": { "type": "docker", "settings": { "image": "muster/agent" } },
            "edgeHub": { "type": "docker", "status": "running", "restartPolicy": "always",
                "settings": { "image": "muster/hub" } },
        },
        "modules": modules,
    } } } })
}

struct Plant {
    server: Server,
    engine: OwnEngine,
    device: EdgeDevice,
    _workshop: Workshop,
}

impl Plant {
    async fn start() -> Result<Self> {
        let image = image()?;
        let server = Server::start().await?;
        let engine = OwnEngine::start(&["--log-driver", "local"], &image).await?;
        let workshop = Workshop::with_muster_ca()?;
        let content = deployment(&image).to_string();
        let deploy = [
            "edge",
            "deployment",
            "create",
            "--deployment-id",
            "base",
            "--content",
            &content,
            "--target-condition",
            "tags.environment='test'",
            "--priority",
            "10",
        ];
        server.muster(&deploy)?.ok()?;
        let identity = workshop.issue(DEVICE)?;
        let certificate = identity.certificate.to_string_lossy();
        let enroll = [
            "dps",
            "enrollment",
            "create",
            "--enrollment-id",
            DEVICE,
            "--attestation-type",
            "x509",
            "--certificate-path",
            &certificate,
            "--edge-enabled",
            "true",
            "--initial-twin-tags",
            r#"{"environment":"test"}"#,
        ];
        server.muster(&enroll)?.ok()?;
        let mut device = EdgeDevice::configured(&server, &identity, engine.api())?;
        device.apply()?;
        device.start()?;
        Ok(Self {
            server,
            engine,
            device,
            _workshop: workshop,
        })
    }

    async fn wait_for(&self, module: &str, status: &str) -> Result<()> {
        let what = format!("{module} {status}");
        let waiting = until(&what, PATIENCE, || async {
            let row = self.device.module(module)?;
            ensure!(row["status"] == status, "it is {row}");
            Ok(())
        });
        waiting
            .await
            .with_context(|| format!("the daemon's log:\n{}", self.device.log()))
    }

    async fn wait_for_all(&self, statuses: [&str; 4]) -> Result<()> {
        for (policy, status) in POLICIES.iter().zip(statuses) {
            self.wait_for(policy, status).await?;
        }
        Ok(())
    }

    async fn container(&self, module: &str) -> Result<String> {
        let running = self
            .engine
            .api()
            .running_with_label("muster.module", module)
            .await?;
        let (id, _) = running
            .first()
            .with_context(|| format!("{module} does not run"))?;
        Ok(id.clone())
    }

    fn reported(&self) -> Result<Value> {
        let show = [
            "hub",
            "module-twin",
            "show",
            "-d",
            DEVICE,
            "-m",
            "$edgeAgent",
        ];
        let twin = self.server.muster(&show)?.json()?;
        Ok(twin["properties"]["reported"].clone())
    }
}

/// D1, D8, D11: everything that is stopped with a policy above `never` is started when engine or runtime come back, and
/// after a stop by hand; while the engine is away, nothing is known, and that is told once.
#[tokio::test]
async fn engine_what_an_engine_took_along_is_started_again() -> Result<()> {
    let mut plant = Plant::start().await?;
    plant.wait_for_all(["running"; 4]).await?;
    // D11: nobody chose a log driver.
    let found = plant
        .engine
        .api()
        .inspect(&plant.container("always").await?)
        .await?;
    let log = found
        .host_config
        .and_then(|host| host.log_config)
        .context("a LogConfig")?;
    assert_eq!(log.typ.as_deref(), Some("local"));

    plant.engine.end()?;
    plant.wait_for_all(["unknown"; 4]).await?;
    let listed = plant.device.iotedge(&["list"])?;
    assert_eq!(listed.code, Some(1), "{}", listed.stdout);
    assert!(
        listed.stderr.contains("does not answer"),
        "{}",
        listed.stderr
    );
    until("the twin says unknown", PATIENCE, || async {
        let reported = plant.reported()?;
        ensure!(
            reported["modules"]["always"]["runtimeStatus"] == "unknown",
            "{reported}"
        );
        ensure!(reported["lastDesiredStatus"]["code"] == 500, "{reported}");
        Ok(())
    })
    .await?;
    // Told when it changes (the socket may refuse before it is gone), and not with every round.
    let log = plant.device.log();
    let said = log.matches("the container engine cannot be used").count();
    assert!((1..=2).contains(&said), "{log}");

    plant.engine.begin().await?;
    plant
        .wait_for_all(["stopped", "running", "running", "running"])
        .await?;
    until("the twin says running", PATIENCE, || async {
        let reported = plant.reported()?;
        ensure!(
            reported["modules"]["on-failure"]["runtimeStatus"] == "running",
            "{reported}"
        );
        ensure!(reported["lastDesiredStatus"]["code"] == 200, "{reported}");
        Ok(())
    })
    .await?;
    assert_eq!(plant.device.iotedge(&["list"])?.code, Some(0));

    // `docker stop`.
    for module in ["on-failure", "on-unhealthy", "always"] {
        let id = plant.container(module).await?;
        plant.engine.api().stop_gently(&id).await?;
    }
    plant
        .wait_for_all(["stopped", "running", "running", "running"])
        .await?;

    // A reboot: both go, both come.
    assert_eq!(plant.device.terminate()?, Some(0), "{}", plant.device.log());
    plant.engine.end()?;
    plant.engine.begin().await?;
    plant.device.start()?;
    plant
        .wait_for_all(["stopped", "running", "running", "running"])
        .await
}
