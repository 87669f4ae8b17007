use std::path::{Path, PathBuf};

use anyhow::Context;
use ca::{AllowedLibraries, DeviceIssuers, IssuerKeyOptions};
use clap::Args;
use ids::error_chain;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Flags about the keys of issuers.
#[derive(Debug, Clone, Default, Args)]
pub struct IssuerKeyFlags {
    /// A PKCS#11 library that issuers may use, beside those that are registered with p11-kit on
    /// this machine. May be given several times.
    #[arg(long, value_name = "FILE")]
    pkcs11_library: Vec<PathBuf>,
    /// Seals the key files of issuers under the passphrase in the first line of this file, which
    /// lies apart from the data directory.
    #[arg(long, value_name = "FILE", env = "MUSTER_ISSUER_PASSPHRASE_FILE")]
    issuer_passphrase_file: Option<PathBuf>,
    /// The passphrase before: key files that it opens are sealed anew.
    #[arg(long, value_name = "FILE", requires = "issuer_passphrase_file")]
    former_issuer_passphrase_file: Option<PathBuf>,
}

/// `[issuer_keys]` of the configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKeyTable {
    #[serde(default)]
    pkcs11_libraries: Vec<PathBuf>,
    passphrase_file: Option<PathBuf>,
    former_passphrase_file: Option<PathBuf>,
}

/// Where issuing keys may be, and what seals them.
#[derive(Debug, Clone)]
pub struct IssuerKeyConfig {
    libraries: Vec<PathBuf>,
    passphrase_file: Option<PathBuf>,
    former_passphrase_file: Option<PathBuf>,
}

impl IssuerKeyFlags {
    pub fn over(&self, file: IssuerKeyTable) -> IssuerKeyConfig {
        let named = self.pkcs11_library.iter().cloned();
        let passphrase = self.issuer_passphrase_file.clone();
        let former = self.former_issuer_passphrase_file.clone();
        IssuerKeyConfig {
            libraries: named.chain(file.pkcs11_libraries).collect(),
            passphrase_file: passphrase.or(file.passphrase_file),
            former_passphrase_file: former.or(file.former_passphrase_file),
        }
    }
}

impl IssuerKeyConfig {
    /// Opens the issuers of a data directory, and seals their files when there is a passphrase. An
    /// issuer whose file no passphrase opens does not issue; the rest of the server works.
    pub fn open(&self, data_dir: &Path) -> anyhow::Result<DeviceIssuers> {
        let read = |path: &Option<PathBuf>| -> anyhow::Result<Option<Zeroizing<String>>> {
            let text = path.as_deref().map(ca::read_passphrase).transpose();
            text.context("the passphrase of the issuers' keys")
        };
        let former = read(&self.former_passphrase_file)?;
        let issuers = DeviceIssuers::with(
            data_dir,
            IssuerKeyOptions {
                libraries: AllowedLibraries::of_machine(&self.libraries),
                passphrase: read(&self.passphrase_file)?,
            },
        );
        let outcome = issuers.seal_all(former.as_deref());
        let outcome = outcome.context("the keys of issuers")?;
        if outcome.sealed > 0 {
            tracing::info!(files = outcome.sealed, "sealed key files of issuers");
        }
        for (file, error) in outcome.failed {
            tracing::error!(
                file = %file.display(),
                error = error_chain(&error),
                "the key of an issuer cannot be opened; it issues no certificates"
            );
        }
        Ok(issuers)
    }
}
