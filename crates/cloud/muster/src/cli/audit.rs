//! `muster audit`: what was done and decided.

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;
use ids::Timestamp;
use registry::{AuditQuery, AuditStream, KnownAudit, Registry};
use serde_json::{Value, json};

use super::{Column, Invocation, output};
use crate::service_client::{CommandError, Service};

/// Verbs of `muster audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no record was changed, removed or added; also while the server runs.
    #[command(after_help = "Example:\n  \
            muster audit verify --data-dir ./data\n  \
            muster audit verify --known acts:120:9f86d081… --data-dir ./data")]
    Verify {
        /// A number and hash that an earlier run printed, as STREAM:NUMBER:HASH.
        #[arg(long, value_name = "STREAM:NUMBER:HASH", value_parser = known)]
        known: Vec<KnownAudit>,
    },
    /// List records, newest first: those of the data directory, or with --login those of the
    /// server, as its owner.
    #[command(after_help = "Example:\n  \
            muster audit list --about edge-001 --data-dir ./data --output table\n  \
            muster audit list --kind enrollment.keys.read --from 2026-01-01T00:00:00Z --login \
            \"$DPS\"")]
    List {
        /// Only about this registration id or other target.
        #[arg(long, visible_alias = "registration-id", value_name = "ID")]
        about: Option<String>,
        /// Only of this kind, for example registration.refused.
        #[arg(long)]
        kind: Option<String>,
        /// From this time on.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        top: usize,
    },
}

const VERIFIED: &[Column] = &[
    ("Stream", "/stream"),
    ("First", "/first"),
    ("Last", "/last"),
    ("Hash", "/hash"),
];

const RECORDS: &[Column] = &[
    ("Time", "/time"),
    ("Stream", "/stream"),
    ("Number", "/number"),
    ("Kind", "/body/kind"),
    ("Target", "/body/target"),
    ("RegistrationId", "/body/registrationId"),
    ("Policy", "/body/policy"),
];

pub async fn run(command: AuditCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify { known } => {
            let data_dir = invocation.target.data_dir.clone().ok_or_else(|| {
                let message = "the audit is verified where it is kept: give --data-dir DIR";
                CommandError::Usage(message.to_owned())
            })?;
            verify(&data_dir, &known, invocation)
        }
        AuditCommand::List {
            about,
            kind,
            from,
            to,
            top,
        } => {
            let filter = Filter {
                about,
                kind,
                from,
                to,
                top,
            };
            let target = &invocation.target;
            let rows = match target
                .data_dir
                .as_deref()
                .filter(|_| target.login.is_none())
            {
                Some(data_dir) => from_data_dir(data_dir, filter)?,
                None => from_server(invocation, filter).await?,
            };
            let rows = Value::from(rows);
            Ok(output::print(invocation.output, &rows, RECORDS)?)
        }
    }
}

/// A query for records.
struct Filter {
    about: Option<String>,
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
    top: usize,
}

fn verify(data_dir: &Path, known: &[KnownAudit], invocation: &Invocation) -> anyhow::Result<()> {
    let streams = Registry::verify_audit(data_dir, known).context("the audit does not hold")?;
    let rows: Vec<Value> = streams
        .into_iter()
        .map(|stream| {
            json!({
                "stream": stream.stream.name(), "first": stream.first, "last": stream.last,
                "hash": stream.hash.to_string(),
            })
        })
        .collect();
    Ok(output::print(
        invocation.output,
        &Value::from(rows),
        VERIFIED,
    )?)
}

fn from_data_dir(data_dir: &Path, filter: Filter) -> anyhow::Result<Vec<Value>> {
    let moment = |text: Option<String>| text.map(|text| Timestamp::parse(&text)).transpose();
    let query = AuditQuery {
        from: moment(filter.from).context("--from")?,
        to: moment(filter.to).context("--to")?,
        about: filter.about,
        kind: filter.kind,
        after: None,
        limit: filter.top,
    };
    let found = Registry::audit(data_dir, &query)?
        .into_iter()
        .map(|record| {
            json!({
                "stream": record.stream, "number": record.number, "time": record.time,
                "body": record.body, "hash": record.hash,
            })
        });
    Ok(found.collect())
}

async fn from_server(invocation: &Invocation, filter: Filter) -> anyhow::Result<Vec<Value>> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let query: Vec<(&str, String)> = [
        ("about", filter.about),
        ("kind", filter.kind),
        ("from", filter.from),
        ("to", filter.to),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let path = ["muster", "v1", "audit"];
    Ok(client.list_with_query(&path, &query, filter.top).await?)
}

fn known(text: &str) -> Result<KnownAudit, String> {
    let mut parts = text.split(':');
    let (Some(stream), Some(number), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("STREAM:NUMBER:HASH was expected".to_owned());
    };
    let stream = AuditStream::ALL
        .into_iter()
        .find(|known| known.name() == stream);
    Ok(KnownAudit {
        stream: stream.ok_or("the stream is acts, decisions or refusals")?,
        number: number.parse().map_err(|_| "the number is not a number")?,
        hash: hash
            .parse()
            .map_err(|_| "the hash is not valid: 64 hexadecimal digits")?,
    })
}
