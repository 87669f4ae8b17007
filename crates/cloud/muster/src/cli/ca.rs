//! `muster ca`: a certificate hierarchy in a folder. No server is needed.

mod crl;
mod init;
mod issue;
mod log_copy;
mod log_fetch;
mod log_verify;
mod revoke;
mod roll;
mod row;
mod sign;
mod verification;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::Invocation;
use crate::service_client::CommandError;

/// Certificates: a hierarchy, device identities.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a root and an intermediate certificate authority in a folder.
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitFlags),
    /// Issue certificates with new private keys.
    #[command(subcommand)]
    Issue(IssueCommand),
    /// Sign certificate requests, one or a million; a run that is killed can be repeated.
    #[command(after_help = sign::EXAMPLES)]
    Sign(sign::SignFlags),
    /// Revoke or hold a certificate, or end a hold; `muster ca crl` then says so.
    #[command(after_help = revoke::EXAMPLES)]
    Revoke(revoke::RevokeFlags),
    /// Write the list of revoked certificates.
    #[command(after_help = crl::EXAMPLES)]
    Crl(crl::CrlFlags),
    /// Replace the intermediate while certificates of the old one stay valid.
    #[command(subcommand)]
    Roll(roll::RollCommand),
    /// Verify a chain of certificates.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyFlags),
    /// Copy the log of a provisioning service as it is published, and verify that it begins with
    /// what was copied before.
    #[command(after_help = log_fetch::EXAMPLES)]
    LogFetch(log_fetch::LogFetchFlags),
    /// Verify that a certificate is in the log of a provisioning service, or a copy of the log.
    #[command(after_help = log_verify::EXAMPLES)]
    LogVerify(log_verify::LogVerifyFlags),
}

#[derive(Debug, Subcommand)]
pub enum IssueCommand {
    /// Identities of edge devices: private key, certificate and full chain each.
    #[command(after_help = issue::EDGE_IDENTITY_EXAMPLES)]
    EdgeIdentity(issue::IssueFlags),
    /// Edge CAs: what an edge device signs its modules' server certificates with. The common name
    /// is NAME.ca.
    #[command(after_help = issue::EDGE_CA_EXAMPLES)]
    EdgeCa(issue::IssueFlags),
    /// Server certificates of edge devices; NAME is the host name or IP address that clients
    /// connect to.
    #[command(after_help = issue::EDGE_SERVER_EXAMPLES)]
    EdgeServer(issue::EdgeServerFlags),
    /// Identities of devices without edge modules.
    #[command(after_help = issue::DEVICE_EXAMPLES)]
    Device(issue::IssueFlags),
    /// A certificate that proves possession of the CA's key to a provisioning service.
    #[command(after_help = verification::EXAMPLES)]
    Verification(verification::VerificationFlags),
}

/// The folder of every command.
#[derive(Debug, Args)]
pub struct FolderFlag {
    /// The folder that `muster ca init` made.
    #[arg(long, value_name = "W")]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum SignerName {
    #[default]
    Root,
    Intermediate,
}

impl From<SignerName> for ca::Signer {
    fn from(name: SignerName) -> Self {
        match name {
            SignerName::Root => Self::Root,
            SignerName::Intermediate => Self::Intermediate,
        }
    }
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
    /// ML-DSA-44 (FIPS 204); takes --experimental.
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// ML-DSA-65; takes --experimental.
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// ML-DSA-87; takes --experimental.
    #[value(name = "ml-dsa-87")]
    MlDsa87,
}

/// The kind of private keys that are made.
#[derive(Debug, Args)]
pub struct KeyTypeFlags {
    /// The kind of the private keys that are made.
    #[arg(long, value_enum, default_value_t)]
    key_type: KeyType,
    /// Allow kinds of keys that few programs know: ML-DSA.
    #[arg(long)]
    experimental: bool,
}

impl KeyTypeFlags {
    fn key_type(&self) -> Result<ca::KeyType, CommandError> {
        let kind = match self.key_type {
            KeyType::Ec => return Ok(ca::KeyType::Ec),
            KeyType::Rsa2048 => return Ok(ca::KeyType::Rsa2048),
            KeyType::Rsa3072 => return Ok(ca::KeyType::Rsa3072),
            KeyType::Rsa4096 => return Ok(ca::KeyType::Rsa4096),
            KeyType::MlDsa44 => ca::MlDsa::Level44,
            KeyType::MlDsa65 => ca::MlDsa::Level65,
            KeyType::MlDsa87 => ca::MlDsa::Level87,
        };
        match self.experimental {
            true => Ok(ca::KeyType::MlDsa(kind)),
            false => Err(CommandError::Usage(format!(
                "{} is an experiment, and few programs verify its signatures; give --experimental \
                 too",
                kind.name()
            ))),
        }
    }
}

/// PKCS#12 files beside the PEM files.
#[derive(Debug, Args)]
pub struct PfxFlags {
    /// Also write a PKCS#12 file (.pfx) with key, certificate and chain, under the passphrase in
    /// the first line of this file.
    #[arg(long, value_name = "F")]
    pfx_passphrase_file: Option<PathBuf>,
    /// Also write a PKCS#12 file (.pfx) that opens without a passphrase.
    #[arg(long, conflicts_with = "pfx_passphrase_file")]
    pfx_without_passphrase: bool,
}

impl PfxFlags {
    fn read(&self) -> Result<Option<Zeroizing<String>>, ca::CaError> {
        match self.pfx_without_passphrase {
            true => Ok(Some(Zeroizing::default())),
            false => passphrase(self.pfx_passphrase_file.as_deref()),
        }
    }
}

fn passphrase(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, ca::CaError> {
    file.map(ca::read_passphrase).transpose()
}

pub fn run(command: CaCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let output = invocation.output;
    match command {
        CaCommand::Init(flags) => init::run(&flags, output),
        CaCommand::Issue(IssueCommand::EdgeIdentity(flags)) => {
            issue::run(&ca::IdentityKind::EdgeIdentity, &flags, output)
        }
        CaCommand::Issue(IssueCommand::EdgeCa(flags)) => {
            issue::run(&ca::IdentityKind::EdgeCa, &flags, output)
        }
        CaCommand::Issue(IssueCommand::EdgeServer(flags)) => issue::edge_server(&flags, output),
        CaCommand::Issue(IssueCommand::Device(flags)) => {
            issue::run(&ca::IdentityKind::Device, &flags, output)
        }
        CaCommand::Issue(IssueCommand::Verification(flags)) => verification::run(&flags, output),
        CaCommand::Sign(flags) => sign::run(&flags, output),
        CaCommand::Revoke(flags) => revoke::run(&flags, output),
        CaCommand::Crl(flags) => crl::run(&flags, output),
        CaCommand::Roll(command) => roll::run(command, output),
        CaCommand::Verify(flags) => verify::run(&flags, output),
        CaCommand::LogFetch(flags) => super::block_on(log_fetch::run(flags, invocation)),
        CaCommand::LogVerify(flags) => log_verify::run(&flags, output),
    }
}
