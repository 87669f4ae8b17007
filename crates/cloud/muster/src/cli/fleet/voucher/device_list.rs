//! A maker's list of devices: CSV with a header, or a JSON array of objects.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ids::{RegistrationId, Thumbprint};
use pki::Certificate;
use pki::tpm::EndorsementKey;
use serde_json::{Map, Value};
use voucher::{Credential, Device};

use super::csv;
use crate::cli::dps::certificate_file;
use crate::cli::json_file;

const COLUMNS: [&str; 5] = ["id", "certificate", "thumbprint", "endorsementKey", "tags"];

/// The devices of a file. Certificate files are named relative to it.
pub fn read(path: &Path) -> anyhow::Result<Vec<Device>> {
    let text = json_file::read_text(path)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let rows = match text.trim_start().starts_with('[') {
        true => json_rows(&text)?,
        false => csv_rows(&text)?,
    };
    let device = |(place, row): (String, Map<String, Value>)| {
        device(&row, &folder).with_context(|| format!("{}, {place}", path.display()))
    };
    rows.into_iter().map(device).collect()
}

type Row = (String, Map<String, Value>);

fn json_rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let items: Vec<Map<String, Value>> =
        serde_json::from_str(text).context("a JSON array of objects was expected")?;
    let numbered = items.into_iter().enumerate();
    Ok(numbered
        .map(|(at, row)| (format!("device {}", at + 1), row))
        .collect())
}

fn csv_rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let mut rows = csv::rows(text)
        .map_err(|problem| anyhow!(problem))?
        .into_iter();
    let (_, header) = rows.next().context("it is empty")?;
    let row = |(line, fields): (usize, Vec<String>)| {
        ensure!(
            fields.len() == header.len(),
            "line {line} has {} fields, the header {}",
            fields.len(),
            header.len()
        );
        let named = header.iter().cloned().zip(fields);
        let given = named.filter(|(_, field)| !field.is_empty());
        let members = given.map(|(name, field)| (name, Value::String(field)));
        Ok((format!("line {line}"), members.collect()))
    };
    rows.map(row).collect()
}

fn device(row: &Map<String, Value>, folder: &Path) -> anyhow::Result<Device> {
    let known = |name: &String| COLUMNS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let Some(unknown) = row.keys().find(|name| !known(name)) {
        bail!("{unknown:?} is not one of {}", COLUMNS.join(", "));
    }
    let member = |wanted: &str| {
        let mut members = row.iter().filter(|(_, value)| !value.is_null());
        members.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    };
    let text = |name: &str| match member(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(anyhow!("{name} is not a text")),
    };
    let id = text("id")?.context("id is missing")?;
    let id = RegistrationId::parse(id)?;
    let credentials = (
        text("certificate")?,
        text("thumbprint")?,
        text("endorsementKey")?,
    );
    let credential = match credentials {
        (Some(given), None, None) => certificate(given, folder)?,
        (None, Some(hash), None) => Credential::Thumbprint(Thumbprint::parse(hash)?),
        (None, None, Some(key)) => endorsement_key(key)?,
        _ => bail!("{id}: exactly one of certificate, thumbprint and endorsementKey is wanted"),
    };
    let tags = match member("tags") {
        None => Map::new(),
        Some(Value::Object(tags)) => tags.clone(),
        Some(Value::String(text)) => {
            serde_json::from_str(text).with_context(|| format!("{id}: tags are a JSON object"))?
        }
        Some(_) => bail!("{id}: tags are a JSON object"),
    };
    Ok(Device {
        id,
        credential,
        tags,
    })
}

/// A PEM text, or the name of a file.
fn certificate(given: &str, folder: &Path) -> anyhow::Result<Credential> {
    let certificate = match given.trim_start().starts_with("-----BEGIN") {
        true => Certificate::parse_one(given.as_bytes())?,
        false => certificate_file::leaf(&folder.join(PathBuf::from(given)))?,
    };
    Ok(Credential::Certificate(Box::new(certificate)))
}

fn endorsement_key(given: &str) -> anyhow::Result<Credential> {
    let bytes = STANDARD
        .decode(given)
        .context("endorsementKey is not base64")?;
    Ok(Credential::EndorsementKey(EndorsementKey::parse(&bytes)?))
}
