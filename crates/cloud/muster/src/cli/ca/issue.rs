use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ca::{CaDirectory, Existing, IdentityKind, IdentityOptions};
use clap::Args;
use pki::ServerName;
use serde_json::json;

use super::row::{COLUMNS, row};
use super::{FolderFlag, KeyTypeFlags, PfxFlags, passphrase};
use crate::cli::output::{self, Column, Format};
use crate::cli::progress;
use crate::clock;

const MAX_COUNT: u32 = 1_000_000;

pub const EDGE_IDENTITY_EXAMPLES: &str = "Examples:\n  \
    muster ca issue edge-identity edge-001 --dir ./wrkdir\n  \
    muster ca issue edge-identity --count 1000 --prefix sim --dir ./wrkdir";
pub const EDGE_CA_EXAMPLES: &str = "Example:\n  \
    muster ca issue edge-ca gateway-1 --dir ./wrkdir";
pub const EDGE_SERVER_EXAMPLES: &str = "Example:\n  \
    muster ca issue edge-server gateway-1.factory.example --san 192.0.2.7 --dir ./wrkdir";
pub const DEVICE_EXAMPLES: &str = "Example:\n  \
    muster ca issue device sensor-1 sensor-2 --dir ./wrkdir";

#[derive(Debug, Args)]
pub struct IssueFlags {
    /// One certificate is issued for each name.
    #[arg(
        value_name = "NAME",
        required_unless_present = "count",
        conflicts_with = "count"
    )]
    names: Vec<String>,
    #[command(flatten)]
    folder: FolderFlag,
    /// Issue this many, named PREFIX-000001 and so on; existing ones are skipped.
    #[arg(
        long,
        value_name = "N",
        requires = "prefix",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT))
    )]
    count: Option<u32>,
    /// The start of the names of --count.
    #[arg(long, value_name = "P", requires = "count")]
    prefix: Option<String>,
    /// How many days they are valid, at most as long as the intermediate [default: 365, or as
    /// long as the intermediate].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    #[command(flatten)]
    key: KeyTypeFlags,
    /// A file with the passphrase of the intermediate's private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// A file with the passphrase that encrypts the new private keys, in its first line; Azure's
    /// device daemons cannot read such keys.
    #[arg(long, value_name = "F")]
    key_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pfx: PfxFlags,
    /// Replace existing identities.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub struct EdgeServerFlags {
    #[command(flatten)]
    issue: IssueFlags,
    /// One more host name or IP address in the subjectAltName; can be given several times.
    #[arg(long, value_name = "HOST")]
    san: Vec<String>,
}

pub fn edge_server(flags: &EdgeServerFlags, output: Format) -> anyhow::Result<()> {
    let more_names = flags.san.iter().map(|name| ServerName::parse(name));
    let more_names = more_names.collect::<Result<_, _>>().context("--san")?;
    run(
        &IdentityKind::EdgeServer { more_names },
        &flags.issue,
        output,
    )
}

pub fn run(kind: &IdentityKind, flags: &IssueFlags, output: Format) -> anyhow::Result<()> {
    let passphrase_of_ca = passphrase(flags.passphrase_file.as_deref())?;
    let passphrase_of_ca = passphrase_of_ca.as_ref().map(|text| text.as_bytes());
    let directory = CaDirectory::open(&flags.folder.dir, passphrase_of_ca)
        .context("the certificate authority cannot be used")?;
    let options = IdentityOptions {
        days: flags.days,
        key_type: flags.key.key_type()?,
        key_passphrase: passphrase(flags.key_passphrase_file.as_deref())?,
        pfx_passphrase: flags.pfx.read()?,
        existing: match (flags.force, flags.count) {
            (true, _) => Existing::Replace,
            (false, Some(_)) => Existing::Skip,
            (false, None) => Existing::Refuse,
        },
    };
    let names = names(flags);
    let bar = progress::bar("issuing", names.len());
    let outcome = directory.issue(kind, &names, &options, clock::now(), &|| bar.inc(1));
    bar.finish_and_clear();
    let outcome = outcome.context("not every identity was issued")?;
    if flags.count.is_some() {
        return summary(&outcome, &flags.folder.dir, output);
    }
    let pfx = options.pfx_passphrase.is_some();
    let rows = outcome
        .issued
        .iter()
        .map(|one| row(&one.name, &one.certificate, &one.paths, pfx));
    output::print(output, &rows.collect(), COLUMNS)?;
    Ok(())
}

fn names(flags: &IssueFlags) -> Vec<String> {
    let Some(count) = flags.count else {
        return flags.names.clone();
    };
    let prefix = flags.prefix.as_deref().unwrap_or_default();
    (1..=count)
        .map(|number| format!("{prefix}-{number:06}"))
        .collect()
}

fn summary(outcome: &ca::IssueOutcome, dir: &Path, output: Format) -> anyhow::Result<()> {
    if !outcome.skipped.is_empty() {
        let mut stderr = io::stderr().lock();
        writeln!(
            stderr,
            "{} identities were there already and were left as they are (--force replaces them)",
            outcome.skipped.len()
        )?;
    }
    let value = json!({
        "issued": outcome.issued.len(),
        "skipped": outcome.skipped.len(),
        "certificates": dir.join("certs").display().to_string(),
        "keys": dir.join("private").display().to_string(),
    });
    let columns: &[Column] = &[
        ("Issued", "/issued"),
        ("Skipped", "/skipped"),
        ("Certificates", "/certificates"),
        ("Keys", "/keys"),
    ];
    output::print(output, &value, columns)?;
    Ok(())
}
