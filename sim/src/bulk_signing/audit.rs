//! What a folder holds after a run.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pki::Certificate;
use serde_json::Value;

use super::requests::Expected;
use crate::Workshop;

/// The certificates of devices that the records hold, whole lines only.
pub(super) fn recorded(dir: &Path) -> Result<usize> {
    Ok(records(dir)?.len())
}

/// The bytes of the records: what is cheap to look at often.
pub(super) fn recorded_bytes(dir: &Path) -> Result<u64> {
    Ok(dir.join("index/issued.jsonl").metadata()?.len())
}

fn records(dir: &Path) -> Result<Vec<String>> {
    let path = dir.join("index/issued.jsonl");
    let mut reader = BufReader::new(std::fs::File::open(&path).context("the records")?);
    let mut found = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if line.ends_with('\n') && line.contains("\"profile\":\"edge-identity\"") {
            found.push(line.clone());
        }
        line.clear();
    }
    Ok(found)
}

/// Every expected name has one record and its two files; there is nothing else.
pub(super) fn verify(workshop: &Workshop, out: &Path, expected: &Expected) -> Result<()> {
    let intermediate = read(&workshop.intermediate())?;
    let issuers = [&intermediate, &read(&workshop.root())?]
        .map(|one| one.to_pem())
        .concat();
    let mut serials = HashSet::new();
    for (name, key) in expected {
        let certificate = read(&out.join(format!("{name}.cert.pem")))?;
        ensure!(
            certificate.subject_common_name() == Some(name),
            "{name}: another name"
        );
        ensure!(
            pki::sha256(certificate.spki_der()) == *key,
            "{name}: another key"
        );
        ensure!(
            certificate.is_signed_by(&intermediate),
            "{name}: the signature does not hold"
        );
        let chain = std::fs::read_to_string(out.join(format!("{name}-full-chain.cert.pem")))?;
        ensure!(
            chain == certificate.to_pem() + &issuers,
            "{name}: another chain"
        );
        serials.insert(certificate.serial_hex().to_owned());
    }
    ensure!(
        serials.len() == expected.len(),
        "a serial number is there twice"
    );
    let files = std::fs::read_dir(out)?.count();
    ensure!(
        files == 2 * expected.len(),
        "{files} files for {} names",
        expected.len()
    );
    let mut recorded = HashSet::new();
    for line in records(workshop.path())? {
        let line: Value = serde_json::from_str(&line)?;
        let serial = line["serial"].as_str().context("no serial")?;
        ensure!(serials.contains(serial), "{line} is issued and in no file");
        ensure!(recorded.insert(serial.to_owned()), "{line} is there twice");
    }
    ensure!(
        recorded.len() == expected.len(),
        "{} records",
        recorded.len()
    );
    Ok(())
}

fn read(path: &Path) -> Result<Certificate> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Certificate::parse_one(&bytes)?)
}
