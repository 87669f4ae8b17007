//! `muster dps issuer`: CAs that issue certificates to devices as they register.

use clap::{Args, Subcommand, ValueEnum};
use ids::ProfileKind;
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::issued_certificate::length_of_time;
use wire::muster_api::issuer::{
    DeviceKeyType, IssuerProfile, IssuerRequest, IssuerSettings, IssuerUpdate, Lifetime,
    PinnedCertificates,
};
use zeroize::Zeroizing;

use crate::cli::argument::{profile_kind, yes_or_no};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

mod source;

use source::SourceFlags;

mod certificate;
mod log;
mod report;
mod roll;
mod trust;
mod user;

/// Verbs of `muster dps issuer`.
#[derive(Debug, Subcommand)]
pub enum IssuerCommand {
    /// Create an issuer with a new or an existing CA; enrollments can then name it.
    #[command(after_help = "Examples:\n  \
            muster dps issuer create --issuer-name fleet --validity-days 90 --data-dir ./data\n  \
            muster dps issuer create --issuer-name fleet --ca-dir ./wrkdir --data-dir ./data\n  \
            muster dps issuer create --issuer-name gateways --profile edge-ca --validity 12h \
            --default true --data-dir ./data\n  \
            muster dps issuer create --issuer-name fleet --certificate-path ca-chain.pem \
            --key-path ca.key.pem --data-dir ./data\n  \
            muster dps issuer create --issuer-name fleet --pkcs11-uri \
            'pkcs11:token=fleet;object=ca' --pkcs11-library \
            /usr/lib/softhsm/libsofthsm2.so --pin-file pin --data-dir ./data")]
    Create {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        settings: Box<IssuerFlags>,
    },
    /// List the issuers.
    #[command(after_help = "Example:\n  muster dps issuer list --data-dir ./data --output table")]
    List,
    /// Show an issuer with its CA certificate.
    #[command(
        after_help = "Example:\n  muster dps issuer show --issuer-name fleet --data-dir ./data"
    )]
    Show {
        #[command(flatten)]
        name: Name,
    },
    /// Change what becomes of the certificates that individual enrollments pin.
    #[command(after_help = "Example:\n  \
            muster dps issuer update --issuer-name fleet --pinned-certificates follow --data-dir \
            ./data")]
    Update {
        #[command(flatten)]
        name: Name,
        /// Whether the certificate that an individual enrollment pins follows when its device
        /// renews it.
        #[arg(long, value_enum)]
        pinned_certificates: Pinned,
    },
    /// Delete an issuer that no enrollment names, with its key.
    #[command(
        after_help = "Example:\n  muster dps issuer delete --issuer-name fleet --data-dir ./data"
    )]
    Delete {
        #[command(flatten)]
        name: Name,
        /// Only when the issuer still has this etag.
        #[arg(long, short = 'e')]
        etag: Option<String>,
    },
    /// The certificates that an issuer has issued.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// The log of issued certificates, which no certificate leaves.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Count the fleet's certificates by kind of key, signature, issuer and expiry: those that
    /// issuers issued, and those that devices presented as they registered last.
    #[command(after_help = "Example:\n  \
            muster dps issuer report --output table --data-dir ./data")]
    Report,
    /// Users who have certificates issued over EST with a password.
    #[command(subcommand)]
    User(user::UserCommand),
    /// CA certificates whose devices may have certificates issued over EST.
    #[command(after_help = "Example:\n  \
            muster dps issuer trust --issuer-name fleet --certificate-name maker --data-dir ./data")]
    Trust(trust::TrustFlags),
    /// Go over to another CA while devices go on working.
    Roll(roll::RollArguments),
}

