//! kill -9 of the server in the middle of a thousand registrations loses nothing that anybody
//! was told is done.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Device, Fleet, Server, Workshop, until};

const DEVICES: usize = 1000;

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

/// Writes enrollments and twins until the server no longer answers; the number of the last
/// write that was acknowledged.
async fn write_until_it_dies(server: &Server) -> Result<usize> {
    for number in 1.. {
        let tags = json!({ "number": number });
        for update in [
            "dps enrollment-group update --enrollment-id factory --initial-twin-tags",
            "hub device-twin update -d witness --tags",
        ] {
            let written = server.try_muster(&format!("{update} '{tags}'")).await?;
            if written.code != Some(0) {
                return Ok(number - 1);
            }
        }
    }
    unreachable!("the loop ends when the server dies")
}

async fn registered(server: &Server) -> Result<BTreeSet<String>> {
    let list = "dps enrollment-group registration list --enrollment-id factory";
    Ok(ids(&server.muster(list).await?, "registrationId"))
}

/// A server with a group and one registered device whose twin is written to.
async fn plant(workshop: &Workshop) -> Result<Server> {
    let server = Server::start().await?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let witness = workshop.issue("witness")?;
    Device::with_certificate(&server, &witness)?
        .assigned_hub()
        .await?;
    Ok(server)
}

/// Kills the server once a quarter of the fleet is registered, while enrollments and twins are
/// being written. Returns the number of the last write that was acknowledged.
async fn kill_amid_writes(server: &Server, record: &Path) -> Result<usize> {
    let kill_it = async {
        let quarter = until("registrations", Duration::from_secs(60), || async {
            let so_far = acknowledged(record).len();
            ensure!(so_far > DEVICES / 4, "{so_far} so far");
            Ok(())
        });
        let waited = quarter.await;
        server.strike()?;
        waited
    };
    let (killed, written) = tokio::join!(kill_it, write_until_it_dies(server));
    killed?;
    written
}

/// The group's initial twin and the witness's twin hold at least the write
/// that was acknowledged last.
async fn holds_write(server: &Server, written: usize) -> Result<()> {
    let group = server
        .muster("dps enrollment-group show --enrollment-id factory")
        .await?;
    let twin = server.muster("hub device-twin show -d witness").await?;
    for (what, number) in [
        ("enrollment", &group["initialTwin"]["tags"]["number"]),
        ("twin", &twin["tags"]["number"]),
    ] {
        let stored = number.as_u64();
        let stored = stored.with_context(|| format!("no number in the {what}"))?;
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
    let flags = format!(
        "--prefix crash --retry-for 120 --record {}",
        record.display()
    );
    let fleet = Fleet::start(&server, &workshop, DEVICES, &flags)?;
    let written = kill_amid_writes(&server, &record).await?;
    server.kill()?;
    let before = acknowledged(&record);
    ensure!(
        before.len() < DEVICES,
        "the server was killed too late to prove anything"
    );

    server.start_again().await?;
    let after = registered(&server).await?;
    let lost: Vec<_> = before.difference(&after).collect();
    ensure!(lost.is_empty(), "acknowledged, then lost: {lost:?}");
    holds_write(&server, written).await?;

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
    let twins = server.muster("hub device-twin list").await?;
    assert_eq!(
        ids(&twins, "deviceId"),
        registered(&server).await?,
        "a registration has its device and twin, and no device is alone"
    );
    Ok(())
}
