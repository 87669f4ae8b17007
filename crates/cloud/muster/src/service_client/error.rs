use reqwest::StatusCode;
use serde_json::Value;

/// Why a command failed. Decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The service refused the request.
    #[error(
        "the service refused: {message} (HTTP {status}{})",
        code.map_or_else(String::new, |code| format!(", error code {code}"))
    )]
    Refused {
        status: u16,
        code: Option<i64>,
        message: String,
    },
    /// There was no answer, or none of a server that is trusted.
    #[error("cannot reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// A file of the arguments cannot be used.
    #[error(transparent)]
    Input(anyhow::Error),
    /// The device would not be assigned. The reason has been printed.
    #[error("the device would not be assigned")]
    NotAssigned,
    /// A chain was verified and is refused. The decision has been printed.
    #[error("the chain is refused ({0})")]
    ChainRefused(&'static str),
}

impl CommandError {
    /// 1 refused, 2 wrong usage, 3 unreachable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } | Self::NotAssigned | Self::ChainRefused(_) => 1,
            Self::Usage(_) | Self::Input(_) => 2,
            Self::Unreachable { .. } => 3,
        }
    }
}

/// The first error of an answer about several items, as of `POST /devices/keys/regenerate`.
fn item_error(body: &Value) -> Option<String> {
    let text = body["errors"][0]["errorStatus"].as_str()?;
    Some(text.to_owned())
}

/// Reads Azure's error bodies: DPS has `message`, hubs have `Message`, which may hold JSON again.
pub fn refused(status: StatusCode, body: &Value) -> CommandError {
    let text = |value: &Value| {
        ["message", "Message"]
            .iter()
            .find_map(|k| value.get(k)?.as_str().map(str::to_owned))
    };
    let nested = text(body)
        .and_then(|m| serde_json::from_str::<Value>(&m).ok())
        .filter(Value::is_object);
    let inner = nested.as_ref().unwrap_or(body);
    CommandError::Refused {
        status: status.as_u16(),
        code: inner.get("errorCode").and_then(Value::as_i64),
        message: text(inner).or_else(|| item_error(body)).unwrap_or_else(|| {
            status
                .canonical_reason()
                .unwrap_or("no reason given")
                .to_owned()
        }),
    }
}
