use std::path::{Path, PathBuf};

use anyhow::Context;
use ca::{DeviceIssuers, IssuerKeyOptions};
use clap::Args;
use ids::error_chain;
use pkcs11::AllowedLibraries;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::service_client::CommandError;

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
    /// The passphrase before: key files that it opens are sealed anew, under the passphrase that
    /// must be given, too.
    #[arg(long, value_name = "FILE")]
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

const FORMER_ALONE: &str = "the former passphrase of the issuers' keys is given, and none that takes \
    its place; give --issuer-passphrase-file, or passphrase_file in [issuer_keys]";

impl IssuerKeyFlags {
    pub fn over(&self, file: IssuerKeyTable) -> anyhow::Result<IssuerKeyConfig> {
        let named = self.pkcs11_library.iter().cloned();
        let passphrase = self.issuer_passphrase_file.clone();
        let former = self.former_issuer_passphrase_file.clone();
        let config = IssuerKeyConfig {
            libraries: named.chain(file.pkcs11_libraries).collect(),
            passphrase_file: passphrase.or(file.passphrase_file),
            former_passphrase_file: former.or(file.former_passphrase_file),
        };
        match (&config.passphrase_file, &config.former_passphrase_file) {
            (None, Some(_)) => Err(CommandError::Usage(FORMER_ALONE.to_owned()).into()),
            _ => Ok(config),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_passphrase_wants_one_that_takes_its_place_wherever_each_is_given() {
        let file = || Some(PathBuf::from("file"));
        for (flags, table, works) in [
            ((None, None), (None, None), true),
            ((file(), None), (None, None), true),
            ((file(), file()), (None, None), true),
            ((None, file()), (file(), None), true),
            ((file(), None), (None, file()), true),
            ((None, None), (file(), file()), true),
            ((None, file()), (None, None), false),
            ((None, None), (None, file()), false),
        ] {
            let flags = IssuerKeyFlags {
                issuer_passphrase_file: flags.0,
                former_issuer_passphrase_file: flags.1,
                ..IssuerKeyFlags::default()
            };
            let table = IssuerKeyTable {
                passphrase_file: table.0,
                former_passphrase_file: table.1,
                ..IssuerKeyTable::default()
            };
            let merged = flags.over(table.clone());
            assert_eq!(merged.is_ok(), works, "{flags:?} {table:?}");
        }
    }
}
