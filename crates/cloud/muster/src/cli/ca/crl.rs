use std::path::PathBuf;

use anyhow::Context;
use ca::{CaDirectory, CrlOptions};
use clap::Args;
use serde_json::json;

use super::{FolderFlag, SignerName, passphrase};
use crate::cli::output::{self, Column, Format};
use crate::clock;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca crl --dir ./wrkdir\n  \
    muster ca crl --issuer root --days 180 --dir ./wrkdir\n  \
    openssl crl -noout -text -in ./wrkdir/crl/azure-iot-test-only.intermediate.crl.pem";

#[derive(Debug, Args)]
pub struct CrlFlags {
    #[command(flatten)]
    folder: FolderFlag,
    /// The CA whose list is written. While the intermediate is rolled, that of the previous one is
    /// written too.
    #[arg(long, value_enum, default_value_t = SignerName::Intermediate)]
    issuer: SignerName,
    /// How many days until the next list is there at the latest.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    days: u32,
    /// A file with the passphrase of that CA's private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
}

pub fn run(flags: &CrlFlags, output: Format) -> anyhow::Result<()> {
    let passphrase = passphrase(flags.passphrase_file.as_deref())?;
    let options = CrlOptions {
        signer: flags.issuer.into(),
        days: flags.days,
        passphrase: passphrase.as_ref().map(|text| text.as_bytes()),
    };
    let written = CaDirectory::write_crl(&flags.folder.dir, &options, clock::now());
    let rows = written
        .context("no list was written")?
        .into_iter()
        .map(|list| {
            json!({
                "crl": list.path.display().to_string(),
                "issuer": list.issuer,
                "number": list.number,
                "entries": list.entries,
                "thisUpdate": list.this_update.to_string(),
                "nextUpdate": list.next_update.to_string(),
            })
        });
    let columns: &[Column] = &[
        ("Crl", "/crl"),
        ("Number", "/number"),
        ("Entries", "/entries"),
        ("NextUpdate", "/nextUpdate"),
    ];
    output::print(output, &rows.collect(), columns)?;
    Ok(())
}
