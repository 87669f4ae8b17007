//! `muster ca`: a certificate hierarchy in a folder, and device identities from it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ca::{CaDirectory, CaPaths, Existing, IdentityOptions, InitOptions, Signer};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::output::{self, Column, Format};
use crate::clock;

const MAX_COUNT: u32 = 1_000_000;

/// Certificates: a hierarchy, device identities.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a root and an intermediate certificate authority in a folder.
    #[command(after_help = "Examples:\n  \
            muster ca init --dir ./wrkdir\n  \
            muster ca init --dir ./wrkdir --key-type rsa4096 --passphrase-file ./ca.pass")]
    Init(InitFlags),
    /// Issue certificates.
    #[command(subcommand)]
    Issue(IssueCommand),
}

#[derive(Debug, Subcommand)]
pub enum IssueCommand {
    /// Identities of edge devices: private key, certificate and full chain each.
    #[command(after_help = "Examples:\n  \
            muster ca issue edge-identity edge-001 --dir ./wrkdir\n  \
            muster ca issue edge-identity --count 1000 --prefix sim --dir ./wrkdir")]
    EdgeIdentity(EdgeIdentityFlags),
    /// A certificate that proves possession of the CA's key to a provisioning service.
    #[command(after_help = "Example:\n  \
            muster ca issue verification --code 0123ABCD --dir ./wrkdir\n  \
            muster dps certificate verify --certificate-name factory \\\n    \
            --path ./wrkdir/certs/iot-device-verification-code.cert.pem --data-dir ./data")]
    Verification(VerificationFlags),
}

