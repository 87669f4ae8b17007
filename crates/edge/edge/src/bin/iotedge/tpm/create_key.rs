use std::path::PathBuf;

use anyhow::{Context, bail};
use edge::files::durable;
use pki::KeyAlgorithm;
use serde_json::json;
use tpm::{KeyPlace, NewKey, Tpm};

use super::At;
use crate::Device;
use crate::output::{self, Format};

/// `iotedge tpm create-key`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iotedge tpm create-key --handle 0x81000002\n  \
                        iotedge tpm create-key --kind rsa --out /var/secrets/device.tpm.pem"
)]
pub struct CreateKey {
    #[command(flatten)]
    at: At,
    /// The kind of key.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Keep the key at a persistent handle, 0x81000000 to 0x817fffff.
    #[arg(long, value_name = "HANDLE", value_parser = handle, required_unless_present = "out")]
    handle: Option<u32>,
    /// Keep the key, wrapped by the TPM, in a file that must not exist.
    #[arg(long, value_name = "FILE", conflicts_with = "handle")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum Kind {
    /// ECDSA with the curve P-256.
    #[default]
    Ec,
    /// RSA of 2048 bits.
    Rsa,
}

impl Kind {
    pub fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Ec => KeyAlgorithm::P256,
            Self::Rsa => KeyAlgorithm::Rsa,
        }
    }
}

impl From<Kind> for NewKey {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ec => Self::P256,
            Kind::Rsa => Self::Rsa2048,
        }
    }
}

pub fn handle(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").ok_or("write it as 0x81000002")?;
    let handle = u32::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
    tpm::key_handle(handle).map_err(|error| error.to_string())
}

impl CreateKey {
    pub fn run(&self, device: &Device) -> anyhow::Result<()> {
        let tpm = self.at.tpm(device);
        let place = match (self.handle, &self.out) {
            (Some(handle), _) => self.at_handle(&tpm, handle)?,
            (None, Some(path)) => self.in_file(&tpm, path)?,
            (None, None) => bail!("give --handle or --out"),
        };
        match device.output {
            Format::Json => output::json(&json!({ "key": place })),
            Format::Text => output::text([format!("The key is {place}")]),
        }
    }

    fn at_handle(&self, tpm: &Tpm, handle: u32) -> anyhow::Result<String> {
        if tpm.has_key(handle)? {
            bail!("something is at {handle:#010x} already; choose another handle");
        }
        let key = tpm.create_key(self.kind.into())?;
        tpm.persist_key(&key, handle)?;
        tpm.signing_key(KeyPlace::Persistent(handle))?;
        Ok(format!("tpm:{handle:#010x}"))
    }

    fn in_file(&self, tpm: &Tpm, path: &std::path::Path) -> anyhow::Result<String> {
        if path.exists() {
            bail!("{} exists already; choose another file", path.display());
        }
        let path = std::path::absolute(path).context("the file")?;
        let key = tpm.create_key(self.kind.into())?;
        durable::write_in_any_folder(&path, key.to_pem().as_bytes())?;
        Ok(format!("file://{}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_primary_keys_are_refused() {
        assert_eq!(handle("0x81000002"), Ok(0x8100_0002));
        for refused in ["0x81000001", "0x81010001", "0x01c00002", "81000002", "0x"] {
            assert!(handle(refused).is_err(), "{refused}");
        }
    }
}
