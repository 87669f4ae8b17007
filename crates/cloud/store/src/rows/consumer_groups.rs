use ids::ConsumerGroup;

/// A group of readers of a hub's built-in endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupRow {
    pub name: ConsumerGroup,
    /// 100 ns since 1970.
    pub created: i64,
    /// The offset of its last checkpoint, and when that was written, 100 ns since 1970.
    pub checkpoint: Option<(u64, i64)>,
}
