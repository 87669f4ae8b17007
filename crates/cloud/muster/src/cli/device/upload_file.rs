//! `muster device upload-file`: a file, uploaded in the place of a device.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// The size of a block, in bytes.
const BLOCK: u64 = 4 * 1024 * 1024;

/// Flags of `muster device upload-file`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster device upload-file -d dev-1 --file-path log.txt --content-type text/plain \
        --data-dir ./data")]
pub struct UploadFlags {
    #[arg(long, short = 'd')]
    device_id: String,
    /// The file; its name is the name of the blob.
    #[arg(long, visible_alias = "fp", value_name = "FILE")]
    file_path: PathBuf,
    /// The content type of the file, for hubs that keep it; those of Muster do not.
    #[arg(long, visible_alias = "ct", default_value = "application/octet-stream")]
    content_type: String,
}

const COLUMNS: &[Column] = &[("Blob", "/blobName"), ("Bytes", "/bytes")];

pub async fn run(flags: UploadFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let (name, file) = open(&flags.file_path).map_err(CommandError::Input)?;
    let device = flags.device_id.as_str();
    let files = ["devices", device, "files"];
    let body = json!({ "blobName": name });
    let call = Call::new(Method::POST, &files).body(&body);
    let grant = client.call(call).await?;
    let written = write(&client, &grant, file, &flags.content_type).await;
    let end = json!({
        "correlationId": grant["correlationId"],
        "isSuccess": written.is_ok(),
        "statusCode": if written.is_ok() { 201 } else { 500 },
        "statusDescription": written.as_ref().err().map_or_else(String::new, ToString::to_string),
    });
    let notifications = ["devices", device, "files", "notifications"];
    let call = Call::new(Method::POST, &notifications).body(&end);
    let ended = client.call(call).await;
    let bytes = written?;
    ended?;
    let answer = json!({"blobName": grant["blobName"], "bytes": bytes});
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// The name of the blob, and the file.
fn open(path: &Path) -> anyhow::Result<(String, File)> {
    let flag = || format!("--file-path {}", path.display());
    let file = File::open(path).with_context(flag)?;
    let is_file = file.metadata().with_context(flag)?.is_file();
    ensure!(is_file, "{} is not a file", flag());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name in UTF-8", flag()))?;
    Ok((name.to_owned(), file))
}

/// Writes the file as blocks, then the list of them. Returns its size.
async fn write(
    client: &ServiceClient,
    grant: &Value,
    mut file: File,
    content_type: &str,
) -> anyhow::Result<u64> {
    let text = |name: &str| grant[name].as_str().unwrap_or_default();
    let blob: Vec<String> = text("blobName")
        .split('/')
        .map(wire::http::encode_segment)
        .collect();
    let (host, container) = (text("hostName"), text("containerName"));
    let url = format!(
        "https://{host}/{container}/{}{}",
        blob.join("/"),
        text("sasToken")
    );
    let progress = progress(file.metadata().context("the size of the file")?.len());
    let (mut list, mut bytes) = (String::from("<BlockList>"), 0);
    for number in 0_u32.. {
        let mut block = Vec::new();
        let read = file.by_ref().take(BLOCK).read_to_end(&mut block);
        let read = read.context("the file cannot be read")? as u64;
        if read == 0 {
            break;
        }
        let id = STANDARD.encode(format!("{number:06}"));
        let target = format!(
            "{url}&comp=block&blockid={}",
            wire::http::encode_segment(&id)
        );
        client.put_blob(&target, &[], block).await?;
        write!(list, "<Latest>{id}</Latest>")?;
        bytes += read;
        progress.set_position(bytes);
    }
    list.push_str("</BlockList>");
    let headers = [("x-ms-blob-content-type", content_type)];
    let target = format!("{url}&comp=blocklist");
    client
        .put_blob(&target, &headers, list.into_bytes())
        .await?;
    progress.finish_and_clear();
    Ok(bytes)
}

/// A bar for a person who waits; a program that reads standard error sees nothing.
fn progress(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}
