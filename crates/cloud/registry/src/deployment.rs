use std::collections::BTreeMap;

use ids::{ConfigurationId, Etag, Timestamp};
use serde_json::Value;
use store::ContentKind;

use crate::StorageError;
use crate::condition::Condition;
use crate::query::{Limits, ParseError};

/// Reads the target condition of a configuration of this kind.
pub(crate) fn parse_condition(
    kind: ContentKind,
    text: &str,
    limits: Limits,
) -> Result<Condition, ParseError> {
    match kind {
        ContentKind::Module => Condition::of_modules(text, limits),
        ContentKind::Deployment | ContentKind::LayeredDeployment | ContentKind::Device => {
            Condition::of_devices(text, limits)
        }
    }
}

/// A configuration to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationDraft {
    pub id: ConfigurationId,
    pub schema_version: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    /// Which devices: `*` all, empty none, else a condition ([`condition`](crate::condition)).
    pub target_condition: String,
    pub priority: u32,
    /// `content`: an object with `modulesContent`, `deviceContent` or `moduleContent`. Never
    /// changes once created; on an update `None` keeps it and anything else must equal it.
    pub content: Option<Value>,
    /// `metrics.queries`: name to query.
    pub metric_queries: BTreeMap<String, String>,
}

/// A configuration as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationRecord {
    pub id: ConfigurationId,
    pub schema_version: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    pub target_condition: String,
    pub priority: u32,
    /// What it is for.
    pub kind: ContentKind,
    pub content: Value,
    pub metric_queries: BTreeMap<String, String>,
    /// Its version, `MQ==` at first.
    pub etag: Etag,
    /// When it was created; the tie-breaker of equal priorities.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// The system metrics of a deployment, counted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricResults {
    /// Devices, or modules, that match the condition.
    pub targeted: u64,
    /// Of these, devices whose result it is part of.
    pub applied: u64,
    /// Of these, devices whose agent reported the current desired version with code 200.
    pub reported_successful: u64,
    /// Of these, devices whose agent reported the current desired version with another code.
    pub reported_failed: u64,
}

/// What one call of [`Registry::evaluate_configurations`](crate::Registry::evaluate_configurations) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvaluationPass {
    pub examined: usize,
    /// Devices that something was written for.
    pub changed: usize,
    /// Devices that were skipped: they cannot be read, or what they would get is more
    /// than a twin holds.
    pub failed: usize,
    /// Whether there is more to do: call again soon.
    pub more: bool,
}

/// Why a configuration was not written, read or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// No such configuration. The hub answers 404.
    #[error("configuration {0} does not exist")]
    NotFound(ConfigurationId),
    /// It exists and no `If-Match` said that it should. The hub answers 409.
    #[error("configuration {0} exists already; send If-Match to change it")]
    Exists(ConfigurationId),
    /// The etag is not the stored one. The hub answers 412001.
    #[error("configuration {0} has changed since the etag sent")]
    PreconditionFailed(ConfigurationId),
    /// The target condition cannot be read. The hub answers 400004.
    #[error("the target condition cannot be read")]
    Condition(#[from] ParseError),
    /// The query of a custom metric cannot be read. The hub answers 400004.
    #[error("the query of metric {metric:?} cannot be read")]
    Metric {
        metric: String,
        #[source]
        cause: ParseError,
    },
    /// Something in the content is wrong. The hub answers 400004; `path` says where.
    #[error("content at '{path}': {problem}")]
    Content {
        /// Dotted path inside `content`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// The content of a configuration never changes. The hub answers 400004.
    #[error("the content of configuration {0} cannot change; create another configuration")]
    ContentChanged(ConfigurationId),
    /// 100 configurations is what a hub may have. The hub answers 403.
    #[error("the hub has {limit} configurations already", limit = crate::limits::MAX_CONFIGURATIONS)]
    TooMany,
    /// The device to apply content to does not exist. The hub answers 404001.
    #[error("device {0} does not exist")]
    NoDevice(ids::DeviceId),
    /// The device to apply content to is no IoT Edge device.
    #[error("device {0} is not an IoT Edge device of this hub")]
    NoEdgeDevice(ids::DeviceId),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for ConfigurationError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
