//! `muster`: the server (device provisioning and hubs) and the operator's command line.

mod cli;
mod clock;
mod data_dir;
mod environment;
mod logging;
mod serve;
mod service_client;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// A server makes many small allocations that live for one request.
/// `docs/decisions/0009-mimalloc.md` says what this allocator saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if cli::is_closed(&error) => ExitCode::from(cli::CLOSED),
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "muster: {error}");
            for cause in error.chain().skip(1) {
                let _ = writeln!(stderr, "\tcaused by: {cause}");
            }
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
