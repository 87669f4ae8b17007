use std::path::PathBuf;

use anyhow::Context;
use ids::Timestamp;
use reqwest::Method;
use serde_json::json;
use wire::telemetry::BATCH;

use super::QueueOwner;
use crate::cli::device::properties;
use crate::cli::hub::monitor_feedback;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{self, Call, CommandError, Service, request_bodies};

/// Flags of `muster device c2d-message send`.
#[derive(Debug, clap::Args)]
#[group(id = "content", required = true, multiple = false, args = ["data", "data_file_path"])]
pub struct SendFlags {
    #[command(flatten)]
    owner: QueueOwner,
    /// The body of the message.
    #[arg(long, visible_alias = "da")]
    data: Option<String>,
    /// A file with the body of the message, of any kind.
    #[arg(long, visible_alias = "dfp", value_name = "FILE")]
    data_file_path: Option<PathBuf>,
    /// The sender's name for the message [default: a fresh one].
    #[arg(long, visible_alias = "mid")]
    message_id: Option<String>,
    /// The message that this one belongs to.
    #[arg(long, visible_alias = "cid")]
    correlation_id: Option<String>,
    /// The origin of the message.
    #[arg(long, visible_alias = "uid")]
    user_id: Option<String>,
    /// The content type of the body, such as application/json.
    #[arg(long, visible_alias = "ct")]
    content_type: Option<String>,
    /// The encoding of the body.
    #[arg(long, visible_alias = "ce", default_value = "utf-8")]
    content_encoding: String,
    /// When the message expires: milliseconds since 1970, or 2026-01-02T03:04:05Z [default: in one
    /// hour].
    #[arg(long, visible_alias = "expiry")]
    expiry_time_utc: Option<String>,
    /// Application properties: key=value;key2=value2
    #[arg(long, short = 'p', visible_alias = "props")]
    properties: Option<String>,
    /// The outcomes that feedback is wanted about.
    #[arg(long, value_enum)]
    ack: Option<AckFlag>,
    /// Wait for the feedback and print it; needs --ack.
    #[arg(long, short = 'w', requires = "ack")]
    wait: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AckFlag {
    /// When the device completes the message.
    Positive,
    /// When it does not.
    Negative,
    /// In either case.
    Full,
}

const COLUMNS: &[Column] = &[("MessageId", "/messageId")];

pub async fn run(flags: SendFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let body = match (&flags.data, &flags.data_file_path) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => crate::cli::device::read_data(file)?,
        (None, None) => Vec::new(),
    };
    let body = request_bodies::cloud_message(&batch_properties(&flags)?, &body);
    let path = flags.owner.path(&["messages", "deviceBound"]);
    let headers = [("content-type", BATCH.to_owned())];
    let call = Call::new(Method::POST, &path).headers(&headers).body(&body);
    let (_, headers) = client.call_for_headers(call).await?;
    let id = service_client::header_text(&headers, "iothub-messageid").or(flags.message_id);
    let id = id.context("the message was sent; the hub did not say by which id")?;
    if flags.wait {
        let device = flags.owner.device_id.as_str();
        return monitor_feedback::wait_for(&client, (device, &id), invocation.output).await;
    }
    Ok(output::print(
        invocation.output,
        &json!({"messageId": id}),
        COLUMNS,
    )?)
}

/// The properties as a batch carries them.
fn batch_properties(flags: &SendFlags) -> anyhow::Result<Vec<(String, String)>> {
    let ack = flags.ack.map(|ack| match ack {
        AckFlag::Positive => "positive",
        AckFlag::Negative => "negative",
        AckFlag::Full => "full",
    });
    let expiry = flags.expiry_time_utc.as_deref().map(expiry).transpose()?;
    let system = [
        ("iothub-messageid", flags.message_id.clone()),
        ("iothub-correlationid", flags.correlation_id.clone()),
        ("iothub-userid", flags.user_id.clone()),
        ("iothub-expiry", expiry),
        ("iothub-contenttype", flags.content_type.clone()),
        (
            "iothub-contentencoding",
            Some(flags.content_encoding.clone()),
        ),
        ("iothub-ack", ack.map(str::to_owned)),
    ];
    let given = system.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(properties::join(
        given.collect(),
        flags.properties.as_deref(),
    )?)
}

fn expiry(text: &str) -> Result<String, CommandError> {
    let is_millis = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_millis || Timestamp::parse(text).is_ok() {
        true => Ok(text.to_owned()),
        false => Err(CommandError::Usage(format!(
            "--expiry-time-utc: {text:?} is neither milliseconds since 1970 nor a time like \
             2026-01-02T03:04:05Z"
        ))),
    }
}
