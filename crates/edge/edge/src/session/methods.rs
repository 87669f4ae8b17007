//! The direct methods of `$edgeAgent`.

mod answer;
mod line;
mod logs;
mod own_log;
mod tasks;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;

use device::{Hub, MethodCall, Trust};
use futures_util::future::BoxFuture;
use ids::error_chain;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wire::edge_api::manifest::{
    LogsRequest, RestartRequest, SupportBundleRequest, TaskStatusRequest, UploadLogsRequest,
};
use wire::lenient::BodyError;

use self::logs::LogSource;
use self::upload::Uploads;
use crate::clock;
use crate::local_api::management::DaemonRequest;
use crate::metrics::Metrics;
use crate::provision::assignment::DeviceLocation;
use crate::report::agent_name;
use crate::runtime::{ModuleRuntime, RuntimeError};
pub use tasks::Tasks;

const NAMES: [&str; 6] = [
    "ping",
    "RestartModule",
    "GetModuleLogs",
    "UploadModuleLogs",
    "UploadSupportBundle",
    "GetTaskStatus",
];
/// The methods, for messages.
const OFFERED: &str = "ping, RestartModule, GetModuleLogs, UploadModuleLogs, UploadSupportBundle \
                       and GetTaskStatus";

/// Makes a support bundle, and returns its bytes or the reason in words.
pub type MakeBundle =
    Arc<dyn Fn(SupportBundleRequest) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// What the methods of all sessions work with.
#[derive(Clone)]
pub struct MethodParts {
    pub metrics: Metrics,
    /// The log of the daemon, which is that of `edgeAgent`.
    pub log: PathBuf,
    pub tasks: Arc<Tasks>,
    pub daemon: mpsc::Sender<DaemonRequest>,
    /// `None` while this program cannot make one.
    pub make_bundle: Option<MakeBundle>,
}

/// Answers the calls of one session.
pub(crate) struct Methods<R> {
    pub(crate) runtime: Arc<R>,
    pub(crate) location: DeviceLocation,
    pub(crate) trust: Trust,
    pub(crate) parts: MethodParts,
}

/// Why a call is refused.
enum MethodError {
    Argument(BodyError),
    /// An argument that is well-formed and cannot be used.
    Unusable(String),
    Runtime(RuntimeError),
    NotOffered(String),
    NoMethod(String),
}

impl From<BodyError> for MethodError {
    fn from(error: BodyError) -> Self {
        Self::Argument(error)
    }
}

impl From<RuntimeError> for MethodError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

impl MethodError {
    fn answer(self) -> (i32, Value) {
        let (status, message) = match self {
            Self::Argument(error) => (400, error.to_string()),
            Self::Unusable(problem) => (400, problem),
            Self::Runtime(error @ RuntimeError::NoContainer(_)) => (404, error.to_string()),
            Self::Runtime(error) => (500, error_chain(&error)),
            Self::NotOffered(problem) => (501, problem),
            Self::NoMethod(name) => (
                404,
                format!("there is no method {name}; {OFFERED} are offered"),
            ),
        };
        (status, json!({ "message": message }))
    }
}

impl<R: ModuleRuntime> Methods<R> {
    /// Carries out one call and answers it.
    pub(crate) async fn answer(&self, hub: &Hub, call: &MethodCall) {
        let argument = call.argument().map_err(MethodError::from);
        let done = match argument {
            Ok(argument) => self.invoke(&call.name, &argument).await,
            Err(error) => Err(error),
        };
        let (status, body) = done.map_or_else(MethodError::answer, |body| (200, body));
        tracing::info!(method = %call.name, status, "a direct method was called");
        if let Err(error) = hub.respond(call, status, &body).await {
            tracing::warn!(error = %error, method = %call.name, "the method's answer was not taken");
        }
    }

    async fn invoke(&self, name: &str, argument: &Value) -> Result<Value, MethodError> {
        let tasks = &self.parts.tasks;
        let known = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
        self.parts.metrics.method(known.unwrap_or(&"other"));
        match name.to_ascii_lowercase().as_str() {
            "ping" => Ok(Value::Null),
            "restartmodule" => self.restart(&RestartRequest::parse(argument)?).await,
            "getmodulelogs" => {
                let request = LogsRequest::parse(argument)?;
                let source = self.source();
                answer::logs(&source, &request, clock::now()).await
            }
            "uploadmodulelogs" => {
                let request = UploadLogsRequest::parse(argument)?;
                let uploads = self.uploads(&request.sas_url)?;
                let jobs = self.source().select(&request.logs.items).await?;
                let source = self.source();
                let upload = async move { uploads.logs(&source, &request.logs, jobs).await };
                Ok(tasks.start("upload logs", upload))
            }
            "uploadsupportbundle" => {
                let request = SupportBundleRequest::parse(argument)?;
                let uploads = self.uploads(&request.sas_url)?;
                let make = self.parts.make_bundle.clone().ok_or_else(|| {
                    MethodError::NotOffered("this runtime makes no support bundle yet".to_owned())
                })?;
                let upload = async move { uploads.bundle(&make(request).await?).await };
                Ok(tasks.start("upload support bundle", upload))
            }
            "gettaskstatus" => {
                let request = TaskStatusRequest::parse(argument)?;
                Ok(json!(tasks.status(&request.correlation_id)))
            }
            _ => Err(MethodError::NoMethod(name.chars().take(100).collect())),
        }
    }

    async fn restart(&self, request: &RestartRequest) -> Result<Value, MethodError> {
        let agent = agent_name();
        if request
            .id
            .as_str()
            .trim_start_matches('$')
            .eq_ignore_ascii_case(agent.as_str())
        {
            // The answer reaches the hub first: the daemon ends its session in good order.
            let daemon = self.parts.daemon.clone();
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                // The daemon may be ending already.
                let _ = daemon.send(DaemonRequest::Restart).await;
            });
            return Ok(Value::Null);
        }
        self.runtime.restart(&request.id).await?;
        Ok(Value::Null)
    }

    fn source(&self) -> LogSource<R> {
        LogSource {
            runtime: self.runtime.clone(),
            own_log: self.parts.log.clone(),
            location: self.location.clone(),
        }
    }

    fn uploads(&self, sas_url: &str) -> Result<Uploads, MethodError> {
        Uploads::new(sas_url, &self.trust, &self.location)
            .map_err(|error| MethodError::Unusable(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
