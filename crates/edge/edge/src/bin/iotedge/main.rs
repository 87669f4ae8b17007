//! `iotedge`: the commands for the owner of a device. It has no state of its own; it reads files
//! and asks the daemon by its socket.

mod check;
mod client;
mod config;
mod list;
mod logs;
mod output;
mod restart;
mod system;
mod tpm;
mod version;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use edge::files::paths::Paths;

use client::Client;
use output::Format;

/// Manages the IoT Edge runtime of this device.
#[derive(Debug, Parser)]
#[command(name = "iotedge", version, propagate_version = true)]
#[command(after_help = "Example:\n  iotedge config apply\n  iotedge list")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The folder that is the device's `/`: many devices live on one machine.
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The management socket, unix:///path; the one under --root when it is not given.
    #[arg(
        long,
        short = 'H',
        global = true,
        value_name = "URI",
        env = "IOTEDGE_HOST"
    )]
    host: Option<String>,
    /// How answers are printed.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for what keeps the device from working.
    Check(check::Check),
    /// The device's configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// List the modules.
    #[command(after_help = "Example:\n  iotedge list")]
    List,
    /// Print the log of a module.
    Logs(logs::Logs),
    /// Restart a module.
    #[command(after_help = "Example:\n  iotedge restart tempSensor")]
    Restart {
        /// The module's name.
        module: String,
    },
    /// The runtime itself.
    #[command(subcommand)]
    System(system::SystemCommand),
    /// The TPM of the device.
    #[command(subcommand)]
    Tpm(tpm::TpmCommand),
    /// Print the version.
    #[command(after_help = "Example:\n  iotedge version")]
    Version,
}

/// What every command needs besides its own flags.
struct Device {
    paths: Paths,
    client: Client,
    output: Format,
}

fn main() -> ExitCode {
    match run(Cli::parse_from(config::azures_short_flag(
        std::env::args_os(),
    ))) {
        Ok(code) => code,
        Err(error) if output::is_closed(&error) => ExitCode::from(output::CLOSED),
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "{error}");
            for cause in error.chain().skip(1) {
                let _ = writeln!(stderr, "\tcaused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

/// `--host` is a `unix://` URI, as Azure's tool takes it.
fn socket(host: Option<&str>, paths: &Paths) -> anyhow::Result<PathBuf> {
    match host.map(|uri| (uri, uri.strip_prefix("unix://"))) {
        None => Ok(paths.management_socket()),
        Some((_, Some(path))) => Ok(PathBuf::from(path)),
        Some((uri, None)) => bail!("--host {uri}: only unix:///path is served"),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let paths =
        Paths::under(&cli.root).with_context(|| format!("--root {}", cli.root.display()))?;
    let client = Client::new(socket(cli.host.as_deref(), &paths)?, paths.start_hint());
    let device = Device {
        paths,
        client,
        output: cli.output,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime")?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Check(check) => return check::run(&check, &device).await,
            Command::Config(command) => config::run(command, &device).await?,
            Command::List => return list::run(&device).await,
            Command::Logs(flags) => logs::run(&flags, &device).await?,
            Command::Restart { module } => restart::run(&module, &device).await?,
            Command::System(command) => return system::run(command, &device).await,
            Command::Tpm(command) => return tpm::run(command, &device).await,
            Command::Version => version::run(&device)?,
        }
        Ok(ExitCode::SUCCESS)
    });
    // A name lookup that has not finished must not delay the end.
    runtime.shutdown_background();
    outcome
}
