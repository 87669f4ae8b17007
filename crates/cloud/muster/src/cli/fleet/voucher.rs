//! `muster fleet voucher`: the devices of a batch, signed by their maker and passed on from owner
//! to owner. The format is that of the crate `voucher`.

mod csv;
mod device_list;
mod import;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use ids::RegistrationId;
use pki::{PrivateKey, VerifyingKey, VerifyingKeyError};
use serde_json::{Value, json};
use voucher::{Credential, Device, Link, Trust, UnverifiedVoucher, VerifiedVoucher};

use crate::cli::{Column, Invocation, json_file, output};
use crate::clock;
use crate::service_client::CommandError;

/// Verbs of `muster fleet voucher`.
#[derive(Debug, Subcommand)]
pub enum VoucherCommand {
    /// Sign a list of devices as their maker.
    #[command(after_help = "Examples:\n  \
            muster fleet voucher create --devices batch.csv --ca-dir ./workshop --out \
            batch.voucher.json\n  \
            muster fleet voucher create --devices batch.json --signing-key maker.key.pem --out \
            batch.voucher.json\n\n\
            The list is CSV with the columns id, certificate (a file), thumbprint (SHA-256), \
            endorsementKey (base64), tags (a JSON object), or a JSON array of objects with these \
            members. A device has one of the three credentials.")]
    Create(CreateFlags),
    /// Pass a batch, or some of its devices, on to the next owner.
    #[command(after_help = "Example:\n  \
            muster fleet voucher endorse --voucher batch.voucher.json --ca-dir ./workshop --to \
            buyer.pem --out sold.voucher.json")]
    Endorse(EndorseFlags),
    /// Verify that a voucher begins at a trusted maker, and name its owner.
    #[command(after_help = "Example:\n  \
            muster fleet voucher verify --voucher sold.voucher.json --trusted-maker maker.pem \
            --owner-key buyer.pem")]
    Verify {
        #[command(flatten)]
        voucher: VoucherFile,
        #[command(flatten)]
        maker: MakerFlag,
        /// The key that must own the batch: a certificate, a public or a private key, PEM.
        #[arg(long, value_name = "FILE")]
        owner_key: Option<PathBuf>,
    },
    /// Show the devices and the chain of a voucher. Whether its maker is trusted is not verified.
    #[command(
        after_help = "Example:\n  muster fleet voucher show --voucher sold.voucher.json -o table"
    )]
    Show {
        #[command(flatten)]
        voucher: VoucherFile,
    },
    /// Create an individual enrollment for every device of a voucher. A second run goes on where
    /// the first one stopped.
    #[command(after_help = "Example:\n  \
            muster fleet voucher import --voucher sold.voucher.json --trusted-maker maker.pem \
            --owner-key buyer.pem --data-dir ./data")]
    Import(Box<import::ImportFlags>),
}

#[derive(Debug, Args)]
pub struct VoucherFile {
    /// The voucher.
    #[arg(long, value_name = "FILE")]
    voucher: PathBuf,
}

#[derive(Debug, Args)]
pub struct MakerFlag {
    /// Makers that are trusted: certificates or public keys, PEM.
    #[arg(long, value_name = "FILE")]
    trusted_maker: PathBuf,
}

#[derive(Debug, Args)]
pub struct SignerFlags {
    /// The private key that signs, PEM.
    #[arg(
        long,
        required_unless_present = "ca_dir",
        conflicts_with = "ca_dir",
        value_name = "FILE"
    )]
    signing_key: Option<PathBuf>,
    /// A folder of `muster ca init`; the key of its intermediate signs.
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// A file with the passphrase of the private key, in its first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CreateFlags {
    /// The devices, CSV or JSON.
    #[arg(long, value_name = "FILE")]
    devices: PathBuf,
    #[command(flatten)]
    signer: SignerFlags,
    /// The voucher to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct EndorseFlags {
    #[command(flatten)]
    voucher: VoucherFile,
    #[command(flatten)]
    signer: SignerFlags,
    /// The next owner: a certificate or a public key, PEM.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The devices that are passed on [default: all].
    #[arg(long, num_args = 1.., value_name = "ID")]
    device_ids: Vec<RegistrationId>,
    /// A file with the ids of the devices that are passed on, one a line.
    #[arg(long, conflicts_with = "device_ids", value_name = "FILE")]
    device_ids_file: Option<PathBuf>,
    /// The voucher to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const COLUMNS: &[Column] = &[
    ("Devices", "/devices"),
    ("Maker", "/maker"),
    ("Owner", "/owner"),
];
const DEVICE_COLUMNS: &[Column] = &[
    ("Id", "/id"),
    ("Certificate", "/sha256Thumbprint"),
    ("EndorsementKey", "/endorsementKey"),
];

pub async fn run(command: VoucherCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        VoucherCommand::Create(flags) => create(&flags, invocation),
        VoucherCommand::Endorse(flags) => endorse(&flags, invocation),
        VoucherCommand::Verify {
            voucher,
            maker,
            owner_key,
        } => {
            let verified = verify(&voucher, &maker, owner_key.as_deref())?;
            Ok(output::print(
                invocation.output,
                &summary(&verified),
                COLUMNS,
            )?)
        }
        VoucherCommand::Show { voucher } => show(&voucher, invocation),
        VoucherCommand::Import(flags) => import::run(*flags, invocation).await,
    }
}

fn create(flags: &CreateFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let devices = device_list::read(&flags.devices).map_err(CommandError::Input)?;
    let made = voucher::create(&devices, &flags.signer.read()?, clock::now())?;
    finish(made, &flags.out, invocation)
}

