//! `muster dps issuer certificate`: what an issuer has issued.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;

use super::{Name, ROOT};
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
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
