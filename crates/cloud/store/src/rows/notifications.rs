/// A record that waits for a back end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationRow {
    /// Row id, never given out twice; the order in which back ends read.
    pub id: i64,
    /// Counts the changes of the row.
    pub revision: i64,
    /// JSON as receivers read it.
    pub record: String,
    /// 100 ns since 1970.
    pub created: i64,
    /// How often a receiver abandoned it.
    pub deliveries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationKind {
    /// The outcome of a cloud-to-device message.
    Feedback,
    /// A file that a device uploaded.
    File,
}

impl NotificationKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::File => "file",
        }
    }
}
