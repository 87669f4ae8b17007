use ids::{Identity, Timestamp};

/// What is known of an identity's connection since the process started. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Whether a session is open.
    pub connected: bool,
    /// When `connected` changed last.
    pub updated: Timestamp,
    /// When a session was opened or closed, or a request came without one.
    pub last_activity: Timestamp,
}

impl Presence {
    /// Of an identity that has not connected.
    pub const UNKNOWN: Self = Self {
        connected: false,
        updated: Timestamp::NEVER,
        last_activity: Timestamp::NEVER,
    };
}

/// Follows the presence of all identities. Called while the table is locked, so it
/// must return at once.
pub trait PresenceObserver: Send + Sync {
    /// `identity` is known as `presence` from now on.
    fn changed(&self, identity: &Identity, presence: Presence);
}
