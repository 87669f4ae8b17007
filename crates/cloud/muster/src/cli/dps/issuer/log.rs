//! `muster dps issuer log`: the log of issued certificates, and proofs for `muster ca log-verify`.

use clap::Subcommand;
use reqwest::Method;

use super::{Name, ROOT};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

/// Verbs of `muster dps issuer log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show the signed head of the log, and the public key that verifies it.
    #[command(after_help = "Example:\n  \
            muster dps issuer log show --issuer-name fleet --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: Name,
    },
    /// Prove that a certificate is in the log.
    #[command(after_help = "Example:\n  \
            muster dps issuer log prove --issuer-name fleet --serial-number \
            019B1A2B3C4D5E6F708192A3B4C5D6E7 --output tsv --data-dir ./data > edge-001.proof")]
    Prove {
        #[command(flatten)]
        name: Name,
        /// The serial number, hexadecimal.
        #[arg(long, value_name = "HEX")]
        serial_number: String,
        /// Prove it for the log when it had so many certificates [default: as it is].
        #[arg(long, value_name = "N")]
        size: Option<u64>,
    },
    /// Prove that the log begins with the one of an earlier checkpoint.
    #[command(after_help = "Example:\n  \
            muster dps issuer log consistency --issuer-name fleet --from 1200 --output tsv \
            --data-dir ./data > fleet.consistency")]
    Consistency {
        #[command(flatten)]
        name: Name,
        /// How many certificates the earlier checkpoint has.
        #[arg(long, value_name = "N")]
        from: u64,
        /// Prove it for the log when it had so many certificates [default: as it is].
        #[arg(long, value_name = "N")]
        size: Option<u64>,
    },
}

pub async fn run(
    command: &LogCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let (name, verb, query, size): (_, &[&str], _, _) = match command {
        LogCommand::Show { name } => (name, &["log"], None, None),
        LogCommand::Prove {
            name,
            serial_number,
            size,
        } => (
            name,
            &["log", "proof"],
            Some(("serialNumber", serial_number.clone())),
            *size,
        ),
        LogCommand::Consistency { name, from, size } => (
            name,
            &["log", "consistency"],
            Some(("from", from.to_string())),
            *size,
        ),
    };
    let path = [&ROOT[..], &[&name.issuer_name], verb].concat();
    let size = size.map(|size| ("size", size.to_string()));
    let query: Vec<_> = query.into_iter().chain(size).collect();
    let call = Call::new(Method::GET, &path).query(&query);
    let answer = client.call(call).await?;
    // What a verifier reads is a text of its own, which `tsv` prints as it is.
    let text = answer["proof"]
        .as_str()
        .or_else(|| answer["consistency"].as_str());
    match (invocation.output, text) {
        (output::Format::Tsv, Some(text)) => output::whole(text)?,
        _ => output::print(invocation.output, &answer, COLUMNS)?,
    }
    Ok(())
}

const COLUMNS: &[Column] = &[
    ("Origin", "/origin"),
    ("Index", "/index"),
    ("Size", "/size"),
    ("PublicKey", "/publicKey"),
];
