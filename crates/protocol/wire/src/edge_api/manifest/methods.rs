//! Arguments and answers of `$edgeAgent`'s direct methods.

mod logs;
mod moment;
mod task;

use ids::ModuleId;
use serde_json::Value;

use crate::lenient::{BodyError, Fields};

pub use logs::{
    LogsContent, LogsEncoding, LogsFilter, LogsItem, LogsRequest, ModuleLogs, UploadLogsRequest,
};
pub use moment::Moment;
pub use task::{SupportBundleRequest, TaskRunStatus, TaskStatus, TaskStatusRequest};

/// The argument of the direct method `RestartModule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// `id`: the module to restart.
    pub id: ModuleId,
}

impl RestartRequest {
    /// Reads the argument, the payload of the method call.
    ///
    /// # Errors
    /// When the schema is not ours or the module is missing.
    pub fn parse(argument: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(argument)?;
        require_schema(&fields)?;
        let id = required(&fields, "id")?;
        Ok(Self {
            id: ModuleId::parse(id).map_err(|error| fields.error("id", error.to_string()))?,
        })
    }
}

fn required<'a>(fields: &Fields<'a>, name: &str) -> Result<&'a str, BodyError> {
    fields
        .text(name)?
        .ok_or_else(|| fields.error(name, "is missing"))
}

fn require_schema(fields: &Fields<'_>) -> Result<(), BodyError> {
    match fields.text("schemaVersion")? {
        Some(version) if version == "1" || version.starts_with("1.") => Ok(()),
        Some(other) => Err(fields.error(
            "schemaVersion",
            format!("{other:?} is not supported, 1.0 is"),
        )),
        None => Err(fields.error("schemaVersion", "is missing")),
    }
}

#[cfg(test)]
mod tests;
