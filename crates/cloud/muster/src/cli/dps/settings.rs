//! The flags that enrollments and groups share, as in `az iot dps`.

use crate::service_client::request_bodies::{EnrollmentSettings, IssuerChanges};
use clap::ValueEnum;

use super::attestation::{AttestationFlags, AttestationType, EnrollmentKind, generated};
use crate::cli::argument::{object, yes_or_no};

/// What happens when a device registers again.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ReprovisionPolicy {
    /// Choose the hub again, and move the twin.
    ReprovisionAndMigrateData,
    /// Choose the hub again, and reset the twin.
    ReprovisionAndResetData,
    /// Keep the hub.
    Never,
}

/// How a hub is chosen.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum AllocationPolicy {
    /// By a weighted hash of the registration id.
    Hashed,
    /// The hub that the enrollment names.
    Static,
    /// The hub with the lowest latency.
    GeoLatency,
    /// By a webhook.
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProvisioningStatus {
    Enabled,
    Disabled,
}

/// Flags of `create` and `update`.
#[derive(Debug, clap::Args)]
pub struct SettingsFlags {
    #[command(flatten)]
    attestation: AttestationFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    /// Also send certificates that no device can register with; the service accepts them.
    #[arg(long)]
    allow_unusable: bool,
}

/// What happens to devices that are let in.
#[derive(Debug, clap::Args)]
pub struct PolicyFlags {
    /// Whether devices become IoT Edge devices.
    #[arg(
        long,
        visible_alias = "ee",
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    edge_enabled: Option<bool>,
    /// Host names of the hubs that may be chosen.
    #[arg(long, visible_alias = "ih", num_args = 1.., value_name = "HOST")]
    iot_hubs: Vec<String>,
    /// How a hub is chosen.
    #[arg(long, visible_alias = "ap", value_enum, ignore_case = true)]
    allocation_policy: Option<AllocationPolicy>,
    /// URL of the webhook that chooses the hub, with `--allocation-policy custom`.
    #[arg(
        long,
        visible_alias = "wh",
        value_name = "URL",
        requires = "api_version"
    )]
    webhook_url: Option<String>,
    /// The API version of the webhook, such as 2021-10-01.
    #[arg(
        long,
        visible_alias = "av",
        value_name = "DATE",
        requires = "webhook_url"
    )]
    api_version: Option<String>,
    /// Tags of the initial twin, a JSON object or a file with one.
    #[arg(long, visible_alias = "tags", value_name = "JSON")]
    initial_twin_tags: Option<String>,
    /// Desired properties of the initial twin, a JSON object or a file with one.
    #[arg(long, visible_alias = "props", value_name = "JSON")]
    initial_twin_properties: Option<String>,
    /// Whether devices may register.
    #[arg(long, visible_alias = "ps", value_enum, ignore_case = true)]
    provisioning_status: Option<ProvisioningStatus>,
    /// What happens when a device registers again.
    #[arg(long, visible_alias = "rp", value_enum, ignore_case = true)]
    reprovision_policy: Option<ReprovisionPolicy>,
    /// The issuer of certificates for devices that register with a certificate
    /// request; '' removes it.
    #[arg(
        long,
        visible_aliases = ["adr-ca-name", "credential-policy", "cpn"],
        value_name = "NAME"
    )]
    certificate_authority_name: Option<String>,
    /// The name of the issuer's policy, as Azure's clients give it; an issuer has
    /// one, so it selects nothing; '' removes it.
    #[arg(long, visible_alias = "adr-cert-policy-name", value_name = "NAME")]
    certificate_policy_name: Option<String>,
    /// The name of the issuer's namespace, as Azure's clients give it; a service
    /// has one, so it selects nothing; '' removes it.
    #[arg(long, visible_alias = "adr-namespace", value_name = "NAME")]
    namespace_name: Option<String>,
    /// The trust bundle of the devices; '' removes it.
    #[arg(long, visible_alias = "tbid", value_name = "NAME")]
    trust_bundle_id: Option<String>,
}

/// Flags of `update` alone.
#[derive(Debug, clap::Args)]
pub struct RemovalFlags {
    /// Remove the primary certificate, or the name of the primary CA certificate.
    #[arg(
        long,
        visible_alias = "rc",
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    remove_certificate: bool,
    /// Remove the secondary certificate, or the name of the secondary CA certificate.
    #[arg(
        long,
        visible_alias = "rsc",
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    remove_secondary_certificate: bool,
}

impl SettingsFlags {
    /// The settings of a new enrollment. `kind` is its attestation, if a flag gives it. Without
    /// one, an enrollment without certificates has keys.
    pub fn read_new(
        mut self,
        kind: Option<AttestationType>,
        enrollment: EnrollmentKind<'_>,
    ) -> anyhow::Result<EnrollmentSettings> {
        let flags = std::mem::take(&mut self.attestation);
        let attestation = match kind {
            Some(kind) => flags.read_as(kind, enrollment, self.allow_unusable)?,
            None => flags
                .read(enrollment, self.allow_unusable)?
                .unwrap_or_else(generated),
        };
        let settings = self.read(enrollment)?;
        Ok(EnrollmentSettings {
            attestation: Some(attestation),
            ..settings
        })
    }

    /// The changes of an enrollment.
    pub fn read_changes(
        self,
        removed: &RemovalFlags,
        enrollment: EnrollmentKind<'_>,
    ) -> anyhow::Result<EnrollmentSettings> {
        Ok(EnrollmentSettings {
            without_primary: removed.remove_certificate,
            without_secondary: removed.remove_secondary_certificate,
            ..self.read(enrollment)?
        })
    }

    fn read(self, enrollment: EnrollmentKind<'_>) -> anyhow::Result<EnrollmentSettings> {
        let attestation = self.attestation.read(enrollment, self.allow_unusable)?;
        Ok(EnrollmentSettings {
            attestation,
            ..self.policy.read()?
        })
    }
}

impl PolicyFlags {
    /// The settings of an enrollment, without its attestation.
    pub fn read(self) -> anyhow::Result<EnrollmentSettings> {
        Ok(EnrollmentSettings {
            attestation: None,
            without_primary: false,
            without_secondary: false,
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
            webhook: self.webhook_url.zip(self.api_version),
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
            issuer: IssuerChanges {
                certificate_authority: self.certificate_authority_name,
                certificate_policy: self.certificate_policy_name,
                namespace: self.namespace_name,
            },
            trust_bundle: self.trust_bundle_id,
        })
    }
}
