//! `muster dps issuer certificate`: what an issuer has issued.

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use wire::muster_api::revocation::RevokeRequest;

use super::{Name, ROOT};
use crate::cli::dps::certificate_file;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

/// Verbs of `muster dps issuer certificate`.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// List issued certificates: by common name, or by expiry when a time is given.
    #[command(after_help = "Examples:\n  \
            muster dps issuer certificate list --issuer-name fleet --expires-within 30d \
            --output table --data-dir ./data\n  \
            muster dps issuer certificate list --issuer-name fleet --state revoked --data-dir \
            ./data")]
    List {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show one certificate, with its PEM.
    #[command(after_help = "Example:\n  \
            muster dps issuer certificate show --issuer-name fleet --serial-number \
            019B1A2B3C4D5E6F708192A3B4C5D6E7 --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: Name,
        /// The serial number, hexadecimal.
        #[arg(long, value_name = "HEX")]
        serial_number: String,
    },
    /// Revoke certificates, or put them on hold. A device that is connected with one is
    /// disconnected.
    #[command(after_help = "Examples:\n  \
            muster dps issuer certificate revoke --issuer-name fleet --serial-number \
            019B1A2B3C4D5E6F708192A3B4C5D6E7 --reason keyCompromise --data-dir ./data\n  \
            muster dps issuer certificate revoke --issuer-name fleet --subject press-7 \
            --reason certificateHold --data-dir ./data")]
    Revoke {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        which: Which,
        /// Why: keyCompromise, superseded, cessationOfOperation, certificateHold, …
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
    },
    /// Restore certificates that are on hold.
    #[command(after_help = "Example:\n  \
            muster dps issuer certificate restore --issuer-name fleet --subject press-7 \
            --data-dir ./data")]
    Restore {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        which: Which,
    },
}

/// Certificates of one common name that are looked at.
const MOST: usize = 100_000;

/// Names certificates of an issuer.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The serial number, hexadecimal. It need not be listed.
    #[arg(long, value_name = "HEX")]
    serial_number: Option<String>,
    /// All certificates of this common name that are not revoked yet.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The certificate in this file, PEM or DER.
    #[arg(long, value_name = "FILE")]
    certificate_path: Option<PathBuf>,
}

impl Which {
    /// The serial numbers, one at least; `states` are those that a subject's certificates may be
    /// in.
    async fn serials(
        &self,
        issuer: &str,
        states: &[&str],
        client: &ServiceClient,
    ) -> anyhow::Result<Vec<String>> {
        if let Some(path) = &self.certificate_path {
            let certificate = certificate_file::one(path)?;
            return Ok(vec![certificate.serial_hex().to_owned()]);
        }
        let Some(subject) = &self.subject else {
            return Ok(self.serial_number.iter().cloned().collect());
        };
        let path = [&ROOT[..], &[issuer, "certificates"]].concat();
        let query = [("subject", subject.clone())];
        let rows = client.list_with_query(&path, &query, MOST).await?;
        let serials = rows.iter().filter_map(|row| {
            let state = row["state"].as_str()?;
            let serial = row["serialNumber"].as_str()?;
            states.contains(&state).then(|| serial.to_owned())
        });
        let serials: Vec<String> = serials.collect();
        ensure!(
            !serials.is_empty(),
            "no certificate of {subject} is {}; `muster dps issuer certificate list --issuer-name \
             {issuer} --subject {subject}` shows what there is",
            states.join(" or ")
        );
        Ok(serials)
    }
}

#[derive(Debug, Args)]
pub struct Filter {
    /// Only the certificate of this serial number, hexadecimal.
    #[arg(long, value_name = "HEX")]
    serial_number: Option<String>,
    /// Only certificates of this common name.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only certificates that expire in this time, for example 30d or 12h.
    #[arg(long, value_name = "TIME", conflicts_with = "expires_before")]
    expires_within: Option<String>,
    /// Only certificates that expire before this moment; also those that have.
    #[arg(long, value_name = "MOMENT")]
    expires_before: Option<String>,
    /// Only certificates in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    top: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    Valid,
    Held,
    Revoked,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let state = self.state.map(|state| match state {
            State::Valid => "valid".to_owned(),
            State::Held => "held".to_owned(),
            State::Revoked => "revoked".to_owned(),
        });
        let members = [
            ("serialNumber", self.serial_number.clone()),
            ("subject", self.subject.clone()),
            ("expiresWithin", self.expires_within.clone()),
            ("expiresBefore", self.expires_before.clone()),
            ("state", state),
        ];
        let given = members
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        given.collect()
    }
}

const COLUMNS: &[Column] = &[
    ("CommonName", "/commonName"),
    ("SerialNumber", "/serialNumber"),
    ("Expires", "/notAfterUtc"),
    ("State", "/state"),
    ("Key", "/keyType"),
    ("Origin", "/origin"),
];

/// The certificates as they are then: a list unless there is one only.
async fn change(
    issuer: &str,
    serials: &[String],
    (verb, body): (&str, &Value),
    client: &ServiceClient,
) -> anyhow::Result<Value> {
    let mut changed = Vec::new();
    for serial in serials {
        let path = [&ROOT[..], &[issuer, "certificates", serial, verb]].concat();
        changed.push(
            client
                .call(Call::new(Method::POST, &path).body(body))
                .await?,
        );
    }
    Ok(match changed.len() {
        1 => changed.remove(0),
        _ => changed.into(),
    })
}

pub async fn run(
    command: &CertificateCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let answer = match command {
        CertificateCommand::List { name, filter } => {
            let path = [&ROOT[..], &[&name.issuer_name, "certificates"]].concat();
            let query = filter.query();
            let rows = client.list_with_query(&path, &query, filter.top);
            rows.await?.into()
        }
        CertificateCommand::Show {
            name,
            serial_number,
        } => {
            let path = [
                &ROOT[..],
                &[&name.issuer_name, "certificates", serial_number],
            ]
            .concat();
            client.call(Call::new(Method::GET, &path)).await?
        }
        CertificateCommand::Revoke {
            name,
            which,
            reason,
        } => {
            let issuer = &name.issuer_name;
            let serials = which.serials(issuer, &["valid", "held"], client).await?;
            let body = RevokeRequest {
                reason: reason.clone(),
            };
            let body = serde_json::to_value(body)?;
            change(issuer, &serials, ("revoke", &body), client).await?
        }
        CertificateCommand::Restore { name, which } => {
            let issuer = &name.issuer_name;
            let serials = which.serials(issuer, &["held"], client).await?;
            change(issuer, &serials, ("restore", &json!({})), client).await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