#[derive(Debug, Args)]
pub struct InitFlags {
    /// The folder; `certs` and `private` are made in it.
    #[arg(long, value_name = "W")]
    dir: PathBuf,
    /// The kind of the two private keys.
    #[arg(long, value_enum, default_value_t)]
    key_type: KeyType,
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
    /// A file with the passphrase that encrypts the two private keys, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// Replace an existing hierarchy; the identities that it issued are no longer trusted.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub struct EdgeIdentityFlags {
    /// Registration ids; each is the common name of one certificate.
    #[arg(
        value_name = "NAME",
        required_unless_present = "count",
        conflicts_with = "count"
    )]
    names: Vec<String>,
    /// The folder that `muster ca init` made.
    #[arg(long, value_name = "W")]
    dir: PathBuf,
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
    /// The kind of their private keys.
    #[arg(long, value_enum, default_value_t)]
    key_type: KeyType,
    /// A file with the passphrase of the intermediate's private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// A file with the passphrase that encrypts the new private keys, in its first line; Azure's
    /// device daemons cannot read such keys.
    #[arg(long, value_name = "F")]
    key_passphrase_file: Option<PathBuf>,
    /// Replace existing identities.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub struct VerificationFlags {
    /// The code that `muster dps certificate generate-verification-code` printed.
    #[arg(long, value_name = "CODE")]
    code: String,
    /// The folder that `muster ca init` made.
    #[arg(long, value_name = "W")]
    dir: PathBuf,
    /// The CA whose key signs: that of the certificate to be verified.
    #[arg(long, value_enum, default_value_t)]
    signer: SignerName,
    /// A file with the passphrase of that private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum SignerName {
    #[default]
    Root,
    Intermediate,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum KeyType {
    /// Elliptic curve P-256.
    #[default]
    Ec,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

impl From<KeyType> for ca::KeyType {
    fn from(kind: KeyType) -> Self {
        match kind {
            KeyType::Ec => Self::Ec,
            KeyType::Rsa2048 => Self::Rsa2048,
            KeyType::Rsa3072 => Self::Rsa3072,
            KeyType::Rsa4096 => Self::Rsa4096,
        }
    }
}

pub fn run(command: CaCommand, output: Format) -> anyhow::Result<()> {
    match command {
        CaCommand::Init(flags) => init(&flags, output),
        CaCommand::Issue(IssueCommand::EdgeIdentity(flags)) => edge_identity(&flags, output),
        CaCommand::Issue(IssueCommand::Verification(flags)) => verification(&flags, output),
    }
}

fn verification(flags: &VerificationFlags, output: Format) -> anyhow::Result<()> {
    let passphrase = flags.passphrase_file.as_deref().map(ca::read_passphrase);
    let passphrase = passphrase.transpose()?;
    let signer = match flags.signer {
        SignerName::Root => Signer::Root,
        SignerName::Intermediate => Signer::Intermediate,
    };
    let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
    let code = flags.code.trim();
    let issued =
        CaDirectory::issue_verification(&flags.dir, code, signer, passphrase, clock::now());
    let (certificate, path) = issued.context("no verification certificate was issued")?;
    let value = json!({
        "name": code,
        "issuer": certificate.issuer(),
        "notAfter": certificate.not_after().to_string(),
        "certificate": path.display().to_string(),
    });
    let columns: &[Column] = &[
        ("Name", "/name"),
        ("Issuer", "/issuer"),
        ("Certificate", "/certificate"),
    ];
    output::print(output, &value, columns)?;
    Ok(())
}

fn init(flags: &InitFlags, output: Format) -> anyhow::Result<()> {
    let options = InitOptions {
        key_type: flags.key_type.into(),
        root_days: flags.days,
        intermediate_days: flags.intermediate_days,
        passphrase: flags
            .passphrase_file
            .as_deref()
            .map(ca::read_passphrase)
            .transpose()?,
        force: flags.force,
    };
    let made = CaDirectory::init(&flags.dir, &options, clock::now())
        .context("no certificate authority was made")?;
    let rows = json!([
        row("root", made.root(), &made.root_paths()),
        row(
            "intermediate",
            made.intermediate(),
            &made.intermediate_paths()
        ),
    ]);
    output::print(output, &rows, COLUMNS)?;
    Ok(())
}

fn edge_identity(flags: &EdgeIdentityFlags, output: Format) -> anyhow::Result<()> {
    let passphrase = flags
        .passphrase_file
        .as_deref()
        .map(ca::read_passphrase)
        .transpose()?;
    let directory = CaDirectory::open(&flags.dir, passphrase.as_ref().map(|p| p.as_bytes()))
        .context("the certificate authority cannot be used")?;
    let existing = match (flags.force, flags.count) {
        (true, _) => Existing::Replace,
        (false, Some(_)) => Existing::Skip,
        (false, None) => Existing::Refuse,
    };
    let options = IdentityOptions {
        days: flags.days,
        key_type: flags.key_type.into(),
        key_passphrase: flags
            .key_passphrase_file
            .as_deref()
            .map(ca::read_passphrase)
            .transpose()?,
        existing,
    };
    let names = names(flags);
    let bar = progress_bar(names.len());
    let outcome = directory.issue_edge_identities(&names, &options, clock::now(), &|| bar.inc(1));
    bar.finish_and_clear();
    let outcome = outcome.context("not every identity was issued")?;
    if flags.count.is_some() {
        return summary(&outcome, &flags.dir, output);
    }
    let rows = outcome
        .issued
        .iter()
        .map(|one| row(&one.name, &one.certificate, &one.paths));
    output::print(output, &rows.collect(), COLUMNS)?;
    Ok(())
}

fn names(flags: &EdgeIdentityFlags) -> Vec<String> {
    let Some(count) = flags.count else {
        return flags.names.clone();
    };
    let prefix = flags.prefix.as_deref().unwrap_or_default();
    (1..=count)
        .map(|number| format!("{prefix}-{number:06}"))
        .collect()
}

/// On standard error, and hidden when that is not a terminal.
fn progress_bar(length: usize) -> ProgressBar {
    if length < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length as u64), ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
    let template = "issuing {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("NotAfter", "/notAfter"),
    ("Certificate", "/certificate"),
    ("Key", "/key"),
];

fn row(name: &str, certificate: &pki::Certificate, paths: &CaPaths) -> Value {
    json!({
        "name": name,
        "subject": certificate.subject(),
        "notBefore": certificate.not_before().to_string(),
        "notAfter": certificate.not_after().to_string(),
        "sha256Thumbprint": certificate.sha256().to_string(),
        "certificate": paths.certificate.display().to_string(),
        "fullChain": paths.chain.display().to_string(),
        "key": paths.key.display().to_string(),
    })
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
