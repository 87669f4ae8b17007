//! `muster hub device-identity import` and `export`: many identities from and to a file.

use reqwest::Method;
use serde_json::{Value, json};
use wire::service_api::transfer_job::TRANSFERS;

use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

/// Flags of `import`.
#[derive(Debug, clap::Args)]
pub struct ImportFlags {
    /// The container that has the file: its name, or https://HOST/transfers/NAME.
    #[arg(long, visible_alias = "ibcu", value_name = "CONTAINER")]
    input_blob_container_uri: String,
    /// The container that gets importErrors.log [default: the same].
    #[arg(long, visible_alias = "obcu", value_name = "CONTAINER")]
    output_blob_container_uri: Option<String>,
    /// The file.
    #[arg(long, default_value = "devices.txt")]
    input_blob_name: String,
}

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportFlags {
    /// The container that gets the file: its name, or https://HOST/transfers/NAME.
    #[arg(long, visible_alias = "bcu", value_name = "CONTAINER")]
    blob_container_uri: String,
    /// The file.
    #[arg(long, default_value = "devices.txt")]
    output_blob_name: String,
    /// Whether the file has the keys.
    #[arg(
        long,
        visible_alias = "ik",
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    include_keys: bool,
}

/// The columns of imports and exports.
const COLUMNS: &[Column] = &[
    ("JobId", "/jobId"),
    ("Type", "/type"),
    ("Status", "/status"),
    ("Progress", "/progress"),
    ("Start", "/startTimeUtc"),
    ("End", "/endTimeUtc"),
];

pub async fn import(
    flags: ImportFlags,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let input = container(&flags.input_blob_container_uri, client);
    let output = flags.output_blob_container_uri;
    let output = output.map_or_else(|| input.clone(), |output| container(&output, client));
    let body = json!({
        "type": "import",
        "inputBlobContainerUri": input,
        "inputBlobName": flags.input_blob_name,
        "outputBlobContainerUri": output,
    });
    create(&body, client, invocation).await
}

pub async fn export(
    flags: ExportFlags,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let body = json!({
        "type": "export",
        "outputBlobContainerUri": container(&flags.blob_container_uri, client),
        "outputBlobName": flags.output_blob_name,
        "excludeKeysInExport": !flags.include_keys,
    });
    create(&body, client, invocation).await
}

async fn create(
    body: &Value,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let call = Call::new(Method::POST, &["jobs", "create"]).body(body);
    let job = client.call(call).await?;
    Ok(output::print(invocation.output, &job, COLUMNS)?)
}

/// The address of a container that is given by name.
fn container(given: &str, client: &ServiceClient) -> String {
    match given.contains("://") {
        true => given.to_owned(),
        false => format!("https://{}/{TRANSFERS}/{given}", client.host()),
    }
}
