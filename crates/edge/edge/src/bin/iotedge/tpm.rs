//! `iotedge tpm`: what an enrollment has to know of the TPM, and keys in it.

mod create_key;
mod provision;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use edge::config::Config;
use tpm::{Tcti, Tpm, TpmSettings};

use crate::Device;

/// Verbs of `iotedge tpm`.
#[derive(Debug, Subcommand)]
pub enum TpmCommand {
    /// Print which TPM this is: the endorsement key for an individual enrollment.
    #[command(after_help = "Example:\n  iotedge tpm show --output json")]
    Show {
        #[command(flatten)]
        at: At,
    },
    /// Make a key for a certificate. It never leaves the TPM.
    CreateKey(create_key::CreateKey),
    /// Make this device one that registers with a key in its TPM: is the TPM genuine, a first
    /// certificate, the device's certificate from the owner's EST server, config.toml, apply.
    Provision(Box<provision::Provision>),
}

/// Which TPM.
#[derive(Debug, clap::Args)]
pub struct At {
    /// How the TPM is reached; that of config.toml when it is not given, else
    /// device:/dev/tpmrm0.
    #[arg(long, value_name = "TCTI")]
    tcti: Option<Tcti>,
}

impl At {
    /// The settings of `config.toml`, if it can be read, and of the flag.
    fn settings(&self, device: &Device) -> TpmSettings {
        let text = std::fs::read_to_string(device.paths.config()).unwrap_or_default();
        let config = Config::parse(&text).ok();
        let mut settings = config
            .map(|(config, _)| config.tpm_settings())
            .unwrap_or_default();
        if let Some(tcti) = &self.tcti {
            settings.tcti = tcti.clone();
        }
        settings
    }

    fn tpm(&self, device: &Device) -> Tpm {
        Tpm::new(self.settings(device))
    }
}

pub async fn run(command: TpmCommand, device: &Device) -> anyhow::Result<ExitCode> {
    match command {
        TpmCommand::Show { at } => show::run(&at.tpm(device), device.output)?,
        TpmCommand::CreateKey(create) => create.run(device)?,
        TpmCommand::Provision(provision) => return provision.run(device).await,
    }
    Ok(ExitCode::SUCCESS)
}
