//! `muster ca roll root`: a new root beside the old one.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ca::{CaDirectory, RootRollOptions, RootRollStatus};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{EndFlags, row};
use crate::cli::ca::{FolderFlag, KeyTypeFlags, passphrase};
use crate::cli::output::{self, Column, Format};
use crate::clock;

#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// Make a new root, and certificates by which the old and the new root vouch for each other.
    #[command(after_help = "Example:\n  muster ca roll root start --dir ./wrkdir")]
    Start(StartFlags),
    /// How many valid certificates are below each of the two roots, by the records of the folder.
    #[command(after_help = "Example:\n  \
            muster ca roll root status --dir ./wrkdir --output table")]
    Status(FolderFlag),
    /// Delete the old root's key and revoke what the new root vouches for it; then write the root's
    /// list with `muster ca crl --issuer root`.
    #[command(after_help = "Example:\n  muster ca roll root finish --dir ./wrkdir")]
    Finish(EndFlags),
    /// Go back to the old root. Refused when the intermediate is of the new one.
    #[command(after_help = "Example:\n  muster ca roll root abandon --dir ./wrkdir")]
    Abandon(FolderFlag),
}

#[derive(Debug, Args)]
pub struct StartFlags {
    #[command(flatten)]
    folder: FolderFlag,
    #[command(flatten)]
    key: KeyTypeFlags,
    /// How many days the new root is valid.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3650,
        value_parser = clap::value_parser!(u32).range(1..=36_500)
    )]
    days: u32,
    /// A file with the passphrase of the root's private key, in its first line; it also encrypts
    /// the new private key.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
}

pub fn run(command: &RootCommand, output: Format) -> anyhow::Result<()> {
    let now = clock::now();
    let status = match command {
        RootCommand::Start(flags) => {
            let options = RootRollOptions {
                key_type: flags.key.key_type()?,
                days: flags.days,
                passphrase: passphrase(flags.passphrase_file.as_deref())?,
            };
            CaDirectory::start_root_roll(&flags.folder.dir, &options, now)
        }
        RootCommand::Status(folder) => CaDirectory::root_roll_status(&folder.dir, now),
        RootCommand::Finish(flags) => {
            CaDirectory::finish_root_roll(&flags.folder.dir, flags.force, now)
        }
        RootCommand::Abandon(folder) => CaDirectory::abandon_root_roll(&folder.dir, now),
    };
    print(&status.context("the root was not rolled")?, output)
}

fn print(status: &RootRollStatus, output: Format) -> anyhow::Result<()> {
    let mut rows = vec![row("current", &status.current)];
    rows.extend(
        status
            .previous
            .iter()
            .map(|previous| row("previous", previous)),
    );
    for row in &mut rows {
        row["rollStarted"] = json!(status.started.map(|started| started.to_string()));
    }
    if let Some(cross) = &status.cross {
        let file = |role: &str, path: &Path| json!({"role": role, "certificate": path.display().to_string()});
        rows.push(file("newByPrevious", &cross.new_by_previous));
        rows.push(file("previousByNew", &cross.previous_by_new));
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
