use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::{QueueOwner, Settlement, send_settlement};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{self, Call, Service};

/// Flags of `muster device c2d-message receive`.
#[derive(Debug, clap::Args)]
#[group(id = "settlement", multiple = false, args = ["complete", "reject", "abandon"])]
pub struct ReceiveFlags {
    #[command(flatten)]
    owner: QueueOwner,
    /// Seconds for which no other receiver gets the message.
    #[arg(long, visible_alias = "lt", default_value_t = 60)]
    lock_timeout: u32,
    /// Complete the message after it is received.
    #[arg(long)]
    complete: bool,
    /// Reject it.
    #[arg(long)]
    reject: bool,
    /// Abandon it.
    #[arg(long)]
    abandon: bool,
}

impl ReceiveFlags {
    fn settlement(&self) -> Option<(&'static str, Settlement)> {
        match self {
            Self { complete: true, .. } => Some(("complete", Settlement::Complete)),
            Self { reject: true, .. } => Some(("reject", Settlement::Reject)),
            Self { abandon: true, .. } => Some(("abandon", Settlement::Abandon)),
            _ => None,
        }
    }
}

const COLUMNS: &[Column] = &[
    ("MessageId", "/properties/system/iothub-messageid"),
    ("Enqueued", "/properties/system/iothub-enqueuedtime"),
    ("Deliveries", "/properties/system/iothub-deliverycount"),
    ("Etag", "/etag"),
    ("Data", "/data"),
];

/// The system properties of a message, as az shows them.
const SYSTEM: [&str; 11] = [
    "iothub-messageid",
    "iothub-correlationid",
    "iothub-sequencenumber",
    "iothub-to",
    "iothub-userid",
    "iothub-ack",
    "iothub-expiry",
    "iothub-deliverycount",
    "iothub-enqueuedtime",
    "ContentType",
    "ContentEncoding",
];

/// Prints nothing when no message waits.
pub async fn run(flags: ReceiveFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let path = flags.owner.path(&["messages", "deviceBound"]);
    let lock = [("iothub-messagelocktimeout", flags.lock_timeout.to_string())];
    let call = Call::new(Method::GET, &path).headers(&lock);
    let (body, headers) = client.call_for_bytes(call).await?;
    let Some(etag) = service_client::header_text(&headers, "etag") else {
        return Ok(output::print(invocation.output, &Value::Null, COLUMNS)?);
    };
    let etag = etag.trim_matches('"');
    let mut message = describe(&headers, etag, &body);
    if let Some((name, settlement)) = flags.settlement() {
        send_settlement(&flags.owner, etag, settlement, invocation).await?;
        message["ack"] = json!(name);
    }
    Ok(output::print(invocation.output, &message, COLUMNS)?)
}

fn describe(headers: &HeaderMap, etag: &str, body: &[u8]) -> Value {
    let text = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let system: Map<String, Value> = SYSTEM
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), json!(text(name)?))))
        .collect();
    let application: Map<String, Value> = headers
        .keys()
        .filter_map(|name| {
            let short = name.as_str().strip_prefix("iothub-app-")?;
            Some((short.to_owned(), json!(text(name.as_str())?)))
        })
        .collect();
    let mut message = json!({"etag": etag, "properties": {"system": system}});
    if !application.is_empty() {
        message["properties"]["app"] = application.into();
    }
    match std::str::from_utf8(body) {
        Ok(text) => message["data"] = json!(text),
        Err(_) => {
            message["data"] = json!(STANDARD.encode(body));
            message["base64Encoded"] = json!(true);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_message_is_described_as_az_does() {
        let headers = [
            ("iothub-messageid", "m1"),
            ("contenttype", "text/plain"),
            ("iothub-app-room", "é"),
            ("x-ms-request-id", "1"),
        ];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        assert_eq!(
            describe(&headers, "t1", b"hi"),
            json!({
                "etag": "t1",
                "properties": {
                    "system": {"iothub-messageid": "m1", "ContentType": "text/plain"},
                    "app": {"room": "é"},
                },
                "data": "hi",
            })
        );
        let binary = describe(&HeaderMap::new(), "t1", b"\xff");
        assert_eq!(
            (&binary["data"], &binary["base64Encoded"]),
            (&json!("/w=="), &json!(true))
        );
    }
}