fn endorse(flags: &EndorseFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let verified = flags.voucher.read()?.verify(Trust::default())?;
    let next = public_key(&flags.to)?;
    let some = match &flags.device_ids_file {
        Some(path) => Some(ids_of(path).map_err(CommandError::Input)?),
        None => Some(flags.device_ids.clone()).filter(|ids| !ids.is_empty()),
    };
    let key = flags.signer.read()?;
    let sold = verified.endorse(&key, &next, some.as_deref(), clock::now())?;
    finish(sold, &flags.out, invocation)
}

fn finish(made: UnverifiedVoucher, out: &Path, invocation: &Invocation) -> anyhow::Result<()> {
    let text = made.to_json()?;
    let verified = made.verify(Trust::default())?;
    std::fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(output::print(
        invocation.output,
        &summary(&verified),
        COLUMNS,
    )?)
}

fn show(voucher: &VoucherFile, invocation: &Invocation) -> anyhow::Result<()> {
    let verified = voucher.read()?.verify(Trust::default())?;
    let devices: Value = verified.devices().iter().map(description).collect();
    if !matches!(
        invocation.output,
        output::Format::Json | output::Format::Jsonc
    ) {
        return Ok(output::print(invocation.output, &devices, DEVICE_COLUMNS)?);
    }
    let mut document = summary(&verified);
    document["devices"] = devices;
    Ok(output::print(invocation.output, &document, COLUMNS)?)
}

fn verify(
    voucher: &VoucherFile,
    maker: &MakerFlag,
    owner_key: Option<&Path>,
) -> anyhow::Result<VerifiedVoucher> {
    let path = &maker.trusted_maker;
    let makers = VerifyingKey::all_from_pem(&json_file::read_text(path)?);
    let makers = makers.map_err(|error| unusable(path, error))?;
    let owner = owner_key.map(own_key).transpose()?;
    Ok(voucher.read()?.verify(Trust {
        makers: Some(&makers),
        owner: owner.as_ref(),
    })?)
}

impl VoucherFile {
    fn read(&self) -> anyhow::Result<UnverifiedVoucher> {
        let text = json_file::read_text(&self.voucher).map_err(CommandError::Input)?;
        Ok(UnverifiedVoucher::parse(&text)?)
    }
}

impl SignerFlags {
    fn read(&self) -> anyhow::Result<PrivateKey> {
        let input = |error: anyhow::Error| CommandError::Input(error);
        let passphrase = self.passphrase_file.as_deref();
        let passphrase = passphrase.map(ca::read_passphrase).transpose();
        let passphrase = passphrase.map_err(|error| input(error.into()))?;
        let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
        if let Some(dir) = &self.ca_dir {
            let portable = ca::PortableIssuer::from_directory(dir, passphrase);
            let portable = portable.map_err(|error| input(error.into()))?;
            return Ok(PrivateKey::from_pem(&portable.key, None)?);
        }
        let path = self.signing_key.as_deref().unwrap_or(Path::new(""));
        let text = zeroize::Zeroizing::new(json_file::read_text(path).map_err(input)?);
        let key = PrivateKey::from_pem(&text, passphrase);
        Ok(key
            .with_context(|| path.display().to_string())
            .map_err(input)?)
    }
}

fn unusable(path: &Path, error: VerifyingKeyError) -> CommandError {
    CommandError::Input(anyhow!(error).context(path.display().to_string()))
}

fn public_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    let text = json_file::read_text(path).map_err(CommandError::Input)?;
    Ok(VerifyingKey::from_pem(&text).map_err(|error| unusable(path, error))?)
}

/// A public key, also from the file of the private one.
fn own_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    let text = json_file::read_text(path).map_err(CommandError::Input)?;
    let text = zeroize::Zeroizing::new(text);
    let key = match VerifyingKey::from_pem(&text) {
        Err(VerifyingKeyError::None) if text.contains("PRIVATE KEY") => {
            PrivateKey::from_pem(&text, None)?.verifying_key()
        }
        other => other,
    };
    Ok(key.map_err(|error| unusable(path, error))?)
}

fn ids_of(path: &Path) -> anyhow::Result<Vec<RegistrationId>> {
    let text = json_file::read_text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let parse = |line| RegistrationId::parse(line).with_context(|| path.display().to_string());
    lines.map(parse).collect()
}

fn summary(verified: &VerifiedVoucher) -> Value {
    let link = |link: &Link| {
        json!({
            "createdDateTimeUtc": link.created,
            "signer": link.signer.fingerprint().to_string(),
            "owner": link.owner.fingerprint().to_string(),
            "devices": link.devices,
        })
    };
    json!({
        "maker": verified.maker().fingerprint().to_string(),
        "owner": verified.owner().fingerprint().to_string(),
        "devices": verified.devices().len(),
        "links": verified.links().iter().map(link).collect::<Value>(),
    })
}

fn description(device: &Device) -> Value {
    let mut row = json!({ "id": device.id });
    match &device.credential {
        Credential::Certificate(one) => {
            row["sha256Thumbprint"] = json!(one.sha256());
            row["notAfterUtc"] = json!(one.not_after());
        }
        Credential::Thumbprint(hash) => row["sha256Thumbprint"] = json!(hash),
        Credential::EndorsementKey(key) => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.encode(key.as_bytes());
            row["endorsementKey"] = json!(bytes);
        }
    }
    row["tags"] = json!(device.tags);
    row
}
