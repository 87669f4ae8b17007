//! Real modules on an engine that goes away and comes back, and under a deployment that cannot be followed: what is
//! started again, and what is told meanwhile.

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
fn deployment(image: &str, image_of_always: &str) -> Value {
    let options = json!({ "hostConfig": { "networkMode": "host" }, "StopTimeout": 20 }).to_string();
    let module = |policy: &str| {
        // No registry is asked for an image that is here: tests do not leave this machine.
        let (image, pull) = if policy == "always" && image_of_always != image {
            (image_of_always, "on-create")
        } else {
            (image, "never")
        };
        json!({ "type": "docker", "status": "running", "restartPolicy": policy, "imagePullPolicy": pull,
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

async fn deploy(server: &Server, id: &str, priority: u32, content: &Value) -> Result<()> {
    server
        .deploy(id, "tags.environment='test'", priority, content)
        .await
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
        deploy(&server, "base", 10, &deployment(&image, &image)).await?;
        let identity = workshop.issue(DEVICE)?;
        server.enroll_edge_device(&identity).await?;
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

    async fn reported(&self) -> Result<Value> {
        let twin = self.server.module_twin(DEVICE, "$edgeAgent").await?;
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
        let reported = plant.reported().await?;
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
        let reported = plant.reported().await?;
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

/// D6, D7: an image that cannot be had changes nothing that runs, is told everywhere with its reason, and is forgotten when
/// the deployment asks for the old one again.
#[tokio::test]
async fn engine_a_failed_update_is_told_and_ends_with_its_cause() -> Result<()> {
    const NOWHERE: &str = "localhost:1/nowhere:1";
    let plant = Plant::start().await?;
    plant.wait_for_all(["running"; 4]).await?;
    let before = plant.container("always").await?;
    let image = image()?;
    deploy(&plant.server, "broken", 20, &deployment(&image, NOWHERE)).await?;
    until("the twin tells the failure", PATIENCE, || async {
        let reported = plant.reported().await?;
        ensure!(reported["lastDesiredStatus"]["code"] == 500, "{reported}");
        let module = &reported["modules"]["always"];
        ensure!(module["settings"]["image"] == image, "what runs: {module}");
        ensure!(module["runtimeStatus"] == "running", "{module}");
        let words = module["statusDescription"].as_str().unwrap_or_default();
        ensure!(
            words.contains(NOWHERE) && words.contains("without a credential"),
            "{words}"
        );
        Ok(())
    })
    .await?;
    let row = plant.device.module("always")?;
    assert_eq!(
        (&row["config"], &row["status"]),
        (&json!(image), &json!("running"))
    );
    let listed = plant.device.iotedge(&["list"])?.ok()?;
    assert!(
        listed.contains(&format!("while {NOWHERE} is wanted")),
        "{listed}"
    );
    let status = plant.device.iotedge(&["system", "status"])?.stdout;
    assert!(
        status.contains("is not followed in full:\n    always: "),
        "{status}"
    );
    let followed = || -> Result<Value> {
        let checked = plant.device.iotedge(&["check", "--output", "json"])?.stdout;
        let checked: Value = serde_json::from_str(&checked)?;
        Ok(checked["checks"]["deployment-followed"]["result"]["result"].clone())
    };
    assert_eq!(followed()?, "error");

    plant
        .server
        .muster("edge deployment delete --deployment-id broken")
        .await?;
    until("the twin is well again", PATIENCE, || async {
        let reported = plant.reported().await?;
        ensure!(
            reported["lastDesiredStatus"] == json!({ "code": 200, "description": "" }),
            "{reported}"
        );
        let module = &reported["modules"]["always"];
        ensure!(module["statusDescription"] == "running", "{module}");
        Ok(())
    })
    .await?;
    assert_eq!(
        plant.container("always").await?,
        before,
        "it was never touched"
    );
    assert_ne!(followed()?, "error");
    Ok(())
}
