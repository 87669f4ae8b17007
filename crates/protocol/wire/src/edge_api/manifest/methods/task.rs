//! Tasks that a direct method starts: uploads.

use serde::Serialize;
use serde_json::Value;

use super::{Moment, require_schema, required};
use crate::lenient::{BodyError, Fields};

/// The argument of `UploadSupportBundle`.
#[derive(Clone, PartialEq, Eq)]
pub struct SupportBundleRequest {
    /// URL of a blob container with a shared access signature, which is secret.
    pub sas_url: String,
    /// Logs from then on.
    pub since: Option<Moment>,
    /// Logs until then.
    pub until: Option<Moment>,
    /// Whether logs of the modules of the deployment are left out.
    pub edge_runtime_only: bool,
}

impl SupportBundleRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or a member is missing or has the wrong form.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
        Ok(Self {
            sas_url: required(&fields, "sasUrl")?.to_owned(),
            since: Moment::read(&fields, "since")?,
            until: Moment::read(&fields, "until")?,
            edge_runtime_only: fields.boolean("edgeRuntimeOnly")?.unwrap_or_default(),
        })
    }
}

impl std::fmt::Debug for SupportBundleRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupportBundleRequest")
            .field("since", &self.since)
            .field("until", &self.until)
            .field("edge_runtime_only", &self.edge_runtime_only)
            .finish_non_exhaustive()
    }
}

/// The argument of `GetTaskStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatusRequest {
    /// The id from the answer that started the task.
    pub correlation_id: String,
}

impl TaskStatusRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or the id is missing.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
        let id = required(&fields, "correlationId")?;
        if id.len() > 128 {
            return Err(fields.error("correlationId", "more than 128 characters"));
        }
        Ok(Self {
            correlation_id: id.to_owned(),
        })
    }
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TaskRunStatus {
    /// It is accepted.
    NotStarted,
    /// It is in progress.
    Running,
    /// It has succeeded.
    Completed,
    /// It has failed.
    Failed,
    /// There is no such task, or it is forgotten.
    Unknown,
}

/// The answer of a method that starts a task, and of `GetTaskStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// How far it has come.
    pub status: TaskRunStatus,
    /// Why it has failed; empty otherwise.
    pub message: String,
    /// The id of the task.
    pub correlation_id: String,
}
