//! `muster dps certificate crl`: revocation lists of other CAs.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::revocation::{RevocationListDescription, RevocationListRequest, StaleAction};

use super::certificate_file;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, ServiceClient};

/// Verbs of `muster dps certificate crl`.
#[derive(Debug, Subcommand)]
pub enum CrlCommand {
    /// Upload a revocation list, or have it fetched from a URL. Of a list that is there, what is
    /// not given stays.
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
    /// What the flags say; absent: nothing is said of it.
    fn settings(&self) -> anyhow::Result<RevocationListRequest> {
        let certificate = self.certificate_path.as_deref().map(certificate_file::one);
        Ok(RevocationListRequest {
            certificate: certificate.transpose()?.map(|one| one.to_pem()),
            crl_url: self.crl_url.clone(),
            interval_seconds: self.interval_seconds,
            stale: self.crl_stale.map(|stale| match stale {
                Stale::Accept => StaleAction::Accept,
                Stale::Refuse => StaleAction::Refuse,
            }),
        })
    }

    fn content(&self) -> Result<Option<Vec<u8>>, CommandError> {
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path);
            let unreadable = || format!("cannot read the revocation list {}", path.display());
            bytes.with_context(unreadable).map_err(CommandError::Input)
        };
        self.path.as_ref().map(read).transpose()
    }
}

/// The settings of a list that is there already, with those that are given in place of the stored
/// ones; `None`: nothing is to be changed.
fn overlay(
    given: RevocationListRequest,
    stored: &RevocationListDescription,
) -> Option<RevocationListRequest> {
    if given == RevocationListRequest::default() {
        return None;
    }
    Some(RevocationListRequest {
        certificate: given
            .certificate
            .or_else(|| Some(stored.certificate.clone())),
        crl_url: given.crl_url.or_else(|| stored.crl_url.clone()),
        interval_seconds: given.interval_seconds.or(stored.interval_seconds),
        stale: given.stale.or(Some(stored.stale)),
    })
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

/// Creates the list, or changes those of its settings that are given; then sends the file, if there
/// is one.
async fn upload(name: &str, list: &ListFlags, client: &ServiceClient) -> anyhow::Result<Value> {
    // Before anything is written.
    let (content, settings) = (list.content()?, list.settings()?);
    let path = [&ROOT[..], &[name]].concat();
    let body = serde_json::to_value(&settings)?;
    let created = client.call(Call::new(Method::PUT, &path).body(&body)).await;
    let written = match created {
        Err(CommandError::Refused { status: 409, .. }) => change(&path, settings, client).await?,
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

/// Changes the settings of a list that is there already.
async fn change(
    path: &[&str],
    given: RevocationListRequest,
    client: &ServiceClient,
) -> anyhow::Result<Value> {
    let answer = client.call(Call::new(Method::GET, path)).await?;
    let stored: RevocationListDescription = serde_json::from_value(answer.clone())
        .context("the service describes its revocation list in another way")?;
    let Some(settings) = overlay(given, &stored) else {
        return Ok(answer);
    };
    let (body, etag) = (serde_json::to_value(settings)?, String::from(stored.etag));
    let put = Call::new(Method::PUT, path).body(&body).if_match(&etag);
    Ok(client.call(put).await?)
}
