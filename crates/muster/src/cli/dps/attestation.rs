//! The flags that say how devices prove themselves, in `az iot dps`'s words.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use wire::identity::KeyText;
use wire::requests::AttestationSettings;

use crate::operator::OperatorError;

/// How a device proves itself.
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

/// Flags for all kinds of attestation; which of them belong together is decided when they are read.
#[derive(Debug, Default, clap::Args)]
pub struct AttestationFlags {
    /// The primary certificate, PEM.
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    certificate_path: Option<PathBuf>,
    /// The secondary certificate, PEM.
    #[arg(long, visible_alias = "scp", value_name = "FILE")]
    secondary_certificate_path: Option<PathBuf>,
    /// The primary CA certificate, by its name in the service.
    #[arg(long, visible_aliases = ["cn", "root-ca-name"], value_name = "NAME")]
    ca_name: Option<String>,
    /// The secondary CA certificate, by its name in the service.
    #[arg(long, visible_aliases = ["scn", "secondary-root-ca-name"], value_name = "NAME")]
    secondary_ca_name: Option<String>,
    /// The primary key, base64; generated when it is not given.
    #[arg(long, visible_alias = "pk", value_name = "KEY", value_parser = key)]
    primary_key: Option<KeyText>,
    /// The secondary key, base64; generated when it is not given.
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
    /// What the flags say; `None` when they say nothing.
    pub fn read(self) -> anyhow::Result<Option<AttestationSettings>> {
        let pem = |path: Option<PathBuf>| path.as_deref().map(read_certificate).transpose();
        let groups = [
            self.certificate_path.is_some() || self.secondary_certificate_path.is_some(),
            self.ca_name.is_some() || self.secondary_ca_name.is_some(),
            self.primary_key.is_some() || self.secondary_key.is_some(),
            self.endorsement_key.is_some() || self.storage_root_key.is_some(),
        ];
        Ok(match groups {
            [false, false, false, false] => None,
            [true, false, false, false] => Some(AttestationSettings::Certificates {
                primary: pem(self.certificate_path)?,
                secondary: pem(self.secondary_certificate_path)?,
            }),
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
                return Err(OperatorError::Usage(message.to_owned()).into());
            }
        })
    }

    /// What the flags say for a new entry of a kind; keys may be left out, everything else may not.
    pub fn read_as(self, kind: AttestationType) -> anyhow::Result<AttestationSettings> {
        use AttestationSettings as Settings;
        let usage = |message: &str| OperatorError::Usage(message.to_owned()).into();
        match (kind, self.read()?) {
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

/// The first certificate of a file: a full-chain file may be given, the leaf is what an enrollment pins. DER is read too.
pub(super) fn read_certificate(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the certificate {}", path.display()))?;
    let certificates = match std::str::from_utf8(&bytes) {
        Ok(text) => pki::Certificate::parse_pem_bundle(text),
        Err(_) => pki::Certificate::parse_one(&bytes).map(|one| vec![one]),
    };
    let certificates = certificates
        .with_context(|| format!("{} is not a PEM or DER certificate", path.display()))?;
    let first = certificates
        .first()
        .with_context(|| format!("{} holds no certificate", path.display()))?;
    Ok(first.to_pem())
}
