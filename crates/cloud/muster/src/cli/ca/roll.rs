mod root;

use std::path::PathBuf;

use anyhow::Context;
use ca::{CaDirectory, RollOptions, RollStatus, RolledCa};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{FolderFlag, KeyTypeFlags, passphrase};
use crate::cli::output::{self, Column, Format};
use crate::clock;

#[derive(Debug, Subcommand)]
pub enum RollCommand {
    /// Make a new intermediate and issue from it; the old one is kept beside it.
    #[command(after_help = "Example:\n  muster ca roll start --dir ./wrkdir")]
    Start(StartFlags),
    /// How many valid certificates each of the two intermediates has, by the records of the folder.
    #[command(after_help = "Example:\n  muster ca roll status --dir ./wrkdir --output table")]
    Status(FolderFlag),
    /// Delete the old intermediate's key and revoke its certificate; then write the root's list
    /// with `muster ca crl --issuer root`.
    #[command(after_help = "Example:\n  muster ca roll finish --dir ./wrkdir")]
    Finish(EndFlags),
    /// Go back to the old intermediate and revoke the new one.
    #[command(after_help = "Example:\n  muster ca roll abandon --dir ./wrkdir")]
    Abandon(EndFlags),
    /// Replace the root while certificates below the old one stay trusted.
    #[command(subcommand)]
    Root(root::RootCommand),
}

#[derive(Debug, Args)]
pub struct StartFlags {
    #[command(flatten)]
    folder: FolderFlag,
    #[command(flatten)]
    key: KeyTypeFlags,
    /// How many days the new intermediate is valid [default: 1825, or as long as the root].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// A file with the passphrase of the root's private key, in its first line; it also encrypts
    /// the new private key.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// A file with another passphrase for the root's private key, in its first line.
    #[arg(long, value_name = "F")]
    root_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct EndFlags {
    #[command(flatten)]
    folder: FolderFlag,
    /// Also when valid certificates will no longer be trusted.
    #[arg(long)]
    force: bool,
}

pub fn run(command: RollCommand, output: Format) -> anyhow::Result<()> {
    let now = clock::now();
    let status = match &command {
        RollCommand::Root(command) => return root::run(command, output),
        RollCommand::Start(flags) => {
            let passphrase_of_both = passphrase(flags.passphrase_file.as_deref())?;
            let of_root = passphrase(flags.root_passphrase_file.as_deref())?;
            let options = RollOptions {
                key_type: flags.key.key_type()?,
                days: flags.days,
                root_passphrase: of_root.or_else(|| passphrase_of_both.clone()),
                passphrase: passphrase_of_both,
            };
            CaDirectory::start_roll(&flags.folder.dir, &options, now)
        }
        RollCommand::Status(folder) => CaDirectory::roll_status(&folder.dir, now),
        RollCommand::Finish(flags) => CaDirectory::finish_roll(&flags.folder.dir, flags.force, now),
        RollCommand::Abandon(flags) => {
            CaDirectory::abandon_roll(&flags.folder.dir, flags.force, now)
        }
    };
    print(&status.context("the intermediate was not rolled")?, output)
}

fn print(status: &RollStatus, output: Format) -> anyhow::Result<()> {
    let mut rows = vec![row("current", &status.current)];
    if let Some(previous) = &status.previous {
        rows.push(row("previous", previous));
    }
    for row in &mut rows {
        row["rollStarted"] = json!(status.started.map(|started| started.to_string()));
    }
    let columns: &[Column] = &[
        ("Role", "/role"),
        ("ValidCertificates", "/validCertificates"),
        ("NotAfter", "/notAfter"),
        ("Certificate", "/certificate"),
    ];
    output::print(output, &Value::Array(rows), columns)?;
    Ok(())
}

fn row(role: &str, ca: &RolledCa) -> Value {
    json!({
        "role": role,
        "subject": ca.certificate.subject(),
        "serialNumber": ca.certificate.serial_hex(),
        "sha256Thumbprint": ca.certificate.sha256().to_string(),
        "notAfter": ca.certificate.not_after().to_string(),
        "validCertificates": ca.valid,
        "certificate": ca.path.display().to_string(),
    })
}
