//! Certificates with their files, in JSON and in tables.

use ca::CaPaths;
use pki::Certificate;
use serde_json::{Value, json};

use crate::cli::output::Column;

pub const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("NotAfter", "/notAfter"),
    ("Certificate", "/certificate"),
    ("Key", "/key"),
];

pub fn row(name: &str, certificate: &Certificate, paths: &CaPaths, pfx: bool) -> Value {
    let mut row = json!({
        "name": name,
        "subject": certificate.subject(),
        "serialNumber": certificate.serial_hex(),
        "notBefore": certificate.not_before().to_string(),
        "notAfter": certificate.not_after().to_string(),
        "sha256Thumbprint": certificate.sha256().to_string(),
        "certificate": paths.certificate.display().to_string(),
        "fullChain": paths.chain.display().to_string(),
        "key": paths.key.display().to_string(),
    });
    if pfx {
        row["pfx"] = paths.pfx.display().to_string().into();
    }
    row
}
