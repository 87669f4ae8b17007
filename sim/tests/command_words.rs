//! What the programs say to the person who types them, where no server and no engine is needed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use sim::{binary, run};

/// The device's daemon called itself `edge`.
#[test]
fn each_program_says_its_own_name_and_version() -> Result<()> {
    for name in ["aziot-edged", "iotedge", "muster"] {
        let printed = run(&binary(name)?, ["--version"])?.ok()?;
        let version = printed.strip_prefix(name).map(str::trim);
        let numbers = version.is_some_and(|text| text.split('.').count() == 3);
        ensure!(numbers, "{printed:?}");
    }
    Ok(())
}

/// `… | head` ended with "Broken pipe".
#[test]
fn a_reader_who_has_seen_enough_is_no_fault() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().to_string_lossy();
    for (name, arguments) in [
        ("iotedge", &["config", "template"][..]),
        ("iotedge", &["system", "status"]),
        ("iotedge", &["version", "--output", "json"]),
        ("iotedge", &["check"]),
        ("muster", &["config", "template"]),
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = Command::new(binary(name)?);
        command.args(arguments).stdout(Stdio::from(writer));
        if name == "iotedge" {
            command.args(["--root", &root]);
        }
        let ended = command.output().with_context(|| name.to_owned())?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(said.is_empty(), "{name} {arguments:?}: {said}");
        // As a shell reports what SIGPIPE ended.
        ensure!(
            ended.status.code() == Some(141),
            "{name} {arguments:?}: {}",
            ended.status
        );
    }
    Ok(())
}

/// One sentence stood there four times, and told to start the machine's own device.
#[test]
fn without_a_daemon_the_status_says_it_once_and_how_to_start_this_device() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().canonicalize()?;
    let root = root.to_string_lossy();
    let status = run(&binary("iotedge")?, ["system", "status", "--root", &*root])?;
    ensure!(status.code == Some(1), "{status:?}");
    let lines: Vec<&str> = status.stdout.lines().collect();
    let down = lines.iter().filter(|line| line.ends_with(" Down")).count();
    ensure!(down == 4, "{lines:#?}");
    let said = status.stdout.matches("nobody answers at").count();
    ensure!(said == 1, "{lines:#?}");
    let hint = format!("start it with `aziot-edged run --root {root}`");
    ensure!(
        status.stdout.contains(&hint) && !status.stdout.contains("systemctl"),
        "{lines:#?}"
    );
    Ok(())
}
