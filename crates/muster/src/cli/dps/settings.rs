//! The flags that enrollments and groups share, in `az iot dps`'s words.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use wire::requests::EnrollmentSettings;

use crate::cli::hub::object;

/// How a device that registers again is treated.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ReprovisionPolicy {
    /// Choose the hub again; the twin moves along.
    ReprovisionAndMigrateData,
    /// Choose the hub again; the twin starts anew.
    ReprovisionAndResetData,
    /// Stay where it is.
    Never,
}

/// How a hub is chosen.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum AllocationPolicy {
    /// By a weighted hash of the registration id.
    Hashed,
    /// The one hub that is named.
    Static,
    /// The nearest hub.
    GeoLatency,
    /// By a webhook.
    Custom,
}

/// `enabled` or `disabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProvisioningStatus {
    Enabled,
    Disabled,
}

/// Flags of `create` and `update`.
#[derive(Debug, clap::Args)]
pub struct SettingsFlags {
    /// The primary certificate, PEM.
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    certificate_path: Option<PathBuf>,
    /// The secondary certificate, PEM.
    #[arg(long, visible_alias = "scp", value_name = "FILE")]
    secondary_certificate_path: Option<PathBuf>,
    /// Whether devices become IoT Edge devices.
    #[arg(long, visible_alias = "ee", value_name = "true|false")]
    edge_enabled: Option<bool>,
    /// Host names of the hubs that may be chosen.
    #[arg(long, visible_alias = "ih", num_args = 1.., value_name = "HOST")]
    iot_hubs: Vec<String>,
    /// How a hub is chosen.
    #[arg(long, visible_alias = "ap", value_enum)]
    allocation_policy: Option<AllocationPolicy>,
    /// Tags of the first twin, a JSON object.
    #[arg(long, visible_alias = "tags", value_name = "JSON")]
    initial_twin_tags: Option<String>,
    /// Desired properties of the first twin, a JSON object.
    #[arg(long, visible_alias = "props", value_name = "JSON")]
    initial_twin_properties: Option<String>,
    /// Whether registrations are admitted.
    #[arg(long, visible_alias = "ps", value_enum)]
    provisioning_status: Option<ProvisioningStatus>,
    /// How a device that registers again is treated.
    #[arg(long, visible_alias = "rp", value_enum)]
    reprovision_policy: Option<ReprovisionPolicy>,
}

impl SettingsFlags {
    /// Reads the files that the flags name.
    pub fn read(self) -> anyhow::Result<EnrollmentSettings> {
        let pem = |path: Option<PathBuf>| path.as_deref().map(read_certificate).transpose();
        Ok(EnrollmentSettings {
            primary: pem(self.certificate_path)?,
            secondary: pem(self.secondary_certificate_path)?,
            edge_enabled: self.edge_enabled,
            hubs: self.iot_hubs,
            allocation_policy: self.allocation_policy.map(|policy| {
                match policy {
                    AllocationPolicy::Hashed => "hashed",
                    AllocationPolicy::Static => "static",
                    AllocationPolicy::GeoLatency => "geoLatency",
                    AllocationPolicy::Custom => "custom",
                }
                .to_owned()
            }),
            tags: object("--initial-twin-tags", self.initial_twin_tags)?,
            desired: object("--initial-twin-properties", self.initial_twin_properties)?,
            enabled: self
                .provisioning_status
                .map(|status| status == ProvisioningStatus::Enabled),
            reprovision: self.reprovision_policy.map(|policy| match policy {
                ReprovisionPolicy::ReprovisionAndMigrateData => (true, true),
                ReprovisionPolicy::ReprovisionAndResetData => (true, false),
                ReprovisionPolicy::Never => (false, false),
            }),
        })
    }
}

/// The first certificate of a PEM file: a full-chain file may be given, the leaf is what an enrollment pins.
fn read_certificate(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let certificates = pki::Certificate::parse_pem_bundle(&text)
        .with_context(|| format!("{} is not a PEM certificate", path.display()))?;
    let first = certificates
        .first()
        .with_context(|| format!("{} holds no certificate", path.display()))?;
    Ok(first.to_pem())
}
