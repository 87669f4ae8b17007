//! kill -9 of the server in the middle of a thousand registrations loses nothing that anybody was told is done.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Program, Server, Workshop, binary, until};

const DEVICES: usize = 1000;

fn start_fleet(server: &Server, workshop: &Workshop, record: &Path) -> Result<Program> {
    let mut command = Command::new(binary("muster")?);
    command.args([
        "fleet",
        "simulate",
        "--devices",
        &DEVICES.to_string(),
        "--prefix",
        "crash",
        "--retry-for",
        "120",
    ]);
    command
        .arg("--record")
        .arg(record)
        .arg("--ca-dir")
        .arg(workshop.path());
    command.arg("--data-dir").arg(server.data_dir());
    Program::start(command, &workshop.path().join("fleet.log"))
}

fn acknowledged(record: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    // The last line may be half written; it is then not acknowledged.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

fn ids(rows: &Value, key: &str) -> BTreeSet<String> {
    rows.as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| Some(row[key].as_str()?.to_owned()))
        .collect()
}

/// Writes enrollments and twins until the server no longer answers; the number of the last write that was acknowledged.
fn write_until_it_dies(server: &Server) -> Result<usize> {
    for number in 1.. {
        let tags = json!({ "number": number }).to_string();
        let group = [
            "dps",
            "enrollment-group",
            "update",
            "--enrollment-id",
            "factory",
            "--initial-twin-tags",
            &tags,
        ];
        let twin = [
            "hub",
            "device-twin",
            "update",
            "-d",
            "witness",
            "--tags",
            &tags,
        ];
        for write in [&group[..], &twin[..]] {
            if server.run_muster(write)?.code != Some(0) {
                return Ok(number - 1);
            }
        }
    }
    unreachable!("the loop ends when the server dies")
}

const LIST: [&str; 5] = [
    "dps",
    "enrollment-group",
    "registration",
    "list",
    "--enrollment-id",
];

fn registered(server: &Server) -> Result<BTreeSet<String>> {
    let rows = server
        .run_muster(&[&LIST[..], &["factory"]].concat())?
        .json()?;
    Ok(ids(&rows, "registrationId"))
}

/// A server with a group and one registered device whose twin is written to.
async fn plant(workshop: &Workshop) -> Result<Server> {
    let server = Server::start().await?;
    let root = workshop.root();
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "factory",
        "--certificate-path",
        &root.to_string_lossy(),
    ];
    server.run_muster(&create)?.ok()?;
    let witness = workshop.issue("witness")?.pem()?;
    let (status, answer) = server.register("witness", &witness).await?;
    ensure!(status == 202, "{answer}");
    Ok(server)
}

/// Kills the server once a quarter of the fleet is registered, while enrollments and twins are being written.
/// Returns the number of the last write that was acknowledged.
fn kill_amid_writes(server: &Server, record: &Path) -> Result<usize> {
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until_it_dies(server));
        let quarter = || async {
            let so_far = acknowledged(record).len();
            ensure!(so_far > DEVICES / 4, "{so_far} so far");
            Ok(())
        };
        let waited = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(until(
                "registrations",
                Duration::from_secs(60),
                quarter,
            ))
        });
        kill(server.process_id())?;
        waited?;
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))?
    })
}

/// The group's initial twin and the witness's twin hold at least the write that was acknowledged last.
fn holds_write(server: &Server, written: usize) -> Result<()> {
    let group = [
        "dps",
        "enrollment-group",
        "show",
        "--enrollment-id",
        "factory",
    ];
    let group = server.run_muster(&group)?.json()?;
    let twin = ["hub", "device-twin", "show", "-d", "witness"];
    let twin = server.run_muster(&twin)?.json()?;
    for (what, number) in [
        ("enrollment", &group["initialTwin"]["tags"]["number"]),
        ("twin", &twin["tags"]["number"]),
    ] {
        let stored = number
            .as_u64()
            .with_context(|| format!("no number in the {what}"))?;
        ensure!(
            stored >= written as u64,
            "{what} write {written} was acknowledged, {stored} is stored"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    let mut server = plant(&workshop).await?;
    let record = workshop.path().join("acknowledged");
    let fleet = start_fleet(&server, &workshop, &record)?;
    let written = kill_amid_writes(&server, &record)?;
    server.kill()?;
    let before = acknowledged(&record);
    ensure!(
        before.len() < DEVICES,
        "the server was killed too late to prove anything"
    );

    server.start_again().await?;
    let after = registered(&server)?;
    let lost: Vec<_> = before.difference(&after).collect();
    ensure!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
    holds_write(&server, written)?;

    until(
        "the rest of the fleet",
        Duration::from_secs(120),
        || async {
            let done = acknowledged(&record).len();
            ensure!(done == DEVICES, "{done} of {DEVICES}");
            Ok(())
        },
    )
    .await
    .with_context(|| fleet.log())?;
    let twins = server.run_muster(&["hub", "device-twin", "list"])?.json()?;
    assert_eq!(
        ids(&twins, "deviceId"),
        registered(&server)?,
        "a registration has its device and twin, and no device is alone"
    );
    Ok(())
}

fn kill(process: u32) -> Result<()> {
    let process = nix::unistd::Pid::from_raw(i32::try_from(process)?);
    Ok(nix::sys::signal::kill(
        process,
        nix::sys::signal::Signal::SIGKILL,
    )?)
}
