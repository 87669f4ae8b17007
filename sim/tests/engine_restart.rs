//! Real modules on an engine that goes away and comes back, and under a deployment that cannot be
//! followed: what is started again, and what is told meanwhile.

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
        json!({ "type": "docker", "status": "running", "restartPolicy": policy,
            "imagePullPolicy": pull,
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

    /// Waits until the twin shows a module's status and the code of the whole deployment.
    async fn wait_for_report(&self, module: &str, status: &str, code: u32) -> Result<()> {
        until(&format!("the twin says {status}"), PATIENCE, || async {
            let reported = self.reported().await?;
            let module = &reported["modules"][module];
            ensure!(module["runtimeStatus"] == status, "{reported}");
            ensure!(reported["lastDesiredStatus"]["code"] == code, "{reported}");
            Ok(())
        })
        .await
    }

    /// What `iotedge check` says about it.
    fn deployment_is_followed(&self) -> Result<Value> {
        let checked = self.device.iotedge("check --output json")?.stdout;
        let checked: Value = serde_json::from_str(&checked)?;
        Ok(checked["checks"]["deployment-followed"]["result"]["result"].clone())
    }
}

/// D1, D8, D11: everything that is stopped with a policy above `never` is started when engine or
/// runtime come back, and after a stop by hand; while the engine is away, nothing is known, and
/// that is logged once.
#[tokio::test]
async fn engine_what_an_engine_took_along_is_started_again() -> Result<()> {
    let mut plant = Plant::start().await?;
    plant.wait_for_all(["running"; 4]).await?;
    // D11: nobody chose a log driver.
    let always = plant.container("always").await?;
    let found = plant.engine.api().inspect(&always).await?;
    let log = found.host_config.and_then(|host| host.log_config);
    assert_eq!(log.context("a LogConfig")?.typ.as_deref(), Some("local"));

    plant.engine.end()?;
    nothing_is_known_without_the_engine(&plant).await?;
    plant.engine.begin().await?;
    plant.wait_for_all(STARTED_AGAIN).await?;
    plant.wait_for_report("on-failure", "running", 200).await?;
    assert_eq!(plant.device.iotedge("list")?.code, Some(0));

    // `docker stop`.
    for module in ["on-failure", "on-unhealthy", "always"] {
        let id = plant.container(module).await?;
        plant.engine.api().stop_gently(&id).await?;
    }
    plant.wait_for_all(STARTED_AGAIN).await?;

    // A reboot: both go, both come.
    assert_eq!(plant.device.terminate()?, Some(0), "{}", plant.device.log());
    plant.engine.end()?;
    plant.engine.begin().await?;
    plant.device.start()?;
    plant.wait_for_all(STARTED_AGAIN).await
}

/// What the four modules are when everything that may be started has been.
const STARTED_AGAIN: [&str; 4] = ["stopped", "running", "running", "running"];

async fn nothing_is_known_without_the_engine(plant: &Plant) -> Result<()> {
    plant.wait_for_all(["unknown"; 4]).await?;
    let listed = plant.device.iotedge("list")?;
    assert_eq!(listed.code, Some(1), "{}", listed.stdout);
    let said = &listed.stderr;
    assert!(said.contains("does not answer"), "{said}");
    plant.wait_for_report("always", "unknown", 500).await?;
    // Logged when it changes (the socket may refuse before it is gone), and not with every round.
    let log = plant.device.log();
    let logged = log.matches("the container engine cannot be used").count();
    assert!((1..=2).contains(&logged), "{log}");
    Ok(())
}

/// What cannot be pulled from anywhere.
const NOWHERE: &str = "localhost:1/nowhere:1";

/// D6, D7: an image that cannot be had changes nothing that runs, is shown everywhere with its
/// reason, and is forgotten when the deployment asks for the old one again.
#[tokio::test]
async fn engine_a_failed_update_is_shown_and_ends_with_its_cause() -> Result<()> {
    let plant = Plant::start().await?;
    plant.wait_for_all(["running"; 4]).await?;
    let before = plant.container("always").await?;
    let image = image()?;
    deploy(&plant.server, "broken", 20, &deployment(&image, NOWHERE)).await?;
    until("the twin shows the failure", PATIENCE, || async {
        let reported = plant.reported().await?;
        ensure!(reported["lastDesiredStatus"]["code"] == 500, "{reported}");
        let module = &reported["modules"]["always"];
        ensure!(module["settings"]["image"] == image, "what runs: {module}");
        ensure!(module["runtimeStatus"] == "running", "{module}");
        let words = module["statusDescription"].as_str().unwrap_or_default();
        let is_whole = words.contains(NOWHERE) && words.contains("without a credential");
        ensure!(is_whole, "{words}");
        Ok(())
    })
    .await?;
    a_person_is_shown_the_failure(&plant, &image)?;
    assert_eq!(plant.deployment_is_followed()?, "error");

    let delete = "edge deployment delete --deployment-id broken";
    plant.server.muster(delete).await?;
    until("the twin is well again", PATIENCE, || async {
        let reported = plant.reported().await?;
        let well = json!({ "code": 200, "description": "" });
        ensure!(reported["lastDesiredStatus"] == well, "{reported}");
        let module = &reported["modules"]["always"];
        ensure!(module["statusDescription"] == "running", "{module}");
        Ok(())
    })
    .await?;
    let after = plant.container("always").await?;
    assert_eq!(after, before, "it was never touched");
    assert_ne!(plant.deployment_is_followed()?, "error");
    Ok(())
}

fn a_person_is_shown_the_failure(plant: &Plant, image: &str) -> Result<()> {
    let row = plant.device.module("always")?;
    assert_eq!(row["config"], image);
    assert_eq!(row["status"], "running");
    let listed = plant.device.iotedge("list")?.ok()?;
    let wanted = format!("while {NOWHERE} is wanted");
    assert!(listed.contains(&wanted), "{listed}");
    let status = plant.device.iotedge("system status")?.stdout;
    let wanted = "is not followed in full:\n    always: ";
    assert!(status.contains(wanted), "{status}");
    Ok(())
}
