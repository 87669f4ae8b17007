//! `muster dps explain`: why a device would be, or was, accepted or refused.

use std::path::PathBuf;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Column, Invocation, output};
use crate::operator::{Call, OperatorError, Service};

/// What is to be explained.
#[derive(Debug, clap::Args)]
pub struct ExplainFlags {
    /// The certificates that a device would show, PEM, leaf first.
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// As what it would register, or did; the leaf's common name when it is left out.
    #[arg(long, visible_alias = "rid")]
    registration_id: Option<String>,
    /// Refusals not before this moment.
    #[arg(long, value_name = "TIME", conflicts_with = "certificate")]
    from: Option<String>,
    /// Refusals before this moment.
    #[arg(long, value_name = "TIME", conflicts_with = "certificate")]
    to: Option<String>,
    /// At most so many refusals.
    #[arg(long, conflicts_with = "certificate")]
    top: Option<usize>,
}

const VERDICT: &[Column] = &[
    ("Verdict", "/verdict"),
    ("RegistrationId", "/registrationId"),
    ("Enrollment", "/enrollment"),
    ("Hub", "/assignedHub"),
    ("DeviceId", "/deviceId"),
    ("Reason", "/reason"),
    ("Message", "/message"),
];

const REFUSALS: &[Column] = &[
    ("RegistrationId", "/registrationId"),
    ("Last", "/lastDateTimeUtc"),
    ("Times", "/times"),
    ("Reason", "/reason"),
    ("Enrollment", "/enrollment"),
    ("Message", "/message"),
];

pub async fn run(flags: ExplainFlags, invocation: &Invocation) -> anyhow::Result<()> {
    match &flags.certificate {
        Some(path) => {
            let pem = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the certificates {}", path.display()))?;
            let verdict = judge(&pem, flags.registration_id.as_deref(), invocation).await?;
            output::print(invocation.output, &verdict, VERDICT)?;
            match verdict["verdict"].as_str() {
                Some("accepted" | "asks") => Ok(()),
                _ => Err(OperatorError::Verdict.into()),
            }
        }
        None => {
            let refusals = refusals(flags, invocation).await?;
            Ok(output::print(invocation.output, &refusals, REFUSALS)?)
        }
    }
}

async fn judge(pem: &str, id: Option<&str>, invocation: &Invocation) -> anyhow::Result<Value> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let mut body = json!({ "certificates": pem });
    if let Some(id) = id {
        body["registrationId"] = json!(id);
    }
    let path = ["muster", "v1", "dps", "explain"];
    Ok(client
        .call(Call::new(Method::POST, &path).body(&body))
        .await?)
}

async fn refusals(flags: ExplainFlags, invocation: &Invocation) -> anyhow::Result<Value> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let query: Vec<(&str, String)> = [
        ("registrationId", flags.registration_id),
        ("from", flags.from),
        ("to", flags.to),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let path = ["muster", "v1", "dps", "refusals"];
    let size = Some(flags.top.unwrap_or(100));
    let call = Call::new(Method::GET, &path).query(&query).page(None, size);
    Ok(client.call(call).await?)
}
