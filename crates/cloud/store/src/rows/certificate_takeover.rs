/// How far the certificates of earlier versions have been taken over from the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeoverRow {
    /// The first record of the decisions that was not looked at.
    pub next: u64,
    /// The last one that an earlier version wrote.
    pub until: u64,
}
