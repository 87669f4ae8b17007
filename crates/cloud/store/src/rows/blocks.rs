/// A device that an operator shut out everywhere, and what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedRow {
    /// The registration id in lower case.
    pub folded: String,
    pub spelled: String,
    /// In the operator's words.
    pub reason: Option<String>,
    /// When, 100 ns since 1970.
    pub blocked: i64,
    /// Whether its individual enrollment was `made` for this, `disabled` for this, or
    /// disabled before and `kept`.
    pub entry: String,
    /// Hub and device id, when it was assigned.
    pub device: Option<(String, String)>,
    /// Whether the hub device was disabled for this.
    pub device_disabled: bool,
}
