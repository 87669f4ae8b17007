use std::path::PathBuf;

use anyhow::Context;
use ca::CaDirectory;
use clap::Args;
use serde_json::json;

use super::{FolderFlag, SignerName, passphrase};
use crate::cli::output::{self, Column, Format};
use crate::clock;

pub const EXAMPLES: &str = "Example:\n  \
    muster ca issue verification 0123ABCD --dir ./wrkdir\n  \
    muster dps certificate verify --certificate-name factory \\\n    \
    --path ./wrkdir/certs/iot-device-verification-code.cert.pem --data-dir ./data";

#[derive(Debug, Args)]
pub struct VerificationFlags {
    /// The code that `muster dps certificate generate-verification-code` printed.
    #[arg(
        value_name = "CODE",
        required_unless_present = "code",
        conflicts_with = "code"
    )]
    name: Option<String>,
    /// The same as CODE.
    #[arg(long = "code", value_name = "CODE")]
    code: Option<String>,
    #[command(flatten)]
    folder: FolderFlag,
    /// The CA whose key signs: that of the certificate to be verified.
    #[arg(long, alias = "signer", value_enum, default_value_t)]
    issuer: SignerName,
    /// A file with the passphrase of that private key, in its first line.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
}

pub fn run(flags: &VerificationFlags, output: Format) -> anyhow::Result<()> {
    let passphrase = passphrase(flags.passphrase_file.as_deref())?;
    let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
    let code = flags.name.as_ref().or(flags.code.as_ref());
    let code = code.map(|code| code.trim()).unwrap_or_default();
    let (dir, issuer) = (&flags.folder.dir, flags.issuer.into());
    let issued = CaDirectory::issue_verification(dir, code, issuer, passphrase, clock::now());
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
