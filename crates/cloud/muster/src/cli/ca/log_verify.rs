//! `muster ca log-verify`: whether a certificate is in the log of a service, from files alone: a proof,
//! or a copy of the log.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pki::Certificate;
use pki::log::{
    Checkpoint, LogHash, LogKey, LogProof, leaf_hash, parse_consistency, verify_consistency,
};
use serde_json::json;

use super::log_copy::LogCopy;
use crate::cli::dps::certificate_file;
use crate::cli::json_file;
use crate::cli::output::{self, Column, Format};
use crate::service_client::CommandError;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca log-verify --certificate edge-001-full-chain.cert.pem --proof edge-001.proof \\\n    \
    --log-key fleet.log-key\n  \
    muster ca log-verify --certificate edge-001-full-chain.cert.pem --proof edge-001.proof \\\n    \
    --log-key fleet.log-key --earlier last-year.checkpoint --consistency fleet.consistency\n  \
    muster ca log-verify --log ./fleet-log\n  \
    muster ca log-verify --log ./fleet-log --certificate edge-001-full-chain.cert.pem\n\n\
    The log key is `publicKey` of `muster dps issuer log show`, the proof what \
    `muster dps issuer log prove --output tsv` prints, the folder of --log what \
    `muster ca log-fetch` makes. Ends with 0 when all of it holds.";

#[derive(Debug, Args)]
pub struct LogVerifyFlags {
    /// The certificate; the CA certificate that issued it may follow.
    #[arg(long, value_name = "F", required_unless_present = "log")]
    certificate: Option<PathBuf>,
    /// The CA certificate that issued it [default: the one that follows in --certificate].
    #[arg(long, value_name = "F", requires = "certificate")]
    issuer: Option<PathBuf>,
    /// The proof that the certificate is in the log.
    #[arg(
        long,
        value_name = "F",
        required_unless_present = "log",
        conflicts_with = "log"
    )]
    proof: Option<PathBuf>,
    /// A copy of the log, which is verified as a whole.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// The public key of the log [default: the one in --log].
    #[arg(long, value_name = "F", required_unless_present = "log")]
    log_key: Option<PathBuf>,
    /// A checkpoint that was kept, with which the log must still begin.
    #[arg(
        long,
        value_name = "F",
        requires = "consistency",
        conflicts_with = "log"
    )]
    earlier: Option<PathBuf>,
    /// The proof that it does.
    #[arg(long, value_name = "F", requires = "earlier")]
    consistency: Option<PathBuf>,
}

/// A certificate, and the CA certificate that issued it.
struct Entry {
    certificate: Certificate,
    issuer: Certificate,
}

impl Entry {
    fn hash(&self) -> LogHash {
        leaf_hash(&self.issuer.sha256(), self.certificate.der())
    }
}

impl LogVerifyFlags {
    fn entry(&self) -> anyhow::Result<Option<Entry>> {
        let Some(file) = &self.certificate else {
            return Ok(None);
        };
        let mut chain = certificate_file::all(file)?;
        if let Some(issuer) = &self.issuer {
            chain.truncate(1);
            chain.extend(certificate_file::all(issuer)?);
        }
        let mut chain = chain.into_iter();
        let (Some(certificate), Some(issuer)) = (chain.next(), chain.next()) else {
            bail!(
                "{} has one certificate; give the CA certificate that issued it with --issuer, as \
                 the entry in the log names it",
                file.display()
            );
        };
        Ok(Some(Entry {
            certificate,
            issuer,
        }))
    }

    fn key(&self) -> anyhow::Result<Option<LogKey>> {
        let Some(file) = &self.log_key else {
            return Ok(None);
        };
        let key = LogKey::parse(&text(file)?);
        Ok(Some(key.context("the log key cannot be used")?))
    }
}

pub fn run(flags: &LogVerifyFlags, output: Format) -> anyhow::Result<()> {
    let entry = flags.entry()?;
    let verified = match (&flags.log, &flags.proof, &entry) {
        (Some(dir), ..) => by_copy(flags, dir, entry.as_ref())?,
        (None, Some(proof), Some(entry)) => by_proof(flags, proof, entry)?,
        _ => bail!("give --proof and --certificate, or --log"),
    };
    let certificate = entry.as_ref().map(|entry| &entry.certificate);
    let value = json!({
        "origin": verified.head.origin,
        "index": verified.index,
        "size": verified.head.size,
        "subject": certificate.map(Certificate::subject),
        "serialNumber": certificate.map(Certificate::serial_hex),
        "earlierSize": verified.earlier,
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

/// What holds.
struct Verified {
    head: Checkpoint,
    /// The place of the certificate.
    index: Option<u64>,
    /// The size of the earliest log that this one begins with.
    earlier: Option<u64>,
}

fn by_proof(flags: &LogVerifyFlags, proof: &Path, entry: &Entry) -> anyhow::Result<Verified> {
    let key = flags
        .key()?
        .context("give the key of the log with --log-key")?;
    let proof = LogProof::parse(&text(proof)?)?;
    let head = proof.verify(&entry.hash(), &key)?;
    let earlier = match (&flags.earlier, &flags.consistency) {
        (Some(earlier), Some(path)) => Some(begins_with(&key, &head, earlier, path)?.size),
        _ => None,
    };
    Ok(Verified {
        head,
        index: Some(proof.index),
        earlier,
    })
}

/// Verifies all heads of a copy, and looks for the certificate among its hashes.
fn by_copy(flags: &LogVerifyFlags, dir: &Path, entry: Option<&Entry>) -> anyhow::Result<Verified> {
    let copy = LogCopy::at(dir);
    let key = match flags.key()? {
        Some(key) => Some(key),
        None => copy.key()?,
    };
    let nothing = || {
        format!(
            "{} holds no log; `muster ca log-fetch` makes one",
            dir.display()
        )
    };
    let log = copy.verify(&key.with_context(nothing)?)?;
    let head = log.head().with_context(nothing)?.clone();
    let index = match entry {
        Some(entry) => {
            let hash = entry.hash();
            let index = log.tree.leaves().iter().position(|leaf| *leaf == hash);
            let index = index.with_context(|| {
                format!(
                    "{} is not among the {} certificates of the log",
                    entry.certificate.subject(),
                    head.size
                )
            })?;
            Some(index as u64)
        }
        None => None,
    };
    let earlier = log.heads.first().map(|head| head.size);
    Ok(Verified {
        head,
        index,
        earlier,
    })
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
