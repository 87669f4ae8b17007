//! The main job on real parts: certificates, enrollments, three edge devices
//! whose modules start by tag, then a fleet, then the operator's view.

mod checks;
mod device;
mod operator;
mod server;
mod view;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use tempfile::TempDir;

use crate::console::{heading, say, spell};
use crate::engine::Engine;
use crate::image;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::workspace::{Workspace, run as run_command};

use self::checks::Checks;
use self::device::EdgeDevice;
use self::operator::Operator;
use self::server::Server;

/// The edge devices: the first by an individual enrollment, the others by the group.
const EDGE_DEVICES: [&str; 3] = ["edge-001", "edge-002", "edge-003"];
const INDIVIDUAL: &str = "edge-001";
const GROUP: &str = "factory";
/// The folder of certificates in the demo's folder.
const CA: &str = "ca";
const DEPLOYMENT: &str = "base";
const MODULE: &str = "tempSensor";

#[derive(Args)]
pub(crate) struct Options {
    /// Verify everything, take it down and end, instead of waiting for Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// How many simulated devices register through the group.
    #[arg(long, default_value_t = 1_000)]
    devices: u32,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let journal = Journal::open(&workspace.scratch("journals")?)?;
    let begun = Instant::now();
    let outcome = play(workspace, options, &interrupt, &journal);
    // What is taken down below may wait, whatever ended the play.
    let asked_to_stop = interrupt.raised();
    interrupt.lower();
    heading("Taking down");
    journal.sweep();
    say("containers, processes and files of this run are gone");
    match outcome {
        Ok(()) => {
            say(format!("done in {}", spell(begun.elapsed())));
            Ok(())
        }
        Err(_) if asked_to_stop && !options.exit => Ok(()),
        Err(error) => Err(error),
    }
}

/// Everything a run of the demo holds; dropped in this order.
struct Stage {
    devices: Vec<EdgeDevice>,
    server: Server,
    engine: Engine,
    work: TempDir,
}

fn play(
    workspace: &Workspace,
    options: &Options,
    interrupt: &Interrupt,
    journal: &Journal,
) -> anyhow::Result<()> {
    let mut clock = Stopwatch::start();
    let mut stage = open(workspace, interrupt, journal, &mut clock)?;
    let operator = Operator::new(workspace, stage.work.path());
    certificates(&operator)?;
    clock.lap("certificates");
    enroll(&operator, stage.work.path())?;
    clock.lap("enrollments and deployment");
    start_devices(&mut stage, workspace, interrupt, journal)?;
    clock.lap("three edge devices, from start to running module");
    simulate(&operator, options.devices)?;
    clock.lap(&format!("{} simulated devices", options.devices));

    interrupt.or_go_on()?;
    view::show(&operator, &stage.devices, &clock)?;
    if options.exit {
        return verify(&operator, &stage, options.devices, interrupt);
    }
    say(format!(
        "\nEverything goes on running. Look around, for example\n  export PATH={}:$PATH\n  cd {}\n  {}\n\
         Ctrl-C ends it and removes everything.",
        workspace.target().join("debug").display(),
        stage.work.path().display(),
        operator.typed("hub device-twin show", &[("-d", INDIVIDUAL)])
    ));
    stage.wait_for_the_end(interrupt)
}

