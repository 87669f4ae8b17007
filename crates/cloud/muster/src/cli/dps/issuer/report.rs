//! `muster dps issuer report`: kinds of keys and signatures of a fleet, and when its certificates
//! expire.

use reqwest::Method;

use crate::cli::output::Format;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

const PATH: [&str; 4] = ["muster", "v1", "dps", "certificate-report"];

const COLUMNS: &[Column] = &[
    ("Source", "/source"),
    ("Issuer", "/issuer"),
    ("SelfIssued", "/selfIssued"),
    ("Key", "/keyType"),
    ("Bits", "/keyBits"),
    ("Signature", "/signatureAlgorithm"),
    ("Certificates", "/certificates"),
    ("Expired", "/expires/expired"),
    ("<7d", "/expires/within7Days"),
    ("<30d", "/expires/within30Days"),
    ("<90d", "/expires/within90Days"),
    ("<365d", "/expires/within365Days"),
    ("Later", "/expires/later"),
    ("Held", "/held"),
    ("Revoked", "/revoked"),
];

pub async fn run(client: &ServiceClient, invocation: &Invocation) -> anyhow::Result<()> {
    let report = client.call(Call::new(Method::GET, &PATH)).await?;
    let printed = match invocation.output {
        Format::Json | Format::Jsonc => &report,
        Format::Table | Format::Tsv => &report["rows"],
    };
    Ok(output::print(invocation.output, printed, COLUMNS)?)
}
