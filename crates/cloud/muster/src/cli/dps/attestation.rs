//! The flags for attestation, as in `az iot dps`.

use std::path::{Path, PathBuf};

use crate::service_client::request_bodies::AttestationSettings;
use clap::ValueEnum;
use pki::Certificate;
use wire::service_api::identity::KeyText;

use super::certificate_file;
use crate::service_client::CommandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum AttestationType {
    /// By a certificate.
    X509,
    /// By a key that signs tokens.
    SymmetricKey,
    /// By a TPM.
    Tpm,
}

/// Flags for all kinds of attestation. Which of them fit together is checked when they are read.
#[derive(Debug, Default, clap::Args)]
pub struct AttestationFlags {
    /// The primary certificate, PEM or DER.
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    certificate_path: Option<PathBuf>,
    /// The secondary certificate, PEM or DER.
    #[arg(long, visible_alias = "scp", value_name = "FILE")]
    secondary_certificate_path: Option<PathBuf>,
    /// The primary CA certificate, by its name in the service.
    #[arg(long, visible_aliases = ["cn", "root-ca-name"], value_name = "NAME")]
    ca_name: Option<String>,
    /// The secondary CA certificate, by its name in the service.
    #[arg(long, visible_aliases = ["scn", "secondary-root-ca-name"], value_name = "NAME")]
    secondary_ca_name: Option<String>,
    /// The primary key, base64 [default: generated].
    #[arg(long, visible_alias = "pk", value_name = "KEY", value_parser = key)]
    primary_key: Option<KeyText>,
    /// The secondary key, base64 [default: generated].
    #[arg(long, visible_alias = "sk", value_name = "KEY", value_parser = key)]
    secondary_key: Option<KeyText>,
    /// The TPM's endorsement key, base64.
    #[arg(long, visible_alias = "ek", value_name = "KEY")]
    endorsement_key: Option<String>,
    /// The TPM's storage root key, base64.
    #[arg(long, visible_alias = "srk", value_name = "KEY")]
    storage_root_key: Option<String>,
}

fn key(text: &str) -> Result<KeyText, String> {
    KeyText::parse(text).map_err(str::to_owned)
}

impl AttestationFlags {
    /// The attestation of the flags; `None` without any.
    pub fn read(
        self,
        enrollment: EnrollmentKind<'_>,
        allow_unusable: bool,
    ) -> anyhow::Result<Option<AttestationSettings>> {
        let groups = [
            self.certificate_path.is_some() || self.secondary_certificate_path.is_some(),
            self.ca_name.is_some() || self.secondary_ca_name.is_some(),
            self.primary_key.is_some() || self.secondary_key.is_some(),
            self.endorsement_key.is_some() || self.storage_root_key.is_some(),
        ];
        Ok(match groups {
            [false, false, false, false] => None,
            [true, false, false, false] => {
                let paths = [&self.certificate_path, &self.secondary_certificate_path];
                let paths = paths.map(Option::as_deref);
                let [primary, secondary] = enrollment.read(paths, allow_unusable)?;
                Some(AttestationSettings::Certificates { primary, secondary })
            }
            [false, true, false, false] => Some(AttestationSettings::CaReferences {
                primary: self.ca_name,
                secondary: self.secondary_ca_name,
            }),
            [false, false, true, false] => Some(AttestationSettings::SymmetricKey {
                primary: self.primary_key,
                secondary: self.secondary_key,
            }),
            [false, false, false, true] => Some(AttestationSettings::Tpm {
                endorsement_key: self.endorsement_key,
                storage_root_key: self.storage_root_key,
            }),
            _ => {
                let message =
                    "give one kind of attestation: certificates, CA names, keys or TPM keys";
                return Err(CommandError::Usage(message.to_owned()).into());
            }
        })
    }

    /// The attestation of a new enrollment of this kind. Only keys may be left out.
    pub fn read_as(
        self,
        kind: AttestationType,
        enrollment: EnrollmentKind<'_>,
        allow_unusable: bool,
    ) -> anyhow::Result<AttestationSettings> {
        use AttestationSettings as Settings;
        let usage = |message: &str| CommandError::Usage(message.to_owned()).into();
        match (kind, self.read(enrollment, allow_unusable)?) {
            (
                AttestationType::X509,
                Some(found @ (Settings::Certificates { .. } | Settings::CaReferences { .. })),
            )
            | (AttestationType::SymmetricKey, Some(found @ Settings::SymmetricKey { .. }))
            | (
                AttestationType::Tpm,
                Some(
                    found @ Settings::Tpm {
                        endorsement_key: Some(_),
                        ..
                    },
                ),
            ) => Ok(found),
            (AttestationType::SymmetricKey, None) => Ok(generated()),
            (AttestationType::X509, _) => Err(usage(
                "x509 attestation takes --certificate-path FILE or --ca-name NAME",
            )),
            (AttestationType::SymmetricKey, _) => Err(usage(
                "symmetrickey attestation takes --primary-key and --secondary-key, or neither",
            )),
            (AttestationType::Tpm, _) => Err(usage("tpm attestation takes --endorsement-key KEY")),
        }
    }
}

/// Keys that the service generates.
pub fn generated() -> AttestationSettings {
    AttestationSettings::SymmetricKey {
        primary: None,
        secondary: None,
    }
}

/// What the attestation belongs to.
#[derive(Debug, Clone, Copy)]
pub enum EnrollmentKind<'a> {
    /// The device with this id.
    Individual(&'a str),
    Group,
}

impl EnrollmentKind<'_> {
    /// Reads both certificates. A certificate that no device could register with is refused, unless
    /// a flag allows it.
    fn read(
        self,
        paths: [Option<&Path>; 2],
        allow_unusable: bool,
    ) -> anyhow::Result<[Option<String>; 2]> {
        let read = |path| match self {
            Self::Individual(_) => certificate_file::leaf(path),
            Self::Group => certificate_file::one(path),
        };
        let [primary, secondary] = paths.map(|path| path.map(read).transpose());
        let both = [primary?, secondary?];
        let doubt = both
            .iter()
            .flatten()
            .find_map(|one| self.doubt(one))
            .or_else(|| {
                let same = both[0].is_some() && both[0] == both[1];
                same.then(|| "primary and secondary are the same certificate".to_owned())
            });
        match doubt {
            Some(doubt) if !allow_unusable => {
                let message = format!("{doubt}; give --allow-unusable if it is meant");
                Err(CommandError::Usage(message).into())
            }
            _ => Ok(both.map(|one| one.map(|one| one.to_pem()))),
        }
    }

    fn doubt(self, certificate: &Certificate) -> Option<String> {
        let doubt = match self {
            Self::Individual(id) => dps::leaf_warning(certificate, id),
            Self::Group => dps::issuer_warning(certificate),
        };
        Some(format!(
            "the certificate ({}) {}",
            certificate.subject(),
            doubt?
        ))
    }
}
