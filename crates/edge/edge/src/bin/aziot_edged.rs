//! `aziot-edged`: the device's daemon.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use edge::config::{ApplyError, Config, Network};
use edge::daemon::{self, DaemonError, Ended};
use edge::files::paths::Paths;
use edge::keys_role;
use edge::logging;
use edge::reconcile::network;
use edge::runtime::{Docker, DockerOptions};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a configuration that is not valid. Another start would fail too, so that the
/// systemd unit does not restart the daemon.
const BAD_SETTINGS: u8 = 153;

/// The IoT Edge runtime of this device.
#[derive(Parser)]
#[command(name = "aziot-edged", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the device until SIGTERM; its modules go on after that.
    Run {
        /// Folder that is this device's /, so that many devices live on one machine.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Hold the device's private keys; started by `run`.
    #[command(hide = true)]
    Keys {
        /// The device's /.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().verb {
        Verb::Run { root } => run(&root),
        Verb::Keys { root } => hold_keys(&root),
    };
    match ended {
        Ok(Ended::Stopped) => ExitCode::SUCCESS,
        Ok(Ended::Restart) => restart(),
        Err(error) => {
            let code = match error.downcast_ref::<DaemonError>() {
                Some(DaemonError::Settings(_)) => BAD_SETTINGS,
                _ => 1,
            };
            print_error(&error);
            ExitCode::from(code)
        }
    }
}

fn run(root: &std::path::Path) -> anyhow::Result<Ended> {
    let paths = Paths::under(root)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a program's main reads the environment"
    )]
    let level = std::env::var("AZIOT_LOG").ok();
    let set_log_level = logging::start(&paths, level.as_deref())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), root = %paths.root().display(), "starting");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            // Cancel-safe: both only wait.
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        Ok(daemon::run(paths, docker, set_log_level, stop).await?)
    })
}

fn hold_keys(root: &std::path::Path) -> anyhow::Result<Ended> {
    let paths = Paths::under(root)?;
    logging::start_role()?;
    keys_role::run(&paths)?;
    Ok(Ended::Stopped)
}

fn docker(config: &Config, paths: &Paths) -> Docker {
    let (socket, root, network) = (
        config.runtime.socket.clone(),
        paths.root().to_owned(),
        Network {
            name: network(paths, config),
            ..config.runtime.network.clone()
        },
    );
    Docker::new(DockerOptions {
        socket,
        root,
        network,
    })
}

/// Runs the same program with the same arguments in the same process, so that a
/// supervisor sees no restart.
fn restart() -> ExitCode {
    let error = match std::env::current_exe() {
        Ok(program) => Command::new(program)
            .args(std::env::args_os().skip(1))
            .exec(),
        Err(error) => error,
    };
    print_error(&anyhow::Error::new(error).context("cannot begin anew"));
    ExitCode::FAILURE
}

fn print_error(error: &anyhow::Error) {
    let mut out = io::stderr().lock();
    // Standard error may be closed.
    let _ = writeln!(out, "{error}");
    for cause in error.chain().skip(1) {
        let _ = writeln!(out, "\tcaused by: {cause}");
    }
    let faults = error
        .chain()
        .filter_map(|cause| match cause.downcast_ref::<ApplyError>() {
            Some(ApplyError::Faults { faults, .. }) => Some(faults),
            _ => None,
        });
    for fault in faults.flatten() {
        let _ = writeln!(out, "\t{fault}");
    }
}
