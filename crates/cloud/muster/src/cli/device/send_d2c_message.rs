//! `muster device send-d2c-message`: telemetry in the place of a device.

use std::path::PathBuf;

use reqwest::Method;
use wire::telemetry::BATCH;

use super::properties;
use crate::cli::Invocation;
use crate::cli::hub::device_identity::keys;
use crate::service_client::{Call, Service, request_bodies};

/// Flags of `muster device send-d2c-message`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        muster device send-d2c-message -d dev-1 --data '{\"temperature\":21}' --data-dir ./data\n  \
        muster device send-d2c-message -d dev-1 --data-file-path reading.json --properties \
        '$.ct=application/json;$.ce=utf-8;level=high' --data-dir ./data")]
pub struct SendFlags {
    #[arg(long, short = 'd')]
    device_id: String,
    /// A module of the device instead of the device itself.
    #[arg(long, short = 'm')]
    module_id: Option<String>,
    /// The body of the message.
    #[arg(long, visible_alias = "da", default_value = "Ping from Muster")]
    data: String,
    /// A file with the body of the message, of any kind.
    #[arg(
        long,
        visible_alias = "dfp",
        value_name = "FILE",
        conflicts_with = "data"
    )]
    data_file_path: Option<PathBuf>,
    /// Properties: key=value;key2=value2. A key that begins with `$.` names a system property, such
    /// as `$.ct` (content type), `$.ce` (content encoding), `$.mid` (message id).
    #[arg(long, short = 'p', visible_alias = "props")]
    properties: Option<String>,
}

pub async fn run(flags: SendFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let body = match &flags.data_file_path {
        Some(file) => super::read_data(file)?,
        None => flags.data.into_bytes(),
    };
    let properties = properties::join(Vec::new(), flags.properties.as_deref())?;
    let batch = request_bodies::cloud_message(&properties, &body);
    let identity = (flags.device_id.as_str(), flags.module_id.as_deref());
    let mut path = keys::path(identity.0, identity.1);
    path.extend(["messages", "events"]);
    let headers = [("content-type", BATCH.to_owned())];
    let call = Call::new(Method::POST, &path).headers(&headers);
    client.call(call.body(&batch)).await?;
    Ok(())
}
