//! `muster dps explain`: why a device would be, or was, accepted or refused.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::certificate_file;
use crate::cli::{Column, Format, Invocation, output};
use crate::service_client::{Call, CommandError, Service};

#[derive(Debug, clap::Args)]
pub struct ExplainFlags {
    /// The certificates of the device, PEM or DER, leaf first.
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The token (SharedAccessSignature …) of a device with a key; - reads it from standard input,
    /// where the list of processes does not show it.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The registration id [default: that of the token, or the leaf's common name].
    #[arg(long, visible_alias = "rid")]
    registration_id: Option<String>,
    /// The address of the device, by which the nearest hub is chosen.
    #[arg(long, value_name = "IP")]
    client_address: Option<IpAddr>,
    /// Refusals from this time on.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["certificate", "token"])]
    from: Option<String>,
    /// Refusals before this time.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["certificate", "token"])]
    to: Option<String>,
    /// At most this many refusals.
    #[arg(long, conflicts_with_all = ["certificate", "token"])]
    top: Option<usize>,
}

/// Bytes; every token is shorter.
const MAX_INPUT: u64 = 16 * 1024;

const DECISION: &[Column] = &[
    ("Decision", "/decision"),
    ("RegistrationId", "/registrationId"),
    ("Enrollment", "/enrollment"),
    ("Hub", "/assignedHub"),
    ("DeviceId", "/deviceId"),
    ("Substatus", "/substatus"),
    ("Reason", "/reason"),
    ("Message", "/message"),
];

const TRIED: &[Column] = &[
    ("Tried", "/enrollment"),
    ("By", "/by"),
    ("Outcome", "/outcome"),
    ("Decides", "/decides"),
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
    if flags.certificate.is_none() && flags.token.is_none() {
        let about = flags.registration_id.clone();
        let refusals = refusals(flags, invocation).await?;
        if let (Some(id), Some([])) = (about, refusals.as_array().map(Vec::as_slice)) {
            hint_without_refusals(&id)?;
        }
        return Ok(output::print(invocation.output, &refusals, REFUSALS)?);
    }
    let explanation = explain(&flags, invocation).await?;
    output::print(invocation.output, &explanation, DECISION)?;
    if invocation.output == Format::Table {
        output::line("")?;
        output::print(invocation.output, &explanation["tried"], TRIED)?;
        for note in explanation["notes"].as_array().into_iter().flatten() {
            output::line(&format!("\nNote: {}", note.as_str().unwrap_or_default()))?;
        }
    }
    match explanation["decision"].as_str() {
        Some("accepted" | "asks") => Ok(()),
        _ => Err(CommandError::NotAssigned.into()),
    }
}

/// A hint for people, with an empty list.
fn hint_without_refusals(id: &str) -> std::io::Result<()> {
    writeln!(
        std::io::stderr().lock(),
        "no refusal of {id} is kept. A device that fails in its TLS handshake has not said who it \
         is: look for \"the TLS handshake of ADDRESS failed\" in the server's log. To check a \
         certificate beforehand, give --certificate FILE."
    )
}

async fn explain(flags: &ExplainFlags, invocation: &Invocation) -> anyhow::Result<Value> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let mut body = json!({});
    if let Some(path) = &flags.certificate {
        body["certificates"] = json!(certificate_file::text(path)?);
    }
    if let Some(token) = flags.token.as_deref() {
        body["token"] = json!(read_token(token)?);
    }
    if let Some(id) = &flags.registration_id {
        body["registrationId"] = json!(id);
    }
    if let Some(address) = flags.client_address {
        body["clientAddress"] = json!(address);
    }
    let path = ["muster", "v1", "dps", "explain"];
    Ok(client
        .call(Call::new(Method::POST, &path).body(&body))
        .await?)
}

fn read_token(given: &str) -> anyhow::Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut token = String::new();
    let read = std::io::stdin().take(MAX_INPUT).read_to_string(&mut token);
    read.context("cannot read the token from standard input")?;
    Ok(token)
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
