//! `muster audit`: what was done and decided.

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;
use ids::Timestamp;
use registry::{AuditBook, AuditQuery, KnownAudit, Registry};
use serde_json::{Value, json};

use super::{Column, Invocation, output};
use crate::operator::OperatorError;

/// Verbs of `muster audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no record was changed, removed or added; works while the server runs.
    #[command(
        after_help = "Example:\n  muster audit verify --data-dir ./data\n  muster audit verify --known acts:120:9f86d081… --data-dir ./data"
    )]
    Verify {
        /// A number and hash that an earlier run printed, as BOOK:NUMBER:HASH.
        #[arg(long, value_name = "BOOK:NUMBER:HASH", value_parser = known)]
        known: Vec<KnownAudit>,
    },
    /// List records, newest first.
    #[command(
        after_help = "Example:\n  muster audit list --about edge-001 --data-dir ./data --output table"
    )]
    List {
        /// Only of this registration id, or what was acted upon.
        #[arg(long, visible_alias = "registration-id", value_name = "ID")]
        about: Option<String>,
        /// Only of this kind, for example registration.refused.
        #[arg(long)]
        kind: Option<String>,
        /// Not before this moment.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Before this moment.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        top: usize,
    },
}

const VERIFIED: &[Column] = &[
    ("Book", "/book"),
    ("First", "/first"),
    ("Last", "/last"),
    ("Hash", "/hash"),
];

const RECORDS: &[Column] = &[
    ("Time", "/time"),
    ("Book", "/book"),
    ("Number", "/number"),
    ("Kind", "/body/kind"),
    ("Target", "/body/target"),
    ("RegistrationId", "/body/registrationId"),
    ("Policy", "/body/policy"),
];

pub fn run(command: AuditCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let data_dir = invocation.target.data_dir.clone().ok_or_else(|| {
        let message = "the audit is read where it is kept: give --data-dir DIR";
        OperatorError::Usage(message.to_owned())
    })?;
    match command {
        AuditCommand::Verify { known } => verify(&data_dir, &known, invocation),
        AuditCommand::List {
            about,
            kind,
            from,
            to,
            top,
        } => {
            let moment =
                |text: Option<String>| text.map(|text| Timestamp::parse(&text)).transpose();
            let query = AuditQuery {
                from: moment(from).context("--from")?,
                to: moment(to).context("--to")?,
                about,
                kind,
                limit: top,
            };
            list(&data_dir, &query, invocation)
        }
    }
}

fn verify(data_dir: &Path, known: &[KnownAudit], invocation: &Invocation) -> anyhow::Result<()> {
    let books = Registry::verify_audit(data_dir, known).context("the audit does not hold")?;
    let shown: Vec<Value> = books
        .into_iter()
        .map(|book| {
            json!({
                "book": book.book.name(), "first": book.first, "last": book.last,
                "hash": book.hash.to_string(),
            })
        })
        .collect();
    Ok(output::print(
        invocation.output,
        &Value::from(shown),
        VERIFIED,
    )?)
}

fn list(data_dir: &Path, query: &AuditQuery, invocation: &Invocation) -> anyhow::Result<()> {
    let found = Registry::audit(data_dir, query)?.into_iter().map(|record| {
        json!({
            "book": record.book, "number": record.number, "time": record.time,
            "body": record.body, "hash": record.hash,
        })
    });
    let shown = Value::from(found.collect::<Vec<_>>());
    Ok(output::print(invocation.output, &shown, RECORDS)?)
}

fn known(text: &str) -> Result<KnownAudit, String> {
    let mut parts = text.split(':');
    let (Some(book), Some(number), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("BOOK:NUMBER:HASH was expected".to_owned());
    };
    let book = AuditBook::ALL
        .into_iter()
        .find(|known| known.name() == book);
    Ok(KnownAudit {
        book: book.ok_or("the book is acts or decisions")?,
        number: number.parse().map_err(|_| "the number is none")?,
        hash: hash
            .parse()
            .map_err(|_| "the hash is none: 64 hexadecimal digits")?,
    })
}
