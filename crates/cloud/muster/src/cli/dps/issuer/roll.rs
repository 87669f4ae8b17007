//! `muster dps issuer roll`: an issuer goes over to another CA while its devices go on working.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Name, ROOT, SourceFlags, erase};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

#[derive(Debug, Args)]
pub struct RollArguments {
    #[command(flatten)]
    name: Name,
    #[command(subcommand)]
    verb: RollCommand,
}

/// Verbs of `muster dps issuer roll`.
#[derive(Debug, Subcommand)]
pub enum RollCommand {
    /// Issue by another CA, made or imported. Both CAs are admitted until `finish`.
    #[command(after_help = "Examples:\n  \
            muster dps issuer roll --issuer-name fleet start --data-dir ./data\n  \
            muster dps issuer roll --issuer-name fleet start --ca-dir ./new-wrkdir --data-dir \
            ./data")]
    Start(Box<SourceFlags>),
    /// Show how many certificates and devices each CA still has.
    #[command(after_help = "Example:\n  \
            muster dps issuer roll --issuer-name fleet status --output table --data-dir ./data")]
    Status,
    /// Admit the old CA no more. Refused while devices use it.
    #[command(after_help = "Example:\n  \
            muster dps issuer roll --issuer-name fleet finish --data-dir ./data")]
    Finish {
        /// Also while devices use the old CA: they are refused from then on.
        #[arg(long)]
        force: bool,
    },
    /// Go back to the old CA. What the new one has issued stays admitted until `finish`.
    #[command(after_help = "Example:\n  \
            muster dps issuer roll --issuer-name fleet abandon --data-dir ./data")]
    Abandon,
}

const COLUMNS: &[Column] = &[
    ("Subject", "/certificateInfo/subjectName"),
    ("Issues", "/issuing"),
    ("ValidCertificates", "/validCertificates"),
    ("RegisteredDevices", "/registeredDevices"),
    ("PinnedEnrollments", "/pinnedEnrollments"),
    ("Ends", "/certificateInfo/notAfterUtc"),
];

pub async fn run(
    arguments: &RollArguments,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let (name, verb) = (&arguments.name, &arguments.verb);
    let answer = match verb {
        RollCommand::Start(source) => {
            let mut body = source.body()?;
            let answer = post(client, name, "start", &body).await;
            erase(&mut body);
            answer?
        }
        RollCommand::Status => {
            let path = [&ROOT[..], &[&name.issuer_name, "roll"]].concat();
            client.call(Call::new(Method::GET, &path)).await?
        }
        RollCommand::Finish { force } => {
            post(client, name, "finish", &json!({ "force": force })).await?
        }
        RollCommand::Abandon => post(client, name, "abandon", &json!({})).await?,
    };
    // A table has a row for each CA.
    let rows = match invocation.output {
        output::Format::Table | output::Format::Tsv => {
            answer.get("authorities").cloned().unwrap_or_default()
        }
        _ => answer,
    };
    Ok(output::print(invocation.output, &rows, COLUMNS)?)
}

async fn post(
    client: &ServiceClient,
    name: &Name,
    verb: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let path = [&ROOT[..], &[&name.issuer_name, "roll", verb]].concat();
    Ok(client
        .call(Call::new(Method::POST, &path).body(body))
        .await?)
}
