//! kill -9 of the server in the middle of an import and an export: both go on, and their files are
//! whole.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Server, until};

const DEVICES: usize = 3000;

/// Waits until a job has begun, kills the server, and waits for the end of the job.
async fn interrupt(server: &mut Server, command: &str) -> Result<Value> {
    let job = server.muster(command).await?;
    let id = job["jobId"].as_str().context("no id")?;
    let show = format!("hub job show --job-id {id}");
    let progress = loop {
        let job = server.muster(&show).await?;
        let progress = job["progress"].as_u64().context("no progress")?;
        if progress > 0 {
            break progress;
        }
    };
    server.kill()?;
    ensure!(progress < 100, "it was killed too late to prove anything");
    server.start_again().await?;
    until("the end of the job", Duration::from_secs(120), || async {
        let job = server.muster(&show).await?;
        ensure!(job["status"] == "completed", "{job}");
        Ok(job)
    })
    .await
}

fn ids(server: &Server, file: &str) -> Result<Vec<String>> {
    let path = server.data_dir().join("transfers/hub/fleet").join(file);
    let text = std::fs::read_to_string(path)?;
    let id = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        Ok(line["id"].as_str().context("no id")?.to_owned())
    };
    text.lines().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_and_exports_go_on_whatever_happens() -> Result<()> {
    let mut server = Server::start().await?;
    let folder = server.data_dir().join("transfers/hub/fleet");
    std::fs::create_dir_all(&folder)?;
    let line = |number| json!({"id": format!("d{number}"), "tags": {"a": "x".repeat(4000)}});
    let lines: Vec<String> = (0..DEVICES)
        .map(|number| line(number).to_string())
        .collect();
    std::fs::write(folder.join("devices.txt"), lines.join("\n"))?;
    interrupt(&mut server, "hub device-identity import --ibcu fleet").await?;
    let errors = std::fs::read_to_string(folder.join("importErrors.log"))?;
    ensure!(errors.is_empty(), "{errors}");
    let count = server.muster("hub statistics").await?;
    ensure!(count["totalDeviceCount"] == DEVICES, "{count}");

    let export = "hub device-identity export --bcu fleet --output-blob-name all.txt --include-keys";
    interrupt(&mut server, export).await?;
    let ids = ids(&server, "all.txt")?;
    let distinct: BTreeSet<&String> = ids.iter().collect();
    ensure!(
        ids.len() == DEVICES && distinct.len() == DEVICES,
        "{} lines",
        ids.len()
    );
    Ok(())
}
