//! `config.toml`, the owner's file, read strictly. Every form of Azure's is read into the types of
//! this module; forms whose behaviour does not exist yet are refused by name (`offered.rs`), and
//! no key is ignored.

mod additional_info;
mod apply;
mod characters;
mod connection_string;
mod diff;
mod examine;
mod fault;
mod file_uri;
mod import;
mod input;
mod issuance;
mod location;
mod named;
mod offered;
mod pkcs11_uri;
mod provisioning;
mod reader;
mod secret;
mod settings;
mod syntax;
mod template;
mod unknown_key;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

pub use additional_info::read_additional_info;
pub use apply::{Applied, ApplyError, digest_of, examine_file, read_applied, write_applied};
pub use connection_string::{DeviceConnection, read_device_connection};
pub use diff::{Change, changes};
pub use examine::{Credential, Examined, examine, examine_access, examine_with};
pub use fault::{Fault, LineNumber, Severity, acceptable};
pub use import::{Imported, import, with_connection_string};
pub use issuance::{
    AutoRenew, CertIssuance, DEVICE_ID, EDGE_CA, EdgeCa, EstAuth, EstClient, EstClientKind,
    EstDefaults, EstSettings, EstUrl, EstUser, Issuance, IssuanceMethod, LOCAL_CA, LocalCa,
    RenewalTime, Subject,
};
pub use location::{
    FileReference, InlineKey, KeyLocation, SymmetricKey, TokenReference, TpmReference,
};
use offered::Offer;
pub use provisioning::{
    Attestation, Dps, IdentityCertificate, Manual, ManualCredential, NamedRegistration, Source,
    X509Identity,
};
pub use secret::Secret;
pub use settings::{
    AddressRange, ImageGc, MobyRuntime, Network, Pkcs11Library, PreloadedCertificate, Sockets,
    TpmSection, Watchdog,
};
pub use template::template;

/// When the device registers again although it has an assignment (`auto_reprovisioning_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReprovisioningMode {
    /// When the hub does not know the device any more, or refuses its credential.
    #[default]
    Dynamic,
    /// At each start, and when `Dynamic` does. The kept assignment is used until there
    /// is a new one.
    AlwaysOnStartup,
    /// Only when the hub refuses its credential.
    OnErrorOnly,
}

/// A configuration with known keys and valid values. Only [`Config::parse`] makes one.
///
/// The files that it names have not been read; [`examine`] does that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `hostname`; without it, that of the machine.
    pub hostname: Option<String>,
    /// `trust_bundle_cert`: PEM roots for modules, and for the connections of the device itself.
    pub trust_bundle: Option<FileReference>,
    /// `auto_reprovisioning_mode`: when the device registers again.
    pub reprovisioning: ReprovisioningMode,
    /// `cloud_timeout_sec`: the longest time of one registration.
    pub cloud_timeout: Duration,
    /// `allow_elevated_docker_permissions`: whether deployments may ask for privileges.
    pub elevated_permissions: bool,
    /// `[provisioning]`.
    pub source: Source,
    /// `[edge_ca]`.
    pub edge_ca: EdgeCa,
    /// `[cert_issuance]`. What an [`Issuance`] needs of it stands in the issuance already.
    pub cert_issuance: CertIssuance,
    /// `[aziot_keys]`.
    pub pkcs11: Option<Pkcs11Library>,
    /// `[preloaded_keys]`, by key id.
    pub preloaded_keys: BTreeMap<String, KeyLocation>,
    /// `[preloaded_certs]`, by certificate id.
    pub preloaded_certs: BTreeMap<String, PreloadedCertificate>,
    /// `[tpm]`. Without it, the TPM of the machine is used where something asks for one.
    pub tpm: Option<TpmSection>,
    /// `imported_master_encryption_key`: with it, modules of 1.1 encrypted.
    pub imported_master_key: Option<FileReference>,
    /// `additional_info`: a TOML file with texts for `/systeminfo`.
    pub additional_info: Option<FileReference>,
    /// `localid.domain`.
    pub local_id_domain: Option<String>,
    /// `parent_hostname`: the gateway that this device connects to instead of the hub.
    pub parent_hostname: Option<String>,
    /// `[agent.env]`. Some of its variables are passed on to modules.
    pub agent_env: Vec<(String, String)>,
    pub watchdog: Watchdog,
    pub image_gc: ImageGc,
    /// `[listen]`.
    pub sockets: Sockets,
    /// `[moby_runtime]`: the container engine and its network.
    pub runtime: MobyRuntime,
}

impl Config {
    /// Reads the text of a file. Notes and warnings come together with the configuration,
    /// errors instead of it.
    ///
    /// # Errors
    /// Every fault that was found, in the order of the file.
    pub fn parse(text: &str) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let table = syntax::parse(text)?;
        input::read(text, &table, Offer::Built)
    }

    /// Whether the device proves itself by its TPM.
    #[must_use]
    pub fn attests_by_tpm(&self) -> bool {
        matches!(
            &self.source,
            Source::Dps(Dps {
                attestation: Attestation::Tpm { .. },
                ..
            })
        )
    }

    /// Whether something asks for a TPM.
    #[must_use]
    pub fn uses_tpm(&self) -> bool {
        let identity = self.source.x509().map(|identity| &identity.key);
        self.tpm.is_some() || self.attests_by_tpm() || matches!(identity, Some(KeyLocation::Tpm(_)))
    }

    /// How the TPM of the device is reached and used.
    #[must_use]
    pub fn tpm_settings(&self) -> tpm::TpmSettings {
        let section = self.tpm.as_ref();
        section
            .map(|section| section.settings.clone())
            .unwrap_or_default()
    }

    /// As [`parse`](Self::parse), with the forms that are not offered yet.
    #[cfg(test)]
    pub(crate) fn parse_all_forms(text: &str) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let table = syntax::parse(text)?;
        input::read(text, &table, Offer::All)
    }
}

#[cfg(test)]
mod tests;
