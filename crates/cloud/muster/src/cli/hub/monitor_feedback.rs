//! `muster hub monitor-feedback`: the outcomes of cloud-to-device messages as they arrive.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cli::output::Format;
use crate::cli::{Invocation, output};
use crate::service_client::{self, Call, Service, ServiceClient};

/// Time from an empty answer to the next request.
const INTERVAL: Duration = Duration::from_secs(1);
const FEEDBACK: [&str; 3] = ["messages", "serviceBound", "feedback"];

/// `muster hub monitor-feedback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster hub monitor-feedback -d dev-1 --timeout 60 --data-dir ./data")]
pub struct MonitorFeedback {
    /// Print feedback of this device only. That of others is read, too: it does not come again.
    #[arg(long, short = 'd')]
    device_id: Option<String>,
    /// Stop after the feedback of the message with this id.
    #[arg(long, short = 'w')]
    wait_on_msg: Option<String>,
    /// Stop when no feedback has arrived for this many seconds.
    #[arg(long)]
    timeout: Option<u64>,
}

/// Prints one record a line.
pub async fn run(flags: MonitorFeedback, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    monitor(&client, &flags, invocation.output).await
}

/// Prints feedback of a device until that of one message.
pub async fn wait_for(
    client: &ServiceClient,
    (device, message): (&str, &str),
    format: Format,
) -> anyhow::Result<()> {
    let flags = MonitorFeedback {
        device_id: Some(device.to_owned()),
        wait_on_msg: Some(message.to_owned()),
        timeout: None,
    };
    monitor(client, &flags, format).await
}

async fn monitor(
    client: &ServiceClient,
    flags: &MonitorFeedback,
    format: Format,
) -> anyhow::Result<()> {
    if format == Format::Table {
        output::line(&row(&HEADINGS.map(str::to_owned)))?;
    }
    let mut last = Instant::now();
    loop {
        let (batch, headers) = client
            .call_for_headers(Call::new(Method::GET, &FEEDBACK))
            .await?;
        let Some(token) = service_client::header_text(&headers, "etag") else {
            let quiet = flags.timeout.map(Duration::from_secs);
            if quiet.is_some_and(|quiet| last.elapsed() >= quiet) {
                return Ok(());
            }
            sleep(INTERVAL).await;
            continue;
        };
        last = Instant::now();
        let mut found = false;
        for record in batch.as_array().into_iter().flatten() {
            let is =
                |name: &str, wanted: &Option<String>| record[name].as_str() == wanted.as_deref();
            if flags.device_id.is_some() && !is("deviceId", &flags.device_id) {
                continue;
            }
            output::line(&line(format, record))?;
            found |= flags.wait_on_msg.is_some() && is("originalMessageId", &flags.wait_on_msg);
        }
        let [messages, bound, feedback] = FEEDBACK;
        let path = [messages, bound, feedback, token.trim_matches('"')];
        client.call(Call::new(Method::DELETE, &path)).await?;
        if found {
            return Ok(());
        }
    }
}

const HEADINGS: [&str; 4] = ["EnqueuedTime", "DeviceId", "Status", "MessageId"];

fn line(format: Format, record: &Value) -> String {
    let cells = || {
        [
            "enqueuedTimeUtc",
            "deviceId",
            "statusCode",
            "originalMessageId",
        ]
        .map(|name| record[name].as_str().unwrap_or_default().to_owned())
    };
    match format {
        Format::Json | Format::Jsonc => record.to_string(),
        Format::Table => row(&cells()),
        Format::Tsv => cells().join("\t"),
    }
}

/// Columns have a fixed width, because rows come one by one.
fn row([time, device, status, message]: &[String; 4]) -> String {
    format!("{time:<28}  {device:<24}  {status:<21}  {message}")
}
