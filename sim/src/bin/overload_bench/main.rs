//! What becomes of devices when ten times as many ask as the server can register.
//!
//! First it is measured how many a second it can. Then, for a minute, devices ask ten
//! times as often and do not care what they are told; after that they come when they were
//! told, until all are in. At the end the registry is asked for each of them. Run it with
//! `cargo xtask bench overload`.

mod fleet;
mod load;
mod report;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use sim::Server;
use wire::sas::SharedAccessKey;

use fleet::Fleet;
use load::{Lines, Manner};
use report::Report;

/// The server's allocator, so that the client is not slower than need be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a server that is asked for more than it can do.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long devices ask too much.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many times what the server can do.
    #[arg(long, default_value_t = 10.0)]
    times: f64,
    /// Registrations that the server may have pending at once (`registrations_at_once`). That
    /// bounds what it can do below what this machine can: a client on the same machine has to ask
    /// ten times as often.
    #[arg(long, default_value_t = 16)]
    at_once: u32,
    /// Connections, all of them open from the beginning.
    #[arg(long, default_value_t = 512)]
    connections: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// How long it is measured what the server can do.
const CALM: Duration = Duration::from_secs(5);
/// More than any server registers in that time.
const CALM_DEVICES: usize = 200_000;
/// Devices beyond those that are let in during the storm, in seconds of what the server can do.
const BEYOND: u64 = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("muster.toml");
    let limits = format!("[limits]\nregistrations_at_once = {}\n", arguments.at_once);
    std::fs::write(&config, limits)?;
    let flags = ["--config", &config.to_string_lossy()].map(str::to_owned);
    let server = Server::start_with(flags.to_vec()).await?;
    let (scope, key) = (server.id_scope()?, enroll(&server).await?);

    let calm = Arc::new(Fleet::new("calm", CALM_DEVICES, &scope, &key)?);
    let mut lines = Lines::open(&server, arguments.at_once as usize).await?;
    let calm = lines.run(&calm, Manner::Closed { during: CALM }).await?;
    let able = calm.admitted_rate();

    let count = (able * (arguments.seconds + BEYOND) as f64) as usize;
    let fleet = Arc::new(Fleet::new("storm", count, &scope, &key)?);
    let mut lines = Lines::open(&server, arguments.connections).await?;
    let rate = able * arguments.times;
    let storm = Manner::Storm {
        rate,
        during: Duration::from_secs(arguments.seconds),
    };
    let storm = lines.run(&fleet, storm).await?;
    let left = fleet.left();
    fleet.become_patient(rate);
    let drain = lines.run(&fleet, Manner::Obeying).await?;
    require_all(&server, &fleet).await?;
    Report {
        calm,
        storm,
        left,
        drain,
        devices: fleet.len(),
    }
    .print(arguments.output == Output::Json)
}

/// A group whose devices have keys; the key that theirs derive from.
async fn enroll(server: &Server) -> Result<SharedAccessKey> {
    let group = json!({"enrollmentGroupId": "fleet", "attestation": {"type": "symmetricKey"}});
    let path = "/enrollmentGroups/fleet";
    server
        .operate(reqwest::Method::PUT, path, Some(&group))
        .await?;
    let path = format!("{path}/attestationmechanism");
    let mechanism = server.operate(reqwest::Method::POST, &path, None).await?;
    let key = mechanism["symmetricKey"]["primaryKey"].as_str();
    Ok(SharedAccessKey::from_base64(key.context("no primaryKey")?)?)
}

/// Nobody who was told that it is registered may be missing.
async fn require_all(server: &Server, fleet: &Fleet) -> Result<()> {
    let mut missing: HashSet<String> = (0..fleet.len()).map(|number| fleet.id(number)).collect();
    server
        .registrations("fleet", |state| {
            if state["status"] == "assigned" {
                let id = state["registrationId"].as_str();
                missing.remove(id.unwrap_or_default());
            }
        })
        .await?;
    let some: Vec<&String> = missing.iter().take(5).collect();
    ensure!(
        missing.is_empty(),
        "{} devices were told that they are registered and are not, such as {some:?}",
        missing.len()
    );
    Ok(())
}
