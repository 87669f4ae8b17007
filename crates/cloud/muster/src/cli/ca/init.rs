use std::path::PathBuf;

use anyhow::Context;
use ca::{CaDirectory, ExternalRoot, InitOptions};
use clap::Args;
use serde_json::json;

use super::row::{COLUMNS, row};
use super::{KeyTypeFlags, PfxFlags, passphrase};
use crate::cli::output::{self, Format};
use crate::clock;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca init --dir ./wrkdir\n  \
    muster ca init --dir ./wrkdir --key-type rsa4096 --passphrase-file ./ca.pass\n  \
    muster ca init --dir ./wrkdir --key-type ml-dsa-65 --experimental\n  \
    muster ca init --dir ./wrkdir --root-certificate root.pem --root-key root.key.pem";

#[derive(Debug, Args)]
pub struct InitFlags {
    /// The folder; `certs` and `private` are made in it.
    #[arg(long, value_name = "W")]
    dir: PathBuf,
    #[command(flatten)]
    key: KeyTypeFlags,
    /// How many days the root is valid.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3650,
        value_parser = clap::value_parser!(u32).range(1..=36_500)
    )]
    days: u32,
    /// How many days the intermediate is valid [default: 1825, or as long as the root].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    intermediate_days: Option<u32>,
    /// An existing CA as root: its certificate, PEM. It and its key are copied into the folder.
    #[arg(long, value_name = "F", requires = "root_key", conflicts_with = "days")]
    root_certificate: Option<PathBuf>,
    /// The private key of that CA, PEM.
    #[arg(long, value_name = "F", requires = "root_certificate")]
    root_key: Option<PathBuf>,
    /// A file with the passphrase that encrypts the two private keys, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// A file with another passphrase for the root's private key, in its first line.
    #[arg(long, value_name = "F")]
    root_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pfx: PfxFlags,
    /// Replace an existing hierarchy; the identities that it issued are no longer trusted.
    #[arg(long)]
    force: bool,
}

pub fn run(flags: &InitFlags, output: Format) -> anyhow::Result<()> {
    let external = flags.root_certificate.clone().zip(flags.root_key.clone());
    let options = InitOptions {
        key_type: flags.key.key_type()?,
        root_days: flags.days,
        intermediate_days: flags.intermediate_days,
        external_root: external.map(|(certificate, key)| ExternalRoot { certificate, key }),
        passphrase: passphrase(flags.passphrase_file.as_deref())?,
        root_passphrase: passphrase(flags.root_passphrase_file.as_deref())?,
        pfx_passphrase: flags.pfx.read()?,
        force: flags.force,
    };
    let made = CaDirectory::init(&flags.dir, &options, clock::now())
        .context("no certificate authority was made")?;
    let pfx = options.pfx_passphrase.is_some();
    let rows = json!([
        row("root", made.root(), &made.root_paths(), false),
        row(
            "intermediate",
            made.intermediate(),
            &made.intermediate_paths(),
            pfx
        ),
    ]);
    output::print(output, &rows, COLUMNS)?;
    Ok(())
}