#[derive(Debug, Args)]
pub struct Name {
    /// The name of the issuer.
    #[arg(long, visible_alias = "name", short = 'n', value_name = "NAME")]
    issuer_name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KeyKind {
    /// Elliptic curve P-256.
    #[value(name = "P-256")]
    P256,
    /// Elliptic curve P-384.
    #[value(name = "P-384")]
    P384,
    /// RSA of 2048 to 8192 bits.
    #[value(name = "RSA")]
    Rsa,
    /// ML-DSA-44 (FIPS 204); takes --experimental.
    #[value(name = "ML-DSA-44")]
    MlDsa44,
    /// ML-DSA-65; takes --experimental.
    #[value(name = "ML-DSA-65")]
    MlDsa65,
    /// ML-DSA-87; takes --experimental.
    #[value(name = "ML-DSA-87")]
    MlDsa87,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Pinned {
    /// It stays until an operator changes the enrollment.
    #[default]
    Keep,
    /// The new one is pinned beside it, and alone once the device has proved it.
    Follow,
}

impl From<Pinned> for PinnedCertificates {
    fn from(pinned: Pinned) -> Self {
        match pinned {
            Pinned::Keep => Self::Keep,
            Pinned::Follow => Self::Follow,
        }
    }
}

#[derive(Debug, Args)]
pub struct IssuerFlags {
    /// What the certificates are for.
    #[arg(long, default_value_t, value_parser = profile_kind())]
    profile: ProfileKind,
    /// How many days a certificate is valid, at most as long as the issuer [default: 90].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3650))]
    validity_days: Option<u16>,
    /// How long a certificate is valid: minutes, hours or days, such as 10m, 12h or 90d.
    #[arg(long, value_name = "TIME", conflicts_with = "validity_days", value_parser = lifetime)]
    validity: Option<Lifetime>,
    /// Whether the issuer answers EST clients that name no issuer.
    #[arg(
        long = "default",
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    is_default: bool,
    /// Whether EST clients may have their private keys made by the server.
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    server_key_generation: bool,
    /// Make no CRL. An existing CA whose certificate may not sign CRLs needs it.
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    no_crl: bool,
    /// Whether the certificate that an individual enrollment pins follows when its device renews
    /// it.
    #[arg(long, value_enum, default_value_t)]
    pinned_certificates: Pinned,
    /// Allow kinds of keys that few programs know, for the CA and for devices: ML-DSA.
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    experimental: bool,
    /// The types of keys that devices may have [default: P-256, P-384, RSA].
    #[arg(long, value_enum, num_args = 1.., value_name = "KIND")]
    key_types: Vec<KeyKind>,
    #[command(flatten)]
    source: SourceFlags,
}

impl IssuerFlags {
    fn body(&self) -> anyhow::Result<Value> {
        let kinds = self.key_types.iter().map(|kind| match kind {
            KeyKind::P256 => DeviceKeyType::P256,
            KeyKind::P384 => DeviceKeyType::P384,
            KeyKind::Rsa => DeviceKeyType::Rsa,
            KeyKind::MlDsa44 => DeviceKeyType::MlDsa44,
            KeyKind::MlDsa65 => DeviceKeyType::MlDsa65,
            KeyKind::MlDsa87 => DeviceKeyType::MlDsa87,
        });
        let kinds: Vec<DeviceKeyType> = kinds.collect();
        let usual = IssuerProfile::default();
        let days = self.validity_days.map(|days| Lifetime::Days { days });
        let request = IssuerRequest {
            profile: IssuerProfile {
                kind: self.profile,
                lifetime: days.or(self.validity).unwrap_or(usual.lifetime),
                key_types: if kinds.is_empty() {
                    usual.key_types
                } else {
                    kinds
                },
            },
            settings: IssuerSettings {
                is_default: self.is_default,
                server_key_generation: self.server_key_generation,
                no_crl: self.no_crl,
                pinned_certificates: self.pinned_certificates.into(),
                experimental: self.experimental,
            },
            source: self.source.read()?,
        };
        Ok(request.to_body())
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    let length = length_of_time("validity", text).map_err(|error| error.to_string())?;
    Lifetime::of(length).ok_or_else(|| "a minute to 3650 days was expected".to_owned())
}

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Subject", "/certificateInfo/subjectName"),
    ("Ends", "/certificateInfo/notAfterUtc"),
    ("Profile", "/profile"),
    ("ValidityDays", "/validityDays"),
    ("Default", "/default"),
    ("Key", "/keyStorage"),
];

const ROOT: [&str; 4] = ["muster", "v1", "dps", "issuers"];

pub async fn run(command: IssuerCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer = match &command {
        IssuerCommand::Certificate(command) => {
            return certificate::run(command, &client, invocation).await;
        }
        IssuerCommand::Log(command) => return log::run(command, &client, invocation).await,
        IssuerCommand::Report => return report::run(&client, invocation).await,
        IssuerCommand::User(command) => return user::run(command, &client, invocation).await,
        IssuerCommand::Trust(flags) => return trust::run(flags, &client, invocation).await,
        IssuerCommand::Roll(arguments) => {
            return roll::run(arguments, &client, invocation).await;
        }
        IssuerCommand::List => {
            let list = client.call(Call::new(Method::GET, &ROOT)).await?;
            list.get("value").cloned().unwrap_or_default()
        }
        IssuerCommand::Create { name, settings } => {
            let mut body = settings.body()?;
            let path = [&ROOT[..], &[&name.issuer_name]].concat();
            let created = client.call(Call::new(Method::PUT, &path).body(&body)).await;
            erase(&mut body);
            created?
        }
        IssuerCommand::Show { name } => {
            let path = [&ROOT[..], &[&name.issuer_name]].concat();
            client.call(Call::new(Method::GET, &path)).await?
        }
        IssuerCommand::Update {
            name,
            pinned_certificates,
        } => {
            let update = IssuerUpdate {
                pinned_certificates: (*pinned_certificates).into(),
            };
            let path = [&ROOT[..], &[&name.issuer_name]].concat();
            let call = Call::new(Method::PATCH, &path);
            client.call(call.body(&update.to_body())).await?
        }
        IssuerCommand::Delete { name, etag } => {
            let path = [&ROOT[..], &[&name.issuer_name]].concat();
            let etag = etag.as_deref().unwrap_or("*");
            client
                .call(Call::new(Method::DELETE, &path).if_match(etag))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// Erases the body, which may hold a private key.
fn erase(body: &mut Value) {
    let members = body.as_object_mut().into_iter().flatten();
    for (_, member) in members {
        if let Value::String(text) = member.take() {
            drop(Zeroizing::new(text));
        }
    }
}
