//! Kills a server under load many times, and looks for what it acknowledged. Run it with
//! `cargo xtask bench kills`.

use std::io::Write;

use anyhow::Result;
use clap::Parser;
use sim::{Kills, survive};

/// Kills a server under load.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many times.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// The moments follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { kills: count, seed } = Arguments::parse();
    let survived = survive(Kills { count, seed }).await?;
    Ok(write!(std::io::stdout(), "{survived}")?)
}
