//! Figures, and what survives. The measuring itself lives in `sim`, next to the harness it uses.

use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Subcommand};

use crate::package;
use crate::workspace::{Workspace, run as run_command};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    name: Name,
}

#[derive(Subcommand)]
enum Name {
    /// What one complete durable registration costs, next to a bare TLS server.
    Registration(Registration),
    /// What becomes of devices when ten times as many ask as the server can register.
    Overload(Overload),
    /// How long a deployment to every device of a large fleet takes, and what registrations wait
    /// meanwhile.
    Deployment(Deployment),
    /// The memory of a device that is connected and says nothing, next to a bare TLS server and to
    /// mosquitto.
    Sessions(Hub),
    /// The CPU time of a message that is acknowledged after it is on disk, next to mosquitto.
    Telemetry(Hub),
    /// Twin patches and direct methods, next to a request that only reads.
    Requests(Hub),
    /// Tag queries of a large fleet, next to a request that reads one twin.
    Query(Query),
    /// What certificates cost: the server's issuing next to its primitives, `muster ca sign` next to
    /// the OpenSSL command line.
    Issuing(Hub),
    /// Signs requests in bulk with `muster ca sign`, killed and repeated, and verifies each
    /// certificate.
    Identities(Identities),
    /// Revocation lists of 10,000 and 1,000,000 entries and OCSP answers, next to a bare signature.
    Revocation(Hub),
    /// What a server under load acknowledged and still has after so many times kill -9.
    Kills(Kills),
}

#[derive(Args)]
struct Kills {
    /// How many times.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// The moments follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct Identities {
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// How many times the run is killed.
    #[arg(long, default_value_t = 2)]
    kills: u32,
    /// The moments follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct Hub {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
}

#[derive(Args)]
struct Query {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
    /// Devices that are stored.
    #[arg(long, default_value_t = 1_000_000)]
    devices: usize,
}

#[derive(Args)]
struct Overload {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
    /// How long devices ask too much.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Args)]
struct Registration {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
    /// Measures a server that has so many devices stored, beside one that has a thousand.
    #[arg(long)]
    stored: Option<usize>,
}

#[derive(Args)]
struct Deployment {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
    /// IoT Edge devices that are stored, all of them targeted.
    #[arg(long, default_value_t = 1_000_000)]
    devices: usize,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    match &options.name {
        Name::Registration(registration) => self::registration(workspace, registration),
        Name::Overload(overload) => self::overload(workspace, overload),
        Name::Deployment(options) => deployment(workspace, options),
        Name::Sessions(options) => hub(workspace, "sessions", options),
        Name::Telemetry(options) => hub(workspace, "telemetry", options),
        Name::Requests(options) => hub(workspace, "requests", options),
        Name::Query(options) => query(workspace, options),
        Name::Issuing(options) => issuing(workspace, options),
        Name::Identities(options) => identities(workspace, options),
        Name::Revocation(options) => revocation(workspace, options),
        Name::Kills(options) => kills(workspace, options),
    }
}

fn registration(workspace: &Workspace, options: &Registration) -> anyhow::Result<()> {
    let mut bench = program(workspace, "registration-bench")?;
    bench.args(["--output", &options.output]);
    if let Some(stored) = options.stored {
        bench.args(["--stored", &stored.to_string(), "--fill"]);
        bench.arg(fill(workspace)?);
    }
    run_command(&mut bench)
}

fn deployment(workspace: &Workspace, options: &Deployment) -> anyhow::Result<()> {
    let mut bench = program(workspace, "registration-bench")?;
    bench.args(["deployment", "--output", &options.output]);
    bench.args(["--devices", &options.devices.to_string(), "--fill"]);
    run_command(bench.arg(fill(workspace)?))
}

fn overload(workspace: &Workspace, options: &Overload) -> anyhow::Result<()> {
    let mut bench = program(workspace, "overload-bench")?;
    bench.args(["--output", &options.output]);
    run_command(bench.args(["--seconds", &options.seconds.to_string()]))
}

fn query(workspace: &Workspace, options: &Query) -> anyhow::Result<()> {
    let mut bench = program(workspace, "hub-bench")?;
    bench.args(["query", "--output", &options.output, "--devices"]);
    bench.args([&options.devices.to_string(), "--fill"]);
    run_command(bench.arg(fill(workspace)?))
}

/// The program that stores a fleet in a data directory.
fn fill(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    build(workspace, "-p provisioning --example fill")?;
    Ok(workspace.target().join("release/examples/fill"))
}

fn hub(workspace: &Workspace, what: &str, options: &Hub) -> anyhow::Result<()> {
    if what != "requests" {
        package::ensure("mosquitto", "mosquitto")?;
    }
    let mut bench = program(workspace, "hub-bench")?;
    run_command(bench.args([what, "--output", &options.output]))
}

fn issuing(workspace: &Workspace, options: &Hub) -> anyhow::Result<()> {
    build(workspace, "-p issuing --example rates")?;
    let mut bench = program(workspace, "issuing-bench")?;
    bench.args(["rates", "--output", &options.output, "--rates"]);
    run_command(bench.arg(workspace.target().join("release/examples/rates")))
}

fn identities(workspace: &Workspace, options: &Identities) -> anyhow::Result<()> {
    let mut bench = program(workspace, "issuing-bench")?;
    bench.args(["identities", "--requests", &options.requests.to_string()]);
    bench.args(["--kills", &options.kills.to_string()]);
    run_command(bench.args(["--seed", &options.seed.to_string()]))
}

fn revocation(workspace: &Workspace, options: &Hub) -> anyhow::Result<()> {
    package::ensure("openssl", "openssl")?;
    let mut bench = program(workspace, "revocation-bench")?;
    run_command(bench.args(["--output", &options.output]))
}

fn kills(workspace: &Workspace, options: &Kills) -> anyhow::Result<()> {
    let mut kill = program(workspace, "kill-loop")?;
    kill.args(["--kills", &options.kills.to_string()]);
    run_command(kill.args(["--seed", &options.seed.to_string()]))
}

/// A measuring program, built together with what it measures.
fn program(workspace: &Workspace, name: &str) -> anyhow::Result<Command> {
    build(
        workspace,
        &format!("-p muster --bin muster -p sim --bin {name}"),
    )?;
    let built = workspace.target().join("release");
    let mut program = Command::new(built.join(name));
    program.env("MUSTER_BIN_DIR", &built);
    Ok(program)
}

fn build(workspace: &Workspace, what: &str) -> anyhow::Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--quiet", "--locked", "--release"]);
    run_command(build.args(what.split(' ')))
}
