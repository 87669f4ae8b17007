use std::path::PathBuf;

use ca::{CaDirectory, RevocationChange};
use clap::Args;
use pki::RevocationReason;
use serde_json::json;

use super::FolderFlag;
use crate::cli::dps::certificate_file;
use crate::cli::output::{self, Column, Format};
use crate::clock;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca revoke --certificate edge-001.cert.pem --reason keyCompromise --dir ./wrkdir\n  \
    muster ca revoke --certificate edge-001.cert.pem --reason certificateHold --dir ./wrkdir\n  \
    muster ca revoke --certificate edge-001.cert.pem --restore --dir ./wrkdir\n\n\
    No private key is needed. Write the list with `muster ca crl` afterwards.";

#[derive(Debug, Args)]
pub struct RevokeFlags {
    /// The certificate; of a chain, the first one. PEM or DER.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// unspecified, keyCompromise, cACompromise, affiliationChanged, superseded,
    /// cessationOfOperation, certificateHold, privilegeWithdrawn or aACompromise.
    #[arg(long, value_name = "R", default_value = "unspecified", value_parser = reason)]
    reason: RevocationReason,
    /// End a hold: the certificate is valid again.
    #[arg(long, conflicts_with = "reason")]
    restore: bool,
    #[command(flatten)]
    folder: FolderFlag,
}

fn reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::parse(text).ok_or_else(|| {
        let names: Vec<_> = RevocationReason::all()
            .map(RevocationReason::name)
            .collect();
        format!("use one of {}", names.join(", "))
    })
}

pub fn run(flags: &RevokeFlags, output: Format) -> anyhow::Result<()> {
    let certificate = certificate_file::first_of_chain(&flags.certificate)?;
    let change = match flags.restore {
        true => RevocationChange::Restore,
        false => RevocationChange::Revoke(flags.reason),
    };
    let state = CaDirectory::revoke(&flags.folder.dir, &certificate, change, clock::now())?;
    let value = json!({
        "name": state.name,
        "serialNumber": state.serial,
        "issuer": state.issuer,
        "state": match state.revoked {
            None => "valid",
            Some(since) if since.reason == RevocationReason::CertificateHold => "held",
            Some(_) => "revoked",
        },
        "reason": state.revoked.map(|since| since.reason.name()),
        "since": state.revoked.map(|since| since.when.to_string()),
        "changed": !state.was_before,
    });
    let columns: &[Column] = &[
        ("Name", "/name"),
        ("SerialNumber", "/serialNumber"),
        ("State", "/state"),
        ("Reason", "/reason"),
        ("Since", "/since"),
    ];
    output::print(output, &value, columns)?;
    Ok(())
}
