//! The direct methods of `$edgeAgent`: `ping`, `RestartModule`, `GetModuleLogs`.

use device::{Hub, MethodCall};
use futures_util::StreamExt;
use ids::{ModuleId, error_chain};
use serde_json::{Value, json};
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::{LogsItem, LogsRequest, RestartRequest};

use crate::runtime::{ModuleRuntime, RuntimeError};

/// The longest text of logs in one answer, bytes. The hub accepts 128 KiB.
const MAX_LOGS: usize = 100_000;
const DEFAULT_TAIL: u64 = 100;

/// Carries out one call and answers it.
pub(crate) async fn answer<R: ModuleRuntime>(hub: &Hub, runtime: &R, call: &MethodCall) {
    let argument = call.argument().map_err(|error| error.to_string());
    let (status, body) = match argument {
        Ok(argument) => invoke(runtime, &call.name, &argument).await,
        Err(problem) => (400, json!({ "message": problem })),
    };
    tracing::info!(method = %call.name, status, "a direct method was called");
    if let Err(error) = hub.respond(call, status, &body).await {
        tracing::warn!(error = %error, method = %call.name, "the method's answer was not taken");
    }
}

async fn invoke<R: ModuleRuntime>(runtime: &R, name: &str, argument: &Value) -> (i32, Value) {
    let message = |text: String| json!({ "message": text });
    if name.eq_ignore_ascii_case("ping") {
        return (200, Value::Null);
    }
    let result = if name.eq_ignore_ascii_case("RestartModule") {
        match RestartRequest::parse(argument) {
            Ok(request) => runtime.restart(&request.id).await.map(|()| Value::Null),
            Err(error) => return (400, message(error.to_string())),
        }
    } else if name.eq_ignore_ascii_case("GetModuleLogs") {
        match LogsRequest::parse(argument) {
            Ok(request) => logs(runtime, &request).await,
            Err(error) => return (400, message(error.to_string())),
        }
    } else {
        return (
            404,
            message(format!(
                "there is no method {name}; ping, RestartModule and GetModuleLogs are offered"
            )),
        );
    };
    match result {
        Ok(body) => (200, body),
        Err(error @ RuntimeError::NoContainer(_)) => (404, message(error.to_string())),
        Err(error) => (500, message(error_chain(&error))),
    }
}

async fn logs<R: ModuleRuntime>(runtime: &R, request: &LogsRequest) -> Result<Value, RuntimeError> {
    let existing: Vec<ModuleId> = runtime
        .list()
        .await?
        .into_iter()
        .map(|found| found.module)
        .collect();
    let mut answer = Vec::new();
    let mut left = MAX_LOGS;
    for item in &request.items {
        for module in existing.iter().filter(|module| item.selects(module)) {
            let text = read(runtime, module, item, left).await?;
            left = left.saturating_sub(text.len());
            answer.push(json!({ "id": module, "payload": text }));
        }
    }
    Ok(Value::Array(answer))
}

async fn read<R: ModuleRuntime>(
    runtime: &R,
    module: &ModuleId,
    item: &LogsItem,
    most: usize,
) -> Result<String, RuntimeError> {
    // A line has at least one byte, so that the answer never has more lines than bytes.
    let tail = item.tail.unwrap_or(DEFAULT_TAIL).min(MAX_LOGS as u64);
    let query = LogsQuery {
        tail: Some(tail),
        since: item.since,
        until: item.until,
        ..LogsQuery::default()
    };
    let mut stream = runtime.logs(module, &query).await?;
    let mut end = End::of_at_most(most);
    while let Some(piece) = stream.next().await {
        end.push(piece?.get(8..).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(end.bytes()).into_owned())
}

/// The last bytes of a text that comes in pieces. Lines may be long and many, so that at most twice
/// as much is held.
struct End {
    held: Vec<u8>,
    most: usize,
}

impl End {
    fn of_at_most(most: usize) -> Self {
        Self {
            held: Vec::new(),
            most,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(self.most)..];
        if self.held.len() + piece.len() > 2 * self.most {
            let kept = self.bytes().len();
            self.held.drain(..self.held.len() - kept);
        }
        self.held.extend_from_slice(piece);
    }

    /// The last bytes: the end of a log is more useful than its beginning.
    fn bytes(&self) -> &[u8] {
        &self.held[self.held.len().saturating_sub(self.most)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C10: a log was read as a whole before it was cut.
    #[test]
    fn of_a_long_log_only_the_end_is_held() {
        let mut end = End::of_at_most(10);
        for number in 0..100_000 {
            end.push(format!("{number} ").as_bytes());
            assert!(end.held.len() <= 20);
        }
        assert_eq!(end.bytes(), b"998 99999 ");
        end.push(&[b'x'; 1000]);
        assert_eq!(end.bytes(), [b'x'; 10]);
        assert!(end.held.capacity() < 100);
        end.push(b"yz");
        assert_eq!(end.bytes(), b"xxxxxxxxyz");
        let mut none = End::of_at_most(0);
        none.push(b"abc");
        assert_eq!(none.bytes(), b"");
    }
    use crate::runtime::FakeRuntime;

    #[tokio::test]
    async fn calls_are_answered_as_azure_does() {
        let runtime = FakeRuntime::new([], crate::clock::now);
        assert_eq!(
            invoke(&runtime, "ping", &Value::Null).await,
            (200, Value::Null)
        );
        let call = |name: &'static str, argument: Value| {
            let runtime = &runtime;
            async move { invoke(runtime, name, &argument).await.0 }
        };
        assert_eq!(
            call("RestartModule", json!({"schemaVersion": "1.0", "id": "m"})).await,
            404
        );
        assert_eq!(
            call("RestartModule", json!({"schemaVersion": "2.0", "id": "m"})).await,
            400
        );
        assert_eq!(call("RestartModule", json!({})).await, 400);
        assert_eq!(
            call(
                "GetModuleLogs",
                json!({"schemaVersion": "1.0", "items": [{"id": "m"}]})
            )
            .await,
            200
        );
        assert_eq!(
            call("GetModuleLogs", json!({"schemaVersion": "1.0"})).await,
            400
        );
        assert_eq!(call("Other", Value::Null).await, 404);
    }
}
