//! Direct methods of `$edgeAgent`.

use device::{Hub, MethodCall};
use futures_util::StreamExt;
use ids::ModuleId;
use serde_json::{Value, json};
use wire::local_api::LogsQuery;
use wire::manifest::{LogsItem, LogsRequest, RestartRequest};

use crate::causes::chain_of;
use crate::runtime::{ModuleRuntime, RuntimeError};

/// Most bytes of logs in one answer; the hub takes 128 KiB.
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
            Ok(request) => restart(runtime, &request.id).await.map(|()| Value::Null),
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
        Err(error) => (500, message(chain_of(&error))),
    }
}

/// Stops a module, if it runs, and starts it.
pub(crate) async fn restart<R: ModuleRuntime>(
    runtime: &R,
    module: &ModuleId,
) -> Result<(), RuntimeError> {
    runtime.stop(module).await?;
    runtime.start(module).await
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
    let tail = Some(item.tail.unwrap_or(DEFAULT_TAIL));
    let query = LogsQuery {
        tail,
        since: item.since,
        until: item.until,
        ..LogsQuery::default()
    };
    let mut stream = runtime.logs(module, &query).await?;
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(piece?.get(8..).unwrap_or_default());
    }
    // The end of a log tells more than its beginning.
    let start = text.len().saturating_sub(most);
    Ok(String::from_utf8_lossy(&text[start..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
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
