//! `/muster/v1/hub/consumerGroups`: readers of a hub's built-in endpoint, and how far they are.

use ids::{ConsumerGroup, Timestamp};
use serde::{Deserialize, Serialize};

/// Most consumer groups of a hub, `$Default` included.
pub const MAX_CONSUMER_GROUPS: usize = 20;

/// A consumer group, as GET and PUT answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerGroupDocument {
    /// As readers name it.
    pub name: ConsumerGroup,
    /// Azure's shape keeps the rest here.
    pub properties: ConsumerGroupProperties,
}

/// What is known of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerGroupProperties {
    /// When it was created; absent for `$Default`, which was never created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The last checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// How far a consumer group is: body of `PUT …/{group}/checkpoint`, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// The offset of the last event that is done.
    pub offset: u64,
    /// When that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
}
