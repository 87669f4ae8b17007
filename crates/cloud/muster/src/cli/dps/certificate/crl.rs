//! `muster dps certificate crl`: revocation lists of other CAs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::revocation::{RevocationListRequest, StaleAction};

use super::certificate_file;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, ServiceClient};

/// Verbs of `muster dps certificate crl`.
#[derive(Debug, Subcommand)]
pub enum CrlCommand {
    /// Upload a revocation list, or have it fetched from a URL.
    #[command(after_help = "Examples:\n  \
            muster dps certificate crl upload --certificate-name factory --path factory.crl \
            --data-dir ./data\n  \
            muster dps certificate crl upload --certificate-name factory --crl-url \
            http://pki.example.org/factory.crl --interval-seconds 3600 --crl-stale refuse \
            --data-dir ./data\n  \
            muster dps certificate crl upload --certificate-name line-3 --certificate-path \
            line-3.ca.pem --path line-3.crl --data-dir ./data")]
    Upload {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        list: ListFlags,
    },
    /// List the revocation lists with their age.
    #[command(
        after_help = "Example:\n  muster dps certificate crl list --data-dir ./data --output table"
    )]
    List,
    /// Show a revocation list, without its entries.
    #[command(after_help = "Example:\n  \
            muster dps certificate crl show --certificate-name factory --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: Name,
    },
    /// Delete a revocation list. What it alone revokes is accepted again.
    #[command(after_help = "Example:\n  \
            muster dps certificate crl delete --certificate-name factory --data-dir ./data")]
    Delete {
        #[command(flatten)]
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct Name {
    /// The name of the list: that of the uploaded CA certificate that signs it, unless
    /// --certificate-path names another one.
    #[arg(long, visible_alias = "name", short = 'n', value_name = "NAME")]
    certificate_name: String,
}

#[derive(Debug, Args)]
pub struct ListFlags {
    /// The list, PEM or DER.
    #[arg(
        long,
        short = 'p',
        required_unless_present = "crl_url",
        value_name = "FILE"
    )]
    path: Option<PathBuf>,
    /// The CA certificate that signs the list: of an enrollment, or an intermediate.
    #[arg(long, value_name = "FILE")]
    certificate_path: Option<PathBuf>,
    /// Fetch the list from this http or https URL, now and from time to time.
    #[arg(long, value_name = "URL")]
    crl_url: Option<String>,
    /// The time between two fetches [default: 3600].
    #[arg(long, requires = "crl_url", value_name = "SECONDS")]
    interval_seconds: Option<u32>,
    /// What becomes of the CA's certificates while the list is too old or not there [default:
    /// accept].
    #[arg(long, value_enum)]
    crl_stale: Option<Stale>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Stale {
    Accept,
    Refuse,
}

impl ListFlags {
    fn settings(&self) -> anyhow::Result<Value> {
        let certificate = self.certificate_path.as_deref().map(certificate_file::one);
        let request = RevocationListRequest {
            certificate: certificate.transpose()?.map(|one| one.to_pem()),
            crl_url: self.crl_url.clone(),
            interval_seconds: self.interval_seconds,
            stale: self.crl_stale.map(|stale| match stale {
                Stale::Accept => StaleAction::Accept,
                Stale::Refuse => StaleAction::Refuse,
            }),
        };
        Ok(serde_json::to_value(request)?)
    }
}

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Issuer", "/certificateInfo/subjectName"),
    ("Entries", "/crl/entries"),
    ("Made", "/crl/thisUpdateUtc"),
    ("Next", "/crl/nextUpdateUtc"),
    ("Stale", "/isStale"),
    ("Problem", "/problem"),
];

const ROOT: [&str; 4] = ["muster", "v1", "dps", "revocation-lists"];

pub async fn run(
    command: &CrlCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let at = |name: &'_ Name| -> Vec<String> {
        let root = ROOT.iter().map(ToString::to_string);
        root.chain([name.certificate_name.clone()]).collect()
    };
    let answer = match command {
        CrlCommand::List => {
            let list = client.call(Call::new(Method::GET, &ROOT)).await?;
            list.get("value").cloned().unwrap_or_default()
        }
        CrlCommand::Upload { name, list } => upload(&name.certificate_name, list, client).await?,
        CrlCommand::Show { name } => {
            let path = at(name);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            client.call(Call::new(Method::GET, &path)).await?
        }
        CrlCommand::Delete { name } => {
            let path = at(name);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            client
                .call(Call::new(Method::DELETE, &path).if_match("*"))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// Creates the list or changes its settings, then sends the file, if there is one.
async fn upload(name: &str, list: &ListFlags, client: &ServiceClient) -> anyhow::Result<Value> {
    // Before anything is written.
    let content = list.path.as_ref().map(std::fs::read).transpose();
    let content = content.map_err(|error| CommandError::Input(error.into()))?;
    let path = [&ROOT[..], &[name]].concat();
    let settings = list.settings()?;
    let created = client
        .call(Call::new(Method::PUT, &path).body(&settings))
        .await;
    let written = match created {
        Err(CommandError::Refused { status: 409, .. }) => {
            let put = Call::new(Method::PUT, &path).body(&settings).if_match("*");
            client.call(put).await?
        }
        other => other?,
    };
    let Some(content) = content else {
        return Ok(written);
    };
    let path = [&ROOT[..], &[name, "content"]].concat();
    Ok(client
        .call(Call::new(Method::PUT, &path).bytes(&content))
        .await?)
}
