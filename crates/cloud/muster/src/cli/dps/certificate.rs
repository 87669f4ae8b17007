//! `muster dps certificate`: CA certificates of the provisioning service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;
use wire::service_api::ca_certificate::{CaCertificateRequest, VerifyRequest};

mod crl;

use super::certificate_file;
use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service, ServiceClient};

/// Verbs of `muster dps certificate`.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Upload a CA certificate; enrollments can then refer to it by its name.
    #[command(after_help = "Examples:\n  \
            muster dps certificate create --certificate-name factory --path \
            certs/azure-iot-test-only.root.ca.cert.pem --verified --data-dir ./data\n  \
            muster dps certificate create --certificate-name factory --path root.pem --data-dir \
            ./data")]
    Create {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        upload: Upload,
    },
    /// List the CA certificates.
    #[command(
        after_help = "Example:\n  muster dps certificate list --data-dir ./data --output table"
    )]
    List,
    /// Show a CA certificate.
    #[command(after_help = "Example:\n  \
            muster dps certificate show --certificate-name factory --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: Name,
    },
    /// Get a verification code: a certificate with this common name, signed with the CA's key,
    /// proves possession of the key.
    #[command(after_help = "Example:\n  \
            muster dps certificate generate-verification-code --certificate-name factory \
            --data-dir ./data\n  \
            muster ca issue verification --code CODE --dir ./wrkdir")]
    GenerateVerificationCode {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        version: Version,
    },
    /// Verify a CA certificate by a certificate that its key signed.
    #[command(after_help = "Example:\n  \
            muster dps certificate verify --certificate-name factory \\\n    \
            --path certs/iot-device-verification-code.cert.pem --data-dir ./data")]
    Verify {
        #[command(flatten)]
        name: Name,
        /// The certificate whose common name is the verification code.
        #[arg(long, short = 'p', value_name = "FILE")]
        path: PathBuf,
        #[command(flatten)]
        version: Version,
    },
    /// Replace a CA certificate, or mark it as verified.
    #[command(after_help = "Example:\n  \
            muster dps certificate update --certificate-name factory --path root.pem --verified \
            true --data-dir ./data")]
    Update {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        upload: Upload,
        #[command(flatten)]
        version: Version,
    },
    /// Revocation lists of other CAs: uploaded, or fetched from a URL.
    #[command(subcommand)]
    Crl(crl::CrlCommand),
    /// Delete a CA certificate. Enrollments that refer to it then accept no device by it.
    #[command(after_help = "Example:\n  \
            muster dps certificate delete --certificate-name factory --data-dir ./data")]
    Delete {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        version: Version,
    },
}

#[derive(Debug, Args)]
pub struct Name {
    /// The name of the CA certificate.
    #[arg(long, visible_alias = "name", short = 'n', value_name = "NAME")]
    certificate_name: String,
}

#[derive(Debug, Args)]
pub struct Upload {
    /// The CA certificate, PEM or DER.
    #[arg(long, short = 'p', value_name = "FILE")]
    path: PathBuf,
    /// Mark it as verified, without a proof of possession.
    #[arg(
        long,
        short = 'v',
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    verified: Option<bool>,
}

#[derive(Debug, Args)]
pub struct Version {
    /// Only when the CA certificate still has this etag.
    #[arg(long, short = 'e')]
    etag: Option<String>,
}

impl Version {
    fn condition(&self) -> &str {
        self.etag.as_deref().unwrap_or("*")
    }
}

impl Upload {
    fn body(&self) -> anyhow::Result<Value> {
        let certificate = certificate_file::one(&self.path)?.to_pem();
        Ok(CaCertificateRequest::body(&certificate, self.verified))
    }
}

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Verified", "/properties/isVerified"),
    ("Subject", "/properties/subject"),
    ("Expiry", "/properties/expiry"),
    ("VerificationCode", "/properties/verificationCode"),
];

const ROOT: [&str; 4] = ["muster", "v1", "dps", "certificates"];

pub async fn run(command: CertificateCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let command = match command {
        CertificateCommand::Crl(command) => return crl::run(&command, &client, invocation).await,
        other => other,
    };
    let answer = answer(command, &client).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

async fn answer(command: CertificateCommand, client: &ServiceClient) -> anyhow::Result<Value> {
    use CertificateCommand as Command;
    let (method, name, verb, body, condition) = match &command {
        Command::Crl(_) => return Ok(Value::Null),
        Command::List => {
            let list = client.call(Call::new(Method::GET, &ROOT)).await?;
            return Ok(list.get("value").cloned().unwrap_or_default());
        }
        Command::Create { name, upload } => (Method::PUT, name, None, Some(upload.body()?), None),
        Command::Show { name } => (Method::GET, name, None, None, None),
        Command::GenerateVerificationCode { name, version } => {
            let verb = Some("verificationCode");
            (Method::POST, name, verb, None, Some(version))
        }
        Command::Verify {
            name,
            path,
            version,
        } => {
            let body = VerifyRequest::body(&certificate_file::one(path)?.to_pem());
            (
                Method::POST,
                name,
                Some("verify"),
                Some(body),
                Some(version),
            )
        }
        Command::Update {
            name,
            upload,
            version,
        } => (Method::PUT, name, None, Some(upload.body()?), Some(version)),
        Command::Delete { name, version } => (Method::DELETE, name, None, None, Some(version)),
    };
    let mut path = ROOT.to_vec();
    path.push(&name.certificate_name);
    path.extend(verb);
    let mut call = Call::new(method, &path);
    if let Some(body) = &body {
        call = call.body(body);
    }
    if let Some(version) = condition {
        call = call.if_match(version.condition());
    }
    Ok(client.call(call).await?)
}
