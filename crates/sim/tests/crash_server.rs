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
            if server.muster(write)?.code != Some(0) {
                return Ok(number - 1);
            }
        }
    }
    unreachable!("the loop ends when the server dies")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() -> Result<()> {
    let mut server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let root = workshop.root();
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "factory",
        "--certificate-path",
    ];
    server
        .muster(&[&create[..], &[&root.to_string_lossy()]].concat())?
        .ok()?;
    let (status, answer) = server
        .register("witness", &workshop.issue("witness")?.pem()?)
        .await?;
    ensure!(status == 202, "{answer}");

    let record = workshop.path().join("acknowledged");
    let fleet = start_fleet(&server, &workshop, &record)?;
    let written = std::thread::scope(|scope| -> Result<usize> {
        let writer = scope.spawn(|| write_until_it_dies(&server));
        let waited = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(until(
                "registrations",
                Duration::from_secs(60),
                || async {
                    ensure!(
                        acknowledged(&record).len() > DEVICES / 4,
                        "{} so far",
                        acknowledged(&record).len()
                    );
                    Ok(())
                },
            ))
        });
        kill(server.process_id())?;
        waited?;
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))?
    })?;
    server.kill()?;
    let before = acknowledged(&record);
    ensure!(
        before.len() < DEVICES,
        "the server was killed too late to prove anything"
    );

    server.start_again().await?;
    let list = [
        "dps",
        "enrollment-group",
        "registration",
        "list",
        "--enrollment-id",
        "factory",
    ];
    let registered = ids(&server.muster(&list)?.json()?, "registrationId");
    let lost: Vec<_> = before.difference(&registered).collect();
    ensure!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
    let group = server
        .muster(&[
            "dps",
            "enrollment-group",
            "show",
            "--enrollment-id",
            "factory",
        ])?
        .json()?;
    let stored = group["initialTwin"]["tags"]["number"]
        .as_u64()
        .context("no number in the group")?;
    ensure!(
        stored >= written as u64,
        "enrollment write {written} was acknowledged, {stored} is stored"
    );
    let twin = server
        .muster(&["hub", "device-twin", "show", "-d", "witness"])?
        .json()?;
    let stored = twin["tags"]["number"]
        .as_u64()
        .context("no number in the twin")?;
    ensure!(
        stored >= written as u64,
        "twin write {written} was acknowledged, {stored} is stored"
    );

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
    let registered = ids(&server.muster(&list)?.json()?, "registrationId");
    let twins = server.muster(&["hub", "device-twin", "list"])?.json()?;
    assert_eq!(
        ids(&twins, "deviceId"),
        registered,
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
