//! kill -9 of the server in the middle of a job: it goes on, and updates each twin once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Server, until};

const DEVICES: usize = 2000;
/// Devices of one bulk request.
const BULK: usize = 100;

async fn make_devices(server: &Server) -> Result<()> {
    let connection = server.show("/hubs/0/connectionString")?;
    let path = "/devices?api-version=2021-04-12";
    let numbers: Vec<usize> = (0..DEVICES).collect();
    for chunk in numbers.chunks(BULK) {
        let items = chunk.iter();
        let items = items.map(|number| json!({"id": format!("d{number}"), "importMode": "create"}));
        let body = Value::from_iter(items);
        let made = server.operate_as(&connection, Method::POST, path, Some(&body));
        ensure!(made.await?["isSuccessful"] == true);
    }
    Ok(())
}

async fn succeeded(server: &Server) -> Result<(Value, u64)> {
    let job = server.muster("hub job show --job-id j1").await?;
    let count = job["deviceJobStatistics"]["succeededCount"].as_u64();
    Ok((job, count.context("no count")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_updates_each_twin_once_whatever_happens() -> Result<()> {
    let mut server = Server::start().await?;
    make_devices(&server).await?;
    let create = "hub job create --job-id j1 --job-type scheduleUpdateTwin -q '*' \
                  --twin-patch '{\"tags\":{\"class\":\"A\"}}'";
    server.muster(create).await?;
    let connection = server.show("/hubs/0/connectionString")?;
    let path = "/jobs/v2/j1?api-version=2021-04-12";
    let done = loop {
        let job = server
            .operate_as(&connection, Method::GET, path, None)
            .await?;
        let done = job["deviceJobStatistics"]["succeededCount"].as_u64();
        match done.context("no count")? {
            0 => {}
            done => break done,
        }
    };
    server.kill()?;
    ensure!(
        done < DEVICES as u64,
        "the server was killed too late to prove anything"
    );

    server.start_again().await?;
    let ended = until("the end of the job", Duration::from_secs(120), || async {
        let (job, _) = succeeded(&server).await?;
        ensure!(job["status"] == "completed", "{job}");
        Ok(())
    });
    ended.await?;
    let (_, count) = succeeded(&server).await?;
    ensure!(count == DEVICES as u64, "{count} of {DEVICES}");
    let twins = server.muster("hub device-twin list").await?;
    let twins = twins.as_array().context("no twins")?;
    ensure!(twins.len() == DEVICES);
    for twin in twins {
        // A fresh twin has version 2.
        ensure!(
            twin["version"] == 3 && twin["tags"]["class"] == "A",
            "{twin}"
        );
    }
    Ok(())
}
