//! What certificates cost, and that a bulk run which is killed loses none. Run it with
//! `cargo xtask bench issuing` and `cargo xtask bench identities`.

mod command_lines;
mod est;
mod report;
mod service;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use sim::{BulkSigning, sign_in_bulk};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Rates of issuing, next to what the primitives allow and to the OpenSSL command line.
    Rates(Rates),
    /// Signs many requests in a run that is killed and repeated, and verifies each certificate.
    Identities(Identities),
}

#[derive(Debug, clap::Args)]
struct Rates {
    /// The example `rates` of the crate `issuing`.
    #[arg(long)]
    rates: PathBuf,
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: report::Format,
}

#[derive(Debug, clap::Args)]
struct Identities {
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    #[arg(long, default_value_t = 2)]
    kills: u32,
    /// The moments of the kills follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let text = match Arguments::parse().what {
        What::Identities(Identities {
            requests,
            kills,
            seed,
        }) => {
            let plan = BulkSigning {
                requests,
                kills,
                seed,
            };
            sign_in_bulk(plan)?.to_string()
        }
        What::Rates(Rates { rates, output }) => {
            let mut rows = service::measure(&rates)?;
            rows.extend(est::measure().await?);
            rows.extend(command_lines::measure()?);
            report::render(&rows, output)?
        }
    };
    Ok(write!(std::io::stdout(), "{text}")?)
}
