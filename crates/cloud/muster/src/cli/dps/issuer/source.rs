use std::path::{Path, PathBuf};

use ca::PortableIssuer;
use clap::Args;
use pkcs11::{PinSource, TokenUri};
use serde_json::Value;
use wire::muster_api::issuer::{IssuerSource, TokenKeyMembers};
use zeroize::Zeroizing;

use crate::service_client::CommandError;

/// Where the CA of a new issuer and its key come from.
#[derive(Debug, Args)]
pub struct SourceFlags {
    /// The common name of a new CA [default: the name of the issuer].
    #[arg(long, conflicts_with_all = ["certificate_path", "ca_dir"])]
    common_name: Option<String>,
    /// How many days a new CA is valid.
    #[arg(
        long = "authority-days",
        default_value_t = 3650,
        conflicts_with_all = ["certificate_path", "ca_dir"],
        value_name = "DAYS"
    )]
    ca_days: u16,
    /// The certificate of an existing CA, PEM, followed by its own issuers.
    #[arg(long, value_name = "FILE")]
    certificate_path: Option<PathBuf>,
    /// The private key of the existing CA, PEM.
    #[arg(long, requires = "certificate_path", value_name = "FILE")]
    key_path: Option<PathBuf>,
    /// A folder of `muster ca init`; its intermediate issues.
    #[arg(long, conflicts_with = "certificate_path", value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// A file with the passphrase of the private key in --key-path or --ca-dir, in its first line.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A key in a PKCS#11 token of the server's machine (RFC 7512), for example
    /// 'pkcs11:token=fleet;object=ca'. With --certificate-path it is the key of that certificate,
    /// else it signs its own.
    #[arg(
        long,
        value_name = "URI",
        requires = "pkcs11_library",
        conflicts_with_all = ["key_path", "ca_dir", "passphrase_file"]
    )]
    pkcs11_uri: Option<String>,
    /// The PKCS#11 library that reaches the token: one that the server allows.
    #[arg(long, value_name = "FILE", requires = "pkcs11_uri")]
    pkcs11_library: Option<PathBuf>,
    /// A file with the PIN of the token's user, in its first line; pin-source or pin-value of the
    /// URI do the same.
    #[arg(long, value_name = "FILE", requires = "pkcs11_uri")]
    pin_file: Option<PathBuf>,
}

impl SourceFlags {
    pub fn read(&self) -> anyhow::Result<IssuerSource> {
        if let (Some(uri), Some(library)) = (&self.pkcs11_uri, &self.pkcs11_library) {
            return self.token(uri, library);
        }
        let passphrase = self.passphrase_file.as_deref();
        let passphrase = passphrase.map(first_line).transpose()?;
        let passphrase = passphrase.as_ref().map(|text| text.as_bytes());
        let portable = match (&self.certificate_path, &self.key_path, &self.ca_dir) {
            (Some(certificate), Some(key), _) => PortableIssuer::read(certificate, key, passphrase),
            (_, _, Some(dir)) => PortableIssuer::from_directory(dir, passphrase),
            (Some(_), None, _) => {
                return Err(input("--certificate-path wants --key-path or --pkcs11-uri").into());
            }
            _ if passphrase.is_some() => {
                return Err(usage(
                    "--passphrase-file is of the key in --key-path or --ca-dir; give one of them",
                ));
            }
            _ => {
                return Ok(IssuerSource::Made {
                    common_name: self.common_name.clone(),
                    days: self.ca_days,
                });
            }
        };
        let portable = portable.map_err(|error| CommandError::Input(error.into()))?;
        Ok(IssuerSource::Imported {
            chain: portable.chain,
            key: portable.key,
        })
    }

    /// The body that says where the CA comes from, and nothing else.
    pub fn body(&self) -> anyhow::Result<Value> {
        Ok(self.read()?.to_body())
    }

    fn token(&self, uri: &str, library: &Path) -> anyhow::Result<IssuerSource> {
        let parsed = TokenUri::with_pin(uri);
        let (uri, source) = parsed.map_err(|error| CommandError::Input(error.into()))?;
        let pin = match (&self.pin_file, source) {
            (Some(_), Some(_)) => return Err(input("the PIN is given twice").into()),
            (Some(file), None) => first_line(file)?,
            (None, Some(PinSource::File(file))) => first_line(&file)?,
            (None, Some(PinSource::Value(pin))) => pin,
            (None, None) => return Err(input("a token wants --pin-file").into()),
        };
        let chain = self.certificate_path.as_deref().map(PortableIssuer::chain);
        let chain = chain.transpose();
        // As the server resolves it, which may run in another folder.
        let library = std::path::absolute(library)?;
        Ok(IssuerSource::Token {
            key: TokenKeyMembers {
                uri: uri.to_string(),
                library: library.display().to_string(),
                pin,
            },
            chain: chain.map_err(|error| CommandError::Input(error.into()))?,
            common_name: self.common_name.clone(),
            days: self.ca_days,
        })
    }
}

fn usage(problem: &str) -> anyhow::Error {
    CommandError::Usage(problem.to_owned()).into()
}

fn input(problem: &'static str) -> CommandError {
    CommandError::Input(anyhow::Error::msg(problem))
}

fn first_line(file: &Path) -> Result<Zeroizing<String>, CommandError> {
    ca::read_passphrase(file).map_err(|error| CommandError::Input(error.into()))
}
