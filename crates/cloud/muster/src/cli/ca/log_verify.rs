//! `muster ca log-verify`: whether a certificate is in the log of a service, from files alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pki::log::{Checkpoint, LogKey, LogProof, leaf_hash, parse_consistency, verify_consistency};
use serde_json::json;

use crate::cli::dps::certificate_file;
use crate::cli::json_file;
use crate::cli::output::{self, Column, Format};
use crate::service_client::CommandError;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca log-verify --certificate edge-001-full-chain.cert.pem --proof edge-001.proof \\\n    \
    --log-key fleet.log-key\n  \
    muster ca log-verify --certificate edge-001-full-chain.cert.pem --proof edge-001.proof \\\n    \
    --log-key fleet.log-key --earlier last-year.checkpoint --consistency fleet.consistency\n\n\
    The log key is `publicKey` of `muster dps issuer log show`, the proof what \
    `muster dps issuer log prove --output tsv` prints. Ends with 0 when all of it holds.";

#[derive(Debug, Args)]
pub struct LogVerifyFlags {
    /// The certificate; the CA certificate that issued it may follow.
    #[arg(long, value_name = "F")]
    certificate: PathBuf,
    /// The CA certificate that issued it [default: the one that follows in --certificate].
    #[arg(long, value_name = "F")]
    issuer: Option<PathBuf>,
    /// The proof that the certificate is in the log.
    #[arg(long, value_name = "F")]
    proof: PathBuf,
    /// The public key of the log.
    #[arg(long, value_name = "F")]
    log_key: PathBuf,
    /// A checkpoint that was kept, with which the log must still begin.
    #[arg(long, value_name = "F", requires = "consistency")]
    earlier: Option<PathBuf>,
    /// The proof that it does.
    #[arg(long, value_name = "F", requires = "earlier")]
    consistency: Option<PathBuf>,
}

pub fn run(flags: &LogVerifyFlags, output: Format) -> anyhow::Result<()> {
    let mut chain = certificate_file::all(&flags.certificate)?;
    if let Some(issuer) = &flags.issuer {
        chain.truncate(1);
        chain.extend(certificate_file::all(issuer)?);
    }
    let [certificate, issuer, ..] = chain.as_slice() else {
        bail!(
            "{} has one certificate; give the CA certificate that issued it with --issuer, as the \
             entry in the log names it",
            flags.certificate.display()
        );
    };
    let key = LogKey::parse(&text(&flags.log_key)?).context("the log key cannot be used")?;
    let proof = LogProof::parse(&text(&flags.proof)?)?;
    let leaf = leaf_hash(&issuer.sha256(), certificate.der());
    let head = proof.verify(&leaf, &key)?;
    let earlier = match (&flags.earlier, &flags.consistency) {
        (Some(earlier), Some(path)) => Some(begins_with(&key, &head, earlier, path)?),
        _ => None,
    };
    let value = json!({
        "origin": head.origin,
        "index": proof.index,
        "size": head.size,
        "subject": certificate.subject(),
        "serialNumber": certificate.serial_hex(),
        "earlierSize": earlier.map(|earlier| earlier.size),
    });
    let columns: &[Column] = &[
        ("Origin", "/origin"),
        ("Index", "/index"),
        ("Size", "/size"),
        ("Subject", "/subject"),
        ("SerialNumber", "/serialNumber"),
    ];
    Ok(output::print(output, &value, columns)?)
}

/// Verifies that the log still begins with what an earlier checkpoint says.
fn begins_with(
    key: &LogKey,
    head: &Checkpoint,
    earlier: &Path,
    consistency: &Path,
) -> anyhow::Result<Checkpoint> {
    let note = text(earlier)?;
    let earlier = key
        .open(&note)
        .with_context(|| format!("{} does not hold", earlier.display()))?;
    let path = parse_consistency(&text(consistency)?)?;
    verify_consistency(&earlier, head, &path)?;
    Ok(earlier)
}

fn text(file: &Path) -> Result<String, CommandError> {
    json_file::read_text(file).map_err(CommandError::Input)
}
