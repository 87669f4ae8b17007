//! `muster dps trust-bundle`: CA certificates that devices get as trusted roots.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use wire::muster_api::trust_bundle::TrustBundleRequest;

use super::certificate_file;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster dps trust-bundle`.
#[derive(Debug, Subcommand)]
pub enum TrustBundleCommand {
    /// Create a trust bundle; enrollments can then name it.
    #[command(after_help = "Example:\n  \
            muster dps trust-bundle create --trust-bundle-id site --certificate-path root.pem \
            --data-dir ./data")]
    Create {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        certificates: Certificates,
    },
    /// List the trust bundles.
    #[command(
        after_help = "Example:\n  muster dps trust-bundle list --data-dir ./data --output table"
    )]
    List,
    /// Show a trust bundle with its certificates.
    #[command(after_help = "Example:\n  \
            muster dps trust-bundle show --trust-bundle-id site --data-dir ./data")]
    Show {
        #[command(flatten)]
        id: Id,
    },
    /// Replace the certificates of a trust bundle. Devices get the new ones when they
    /// register or ask again.
    #[command(after_help = "Example:\n  \
            muster dps trust-bundle update --trust-bundle-id site --certificate-path old.pem \
            new.pem --data-dir ./data")]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        certificates: Certificates,
        #[command(flatten)]
        version: Version,
    },
    /// Delete a trust bundle that no enrollment names.
    #[command(after_help = "Example:\n  \
            muster dps trust-bundle delete --trust-bundle-id site --data-dir ./data")]
    Delete {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        version: Version,
    },
}

#[derive(Debug, Args)]
pub struct Id {
    /// The name of the trust bundle.
    #[arg(long, visible_alias = "tbid", value_name = "NAME")]
    trust_bundle_id: String,
}

#[derive(Debug, Args)]
pub struct Certificates {
    /// Files with CA certificates, PEM or DER; all of each file.
    #[arg(long, visible_alias = "cp", num_args = 1.., required = true, value_name = "FILE")]
    certificate_path: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Version {
    /// Only when the trust bundle still has this etag.
    #[arg(long, short = 'e')]
    etag: Option<String>,
}

impl Certificates {
    fn body(&self) -> anyhow::Result<serde_json::Value> {
        let mut certificates = Vec::new();
        for path in &self.certificate_path {
            let all = certificate_file::all(path)?;
            certificates.extend(all.iter().map(pki::Certificate::to_pem));
        }
        Ok(TrustBundleRequest::body(&certificates))
    }
}

const COLUMNS: &[Column] = &[
    ("Id", "/id"),
    ("FirstSubject", "/certificates/0/metadata/subjectName"),
    ("FirstEnds", "/certificates/0/metadata/notAfterUtc"),
    ("Modified", "/lastModifiedDateTime"),
];

const ROOT: &str = "trustBundles";

pub async fn run(command: TrustBundleCommand, invocation: &Invocation) -> anyhow::Result<()> {
    use TrustBundleCommand as Command;
    let client = invocation.target.connect(Service::Provisioning)?;
    let (method, id, body, version) = match &command {
        Command::List => {
            let list = client.call(Call::new(Method::GET, &[ROOT])).await?;
            return Ok(output::print(invocation.output, &list, COLUMNS)?);
        }
        Command::Create { id, certificates } => (Method::PUT, id, Some(certificates.body()?), None),
        Command::Show { id } => (Method::GET, id, None, None),
        Command::Update {
            id,
            certificates,
            version,
        } => (Method::PUT, id, Some(certificates.body()?), Some(version)),
        Command::Delete { id, version } => (Method::DELETE, id, None, Some(version)),
    };
    let path = [ROOT, id.trust_bundle_id.as_str()];
    let mut call = Call::new(method, &path);
    if let Some(body) = &body {
        call = call.body(body);
    }
    if let Some(version) = version {
        call = call.if_match(version.etag.as_deref().unwrap_or("*"));
    }
    let answer = client.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