impl Stage {
    fn wait_for_the_end(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        while !interrupt.raised() {
            self.server.or_why_it_ended()?;
            for device in &mut self.devices {
                device.or_why_it_ended()?;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// Builds the programs, finds or starts an engine, makes the work folder
/// (short: unix sockets lie below it) and starts the server.
fn open(
    workspace: &Workspace,
    interrupt: &Interrupt,
    journal: &Journal,
    clock: &mut Stopwatch,
) -> anyhow::Result<Stage> {
    heading("Programs and engine");
    run_command(
        workspace
            .cargo("build")
            .args(["--quiet", "--locked", "-p", "muster", "-p", "edge"]),
    )?;
    clock.lap("build the programs");
    let engine = Engine::find_or_start(workspace, journal, interrupt)?;
    clock.lap("container engine");
    if engine.is_found() && !engine.api().has_image(image::SENSOR_IMAGE) {
        journal.image(&engine.api().socket(), image::SENSOR_IMAGE)?;
    }
    image::load_sensor(workspace, engine.api())?;
    clock.lap("sensor image");
    heading("Server");
    let work = tempfile::Builder::new().prefix("muster-").tempdir()?;
    journal.directory(work.path())?;
    let server = Server::start(workspace, work.path(), interrupt, journal)?;
    clock.lap("server, from nothing to ready");
    Ok(Stage {
        devices: Vec::new(),
        server,
        engine,
        work,
    })
}

fn certificates(operator: &Operator) -> anyhow::Result<()> {
    heading("Certificates");
    let folder = [("--dir", CA), ("--output", "table")];
    operator.print_and_run("ca init", &folder)?;
    let names = EDGE_DEVICES.join(" ");
    operator.print_and_run(&format!("ca issue edge-identity {names}"), &folder)
}

fn enroll(operator: &Operator, work: &Path) -> anyhow::Result<()> {
    heading("Enrollments and deployment");
    let leaf = format!("{CA}/certs/iot-edge-device-identity-{INDIVIDUAL}.cert.pem");
    let root = format!("{CA}/certs/azure-iot-test-only.root.ca.cert.pem");
    let tags = ("--initial-twin-tags", r#"{"environment":"test"}"#);
    let table = ("--output", "table");
    operator.print_and_run_on_server(
        "dps enrollment create --attestation-type x509 --edge-enabled true",
        &[
            ("--enrollment-id", INDIVIDUAL),
            ("--certificate-path", &leaf),
            tags,
            table,
        ],
    )?;
    operator.print_and_run_on_server(
        "dps enrollment-group create --edge-enabled true",
        &[
            ("--enrollment-id", GROUP),
            ("--certificate-path", &root),
            tags,
            table,
        ],
    )?;
    let content = serde_json::to_string_pretty(&deployment())?;
    std::fs::write(work.join("deployment.json"), content)?;
    let target = ("--target-condition", "tags.environment='test'");
    operator.print_and_run_on_server(
        "edge deployment create --content deployment.json --priority 10",
        &[("--deployment-id", DEPLOYMENT), target, table],
    )
}

/// One module of ours on the host's network, so that it reaches a hub that
/// listens on this machine only.
fn deployment() -> serde_json::Value {
    let create_options = serde_json::json!({ "HostConfig": { "NetworkMode": "host" } }).to_string();
    serde_json::json!({ "modulesContent": {
        "$edgeAgent": { "properties.desired": {
            "schemaVersion": "1.1",
            "runtime": { "type": "docker", "settings": {} },
            "systemModules": {
                "edgeAgent": { "type": "docker", "settings": { "image": "muster/edge-agent:builtin" } },
                "edgeHub": {
                    "type": "docker", "status": "running", "restartPolicy": "always",
                    "settings": { "image": "muster/edge-hub:builtin" },
                },
            },
            "modules": { MODULE: {
                "type": "docker", "version": "1.0", "status": "running",
                "restartPolicy": "always", "imagePullPolicy": "never",
                "settings": { "image": image::SENSOR_IMAGE, "createOptions": create_options },
            } },
        } },
        "$edgeHub": { "properties.desired": {
            "schemaVersion": "1.1", "routes": {},
            "storeAndForwardConfiguration": { "timeToLiveSecs": 7200 },
        } },
        MODULE: { "properties.desired": { "SendInterval": 5 } },
    } })
}

fn start_devices(
    stage: &mut Stage,
    workspace: &Workspace,
    interrupt: &Interrupt,
    journal: &Journal,
) -> anyhow::Result<()> {
    heading("Edge devices");
    let setup = device::DeviceSetup {
        workspace,
        work: stage.work.path(),
        ca: &stage.work.path().join(CA),
        server: stage.server.access(),
        engine: stage.engine.api(),
        journal,
    };
    for name in EDGE_DEVICES {
        stage.devices.push(EdgeDevice::start(name, &setup)?);
    }
    for device in &mut stage.devices {
        device.wait_for_module(MODULE, interrupt)?;
    }
    Ok(())
}

fn simulate(operator: &Operator, devices: u32) -> anyhow::Result<()> {
    heading("Fleet");
    let count = devices.to_string();
    let values = [
        ("--devices", count.as_str()),
        ("--ca-dir", CA),
        ("--output", "table"),
    ];
    operator.print_and_run_on_server("fleet simulate", &values)
}

fn verify(
    operator: &Operator,
    stage: &Stage,
    devices: u32,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    heading("Checks");
    let mut checks = Checks::new(operator, interrupt);
    for device in &stage.devices {
        checks.edge_device(device)?;
    }
    checks.individual()?;
    checks.deployment(EDGE_DEVICES.len(), devices)?;
    checks.fleet(EDGE_DEVICES.len() - 1, devices)?;
    let failed = checks.failed();
    if failed > 0 {
        bail!("{failed} checks did not hold");
    }
    Ok(())
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// What took how long, in the order it happened.
struct Stopwatch {
    last: Instant,
    laps: Vec<(String, Duration)>,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }

    fn lap(&mut self, what: &str) {
        let now = Instant::now();
        self.laps.push((what.to_owned(), now - self.last));
        self.last = now;
    }
}
