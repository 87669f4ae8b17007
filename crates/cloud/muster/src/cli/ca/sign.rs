use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use ca::{CaDirectory, RefusedRequest, RequestSource, SignObserver, SignOptions};
use clap::Args;
use ids::ProfileKind;
use serde_json::json;

use super::{FolderFlag, passphrase};
use crate::cli::argument::profile_kind;
use crate::cli::output::{self, Column, Format};
use crate::cli::progress;
use crate::clock;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca sign --csr press-7.csr --dir ./wrkdir --out ./signed\n  \
    muster ca sign --csr ./requests --dir ./wrkdir --out ./signed\n  \
    cat *.csr | muster ca sign --csr - --profile device --dir ./wrkdir --out ./signed\n\n\
    Of a request only the key and the common name count (for edge-server also the names of its \
    subjectAltName). A request that cannot be signed is named, the others are signed, and the exit \
    code is 1. A request that was signed before gets the same certificate again.";

#[derive(Debug, Args)]
pub struct SignFlags {
    /// A file with one or more requests (PEM, or one in DER), a folder of such files, or `-` for
    /// standard input.
    #[arg(long, value_name = "FILE|DIR|-")]
    csr: PathBuf,
    /// What the certificates are for.
    #[arg(long, default_value_t, value_parser = profile_kind())]
    profile: ProfileKind,
    #[command(flatten)]
    folder: FolderFlag,
    /// The folder for CN.cert.pem and CN-full-chain.cert.pem; it is made.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many days they are valid, never longer than the intermediate.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 365,
        value_parser = clap::value_parser!(u32).range(1..=36_500)
    )]
    days: u32,
    /// Sign requests again whose certificate ends within N days.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=36_500)
    )]
    renew_within_days: u32,
    /// Also sign requests for keys that few programs know: ML-DSA.
    #[arg(long)]
    experimental: bool,
    /// A file with the passphrase of the intermediate's private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// Replace certificates of other keys in the output folder.
    #[arg(long)]
    force: bool,
}

pub fn run(flags: &SignFlags, output: Format) -> anyhow::Result<()> {
    let passphrase = passphrase(flags.passphrase_file.as_deref())?;
    let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
    let directory = CaDirectory::open(&flags.folder.dir, passphrase)
        .context("the certificate authority cannot be used")?;
    let source = source(&flags.csr)?;
    let options = SignOptions {
        profile: flags.profile,
        days: flags.days,
        out: flags.out.clone(),
        renew_within_days: flags.renew_within_days,
        force: flags.force,
        experimental: flags.experimental,
    };
    let bar = progress::bar("signing", source.len());
    let observer = SignObserver {
        advanced: &|count| bar.inc(count as u64),
        refused: &|refused| bar.suspend(|| report(refused)),
    };
    let outcome = directory.sign_requests(&source, &options, clock::now(), &observer);
    bar.finish_and_clear();
    let outcome = outcome.context(
        "not every request was signed; repeat the command to go on, nothing is signed twice",
    )?;
    let value = json!({
        "signed": outcome.signed,
        "present": outcome.present,
        "refused": outcome.refused,
        "ignoredFiles": source.ignored_files(),
        "out": flags.out.display().to_string(),
    });
    output::print(output, &value, COLUMNS)?;
    ensure!(
        outcome.refused == 0,
        "{} of {} requests were not signed; the reasons are above",
        outcome.refused,
        outcome.refused + outcome.signed + outcome.present
    );
    Ok(())
}

const COLUMNS: &[Column] = &[
    ("Signed", "/signed"),
    ("Present", "/present"),
    ("Refused", "/refused"),
    ("IgnoredFiles", "/ignoredFiles"),
    ("Out", "/out"),
];

fn source(csr: &Path) -> anyhow::Result<RequestSource> {
    let source = if csr == Path::new("-") {
        let stdin = io::stdin().lock();
        if stdin.is_terminal() {
            bail!("--csr - reads requests from standard input, which is a terminal here");
        }
        RequestSource::text("standard input", stdin).context("cannot read standard input")?
    } else {
        RequestSource::path(csr)?
    };
    ensure!(
        !source.is_empty(),
        "{} holds no file that ends with .csr, .pem, .req, .p10 or .der",
        csr.display()
    );
    Ok(source)
}

/// A closed standard error must not end a run that signs.
fn report(refused: &RefusedRequest) {
    let _ = writeln!(io::stderr(), "{}: {}", refused.request, refused.reason);
}
